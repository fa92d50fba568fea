"""The texts of the mails about requests: organization, number of seats, end, and what follows if nobody decides.

They do not name the people whose seats are requested. The page of the request does, for users who may see it.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from licensehub.translations.stored import translated
from licensehub.ui.formatting import day, day_and_time, name_of, number
from subscriptions.approvals.closing import expired_in_a_row
from subscriptions.models import Direction, Notification, NotificationKind, ReclaimRequest, RequestState
from subscriptions.reclaims import switches
from subscriptions.reclaims.switches import Operation
from subscriptions.reports.monthly import report_of
from subscriptions.reports.texts import subject_of, text_of
from subscriptions.schedules.working_days import until

MANY_EXPIRED = 2


@dataclass(frozen=True, slots=True)
class Item:
    """The text of one notification in a mail. `link` leads to its page."""

    subject: str
    text: str
    link: str


def item_for(notification: Notification) -> Item:
    if notification.kind == NotificationKind.REPORT and (report := report_of(notification.key)):
        # Written again from its figures, in the language of the reader.
        return Item(subject_of(report), text_of(report), f"{settings.PUBLIC_URL}{notification.path}")
    if notification.request is None:
        subject = " ".join(translated(notification.subject).split())  # a name may have a line break, no header has
        return Item(subject, translated(notification.text), f"{settings.PUBLIC_URL}{notification.path}")
    request = notification.request
    subject, text = TEXTS[NotificationKind(notification.kind)](request)
    link = settings.PUBLIC_URL + reverse("admin:subscriptions_reclaimrequest_change", args=[request.pk])
    return Item(" ".join(f"{_organization(request)}: {subject}".split()), text, link)


def _opened(request: ReclaimRequest) -> tuple[str, str]:
    count = _count(request)
    said = ngettext(
        "{count} seat waits for a decision ({request})", "{count} seats wait for a decision ({request})", count
    )
    return said.format(count=number(count), request=request), f"{_what(request)}\n{_if_nobody(request)}"


def _ending(request: ReclaimRequest) -> tuple[str, str]:
    said = _("{request} ends {until}: {seats}")
    subject = said.format(request=request, until=until(request.expires_at, zone=True), seats=_seats(request))
    what = _("Nobody has decided yet. {request}").format(request=_what(request))
    return subject, f"{what}\n{_if_nobody(request)}"


def _expired(request: ReclaimRequest) -> tuple[str, str]:
    said = _("Nobody decided on {request} until {time}. Its {people} stay deactivated.")
    if request.direction == Direction.DEACTIVATE:
        said = _("Nobody decided on {request} until {time}. Its {people} can be requested again.")
    text = said.format(request=request, time=day_and_time(request.expires_at), people=_people(request))
    row = len(expired_in_a_row(request.profile))
    if row >= MANY_EXPIRED:
        again = _("It is number {row} in a row of {profile} that expired.")
        text = f"{text}\n{again.format(row=row, profile=request.profile)}"
    subject = _("{request} expired, nobody decided on {seats}")
    return subject.format(request=request, seats=_seats(request)), text


def _undecidable(request: ReclaimRequest) -> tuple[str, str]:
    what = _what(request)
    if request.state == RequestState.OPEN:
        what = _("{request} It ends {until}.").format(request=what, until=until(request.expires_at, zone=True))
    why = _(
        "No account is left that may decide it. A decision needs an active account with the right to decide and an "
        "e-mail address. Its owner has not made the request and is not one of its people. Give a colleague the role "
        "Approver under Users, or enter the missing address there."
    )
    subject = _("nobody may decide {request} ({seats})").format(request=request, seats=_seats(request))
    return subject, f"{what}\n{why}"


TEXTS = {
    NotificationKind.OPENED: _opened,
    NotificationKind.ENDING: _ending,
    NotificationKind.EXPIRED: _expired,
    NotificationKind.UNDECIDABLE: _undecidable,
}


def _organization(request: ReclaimRequest) -> str:
    return request.profile.organization_name or request.profile.name


def _count(request: ReclaimRequest) -> int:
    return request.removals.not_dropped().count()


def _seats(request: ReclaimRequest) -> str:
    count = _count(request)
    return ngettext("{count} seat", "{count} seats", count).format(count=number(count))


def _people(request: ReclaimRequest) -> str:
    count = _count(request)
    return ngettext("{count} person", "{count} people", count).format(count=number(count))


def _what(request: ReclaimRequest) -> str:
    said = _("{name} requested on {day} to give back {seats} at {organization} ({request}).")
    if request.direction == Direction.DEACTIVATE:
        said = _("{name} requested on {day} to take back {seats} at {organization} ({request}).")
    return said.format(
        name=name_of(request.requested_by) if request.requested_by else _("The schedule"),
        day=day(request.requested_at),
        seats=_seats(request),
        organization=_organization(request),
        request=request,
    )


def _if_nobody(request: ReclaimRequest) -> str:
    said = _("Please decide by {until}. If nobody decides by then, it expires: nobody gets the seat back.")
    if request.direction == Direction.DEACTIVATE:
        said = _("Please decide by {until}. If nobody decides by then, it expires: everybody keeps the seat.")
    text = said.format(until=until(request.expires_at, zone=True))
    operation = Operation.APPROVE if request.direction == Direction.DEACTIVATE else Operation.RESTORE
    refusal = switches.refusal(request.profile, operation)
    if not refusal:
        return text
    now = _("It cannot be approved now: {reason}").format(reason=refusal)
    return f"{text}\n{now}"
