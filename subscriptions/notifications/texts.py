"""The texts of the mails about requests: organization, number of seats, end, and what follows if nobody decides.

They do not name the people whose seats are requested. The page of the request does, for users who may see it.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.urls import reverse
from django.utils.translation import ngettext

from licensehub.ui.formatting import day, day_and_time, name_of
from subscriptions.approvals.closing import expired_in_a_row
from subscriptions.models import Direction, Notification, NotificationKind, ReclaimRequest, RequestState
from subscriptions.reclaims import switches
from subscriptions.reclaims.switches import Operation
from subscriptions.schedules.working_days import until

MANY_EXPIRED = 2


@dataclass(frozen=True, slots=True)
class Item:
    """The text of one notification in a mail. `link` leads to its page."""

    subject: str
    text: str
    link: str


def item_for(notification: Notification) -> Item:
    if notification.request is None:
        subject = " ".join(notification.subject.split())  # a name in it may have a line break, no header has
        return Item(subject, notification.text, f"{settings.PUBLIC_URL}{notification.path}")
    request = notification.request
    subject, text = TEXTS[NotificationKind(notification.kind)](request)
    link = settings.PUBLIC_URL + reverse("admin:subscriptions_reclaimrequest_change", args=[request.pk])
    return Item(" ".join(f"{_organization(request)}: {subject}".split()), text, link)


def _opened(request: ReclaimRequest) -> tuple[str, str]:
    return f"{_seats(request)} wait for a decision ({request})", f"{_what(request)}\n{_if_nobody(request)}"


def _ending(request: ReclaimRequest) -> tuple[str, str]:
    subject = f"{request} ends {until(request.expires_at, zone=True)}: {_seats(request)}"
    return subject, f"Nobody has decided yet. {_what(request)}\n{_if_nobody(request)}"


def _expired(request: ReclaimRequest) -> tuple[str, str]:
    keeps = "can be requested again" if request.direction == Direction.DEACTIVATE else "stay deactivated"
    row = len(expired_in_a_row(request.profile))
    again = f"\nIt is number {row} in a row of {request.profile} that expired." if row >= MANY_EXPIRED else ""
    text = (
        f"Nobody decided on {request} until {day_and_time(request.expires_at)}. Its {_people(request)} {keeps}.{again}"
    )
    return f"{request} expired, nobody decided on {_seats(request)}", text


def _undecidable(request: ReclaimRequest) -> tuple[str, str]:
    ends = f" It ends {until(request.expires_at, zone=True)}." if request.state == RequestState.OPEN else ""
    text = (
        f"{_what(request)}{ends}\nNo account is left that may decide it. A decision needs an active account with the "
        "right to decide and an e-mail address. Its owner has not made the request and is not one of its people. Give "
        "a colleague the role Approver under Users, or enter the missing address there."
    )
    return f"nobody may decide {request} ({_seats(request)})", text


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
    return f"{count:,} {ngettext('seat', 'seats', count)}"


def _people(request: ReclaimRequest) -> str:
    count = _count(request)
    return f"{count:,} {ngettext('person', 'people', count)}"


def _what(request: ReclaimRequest) -> str:
    verb = "take back" if request.direction == Direction.DEACTIVATE else "give back"
    by = name_of(request.requested_by) if request.requested_by else "The schedule"
    return (
        f"{by} requested on {day(request.requested_at)} to {verb} {_seats(request)} at {_organization(request)} "
        f"({request})."
    )


def _if_nobody(request: ReclaimRequest) -> str:
    keeps = "everybody keeps the seat" if request.direction == Direction.DEACTIVATE else "nobody gets the seat back"
    text = f"Please decide by {until(request.expires_at, zone=True)}. If nobody decides by then, it expires: {keeps}."
    operation = Operation.APPROVE if request.direction == Direction.DEACTIVATE else Operation.RESTORE
    refusal = switches.refusal(request.profile, operation)
    return f"{text}\nIt cannot be approved now: {refusal}" if refusal else text
