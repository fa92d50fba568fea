"""The events of one subscription: what happened to its candidates, notices, answers and reclaims."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse
from django.utils.translation import gettext as _

from licensehub.translations.stored import translated
from licensehub.ui.formatting import ago, day, inside, name_of
from subscriptions.activity.snapshots import Change
from subscriptions.admin.widgets.badges import outcome_sentence
from subscriptions.eligibility.sentences import protections_of
from subscriptions.models import (
    Direction,
    Notice,
    NoticeKind,
    NoticeState,
    ProtectionKind,
    Reclaim,
    ReclaimRequest,
    ReclaimState,
    RemovalCandidate,
    RequestedRemoval,
    Subscription,
)


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the list of events."""

    icon: str
    tone: str
    title: str
    text: str
    link: str = ""
    link_label: str = ""


def events_of(
    candidates: list[RemovalCandidate], reclaims: list[Reclaim], changes: Mapping[Subscription, Sequence[Change]]
) -> list[Event]:
    """The newest first. `changes` are those of all rows of this person."""
    found = [(item.created_at, _found(item)) for item in candidates]
    found += [event for row, of_row in changes.items() for event in _renamed(row, of_row)]
    found += [(item.state_changed_at, _closed(item)) for item in candidates if not item.is_open]
    found += [(item.finished_at or item.queued_at, _sent(item)) for item in reclaims]
    found += _asked_and_answered(candidates) if candidates else []
    found += [(row.first_run.finished_at or row.facts_at, _made_again(row)) for row in changes if row.former_id]
    return [event for _, event in sorted(found, key=lambda pair: pair[0], reverse=True)]


def _renamed(row: Subscription, changes: Iterable[Change]) -> list[tuple[datetime, Event]]:
    """The changes of the address, each with the address before and after it."""
    known = [(change.at, change.email) for change in changes if change.at and change.email is not None]
    former = sorted(known, key=lambda change: change[0])
    if not former:
        return []
    then = [email for _, email in former[1:]] + [row.email]
    stays, none = "", _("none")
    if any(found.kind == ProtectionKind.PERSON for found in protections_of(row)):
        stays = " " + _("The protection of this person stays in force.")
    return [
        (
            at,
            Event(
                "badge",
                "info",
                _("Address changed"),
                f"{_on(at)}: {before or none} → {after or none}.{stays}",
            ),
        )
        for (at, before), after in zip(former, then, strict=True)
    ]


def _found(candidate: RemovalCandidate) -> Event:
    return Event(
        "person_search",
        "info",
        _("Became a candidate"),
        _("{on}, found by").format(on=_on(candidate.created_at)),
        reverse("admin:subscriptions_downloadrun_change", args=[candidate.run_id]),
        str(candidate.run),
    )


def _made_again(row: Subscription) -> Event:
    text = _("{on}: known as {external_id} in “{profile}” from then on, found by").format(
        on=_on(row.first_run.finished_at), external_id=row.external_id, profile=row.profile
    )
    link = reverse("admin:subscriptions_downloadrun_change", args=[row.first_run_id])
    return Event("person_add", "info", _("Found again"), text, link, str(row.first_run))


def _closed(candidate: RemovalCandidate) -> Event:
    reason = candidate.get_close_reason_display() or _("no reason noted")
    text = f"{_on(candidate.state_changed_at)}: {reason}."
    return Event("flag", "neutral", candidate.get_state_display(), text)


def _sent(item: Reclaim) -> Event:
    request = item.removal.request
    approver = (
        _("approved by {name}").format(name=name_of(request.decided_by)) if request.decided_by else _("not approved")
    )
    if item.direction == Direction.REACTIVATE and request.requested_by:
        approver = _("asked by {name}").format(name=name_of(request.requested_by))
    return Event(
        "event_seat" if item.direction == Direction.DEACTIVATE else "undo",
        "ok" if item.state == ReclaimState.DONE else "neutral",
        f"{item.get_direction_display()}: {inside(item.get_state_display())}",
        f"{_on(item.finished_at or item.queued_at)}, {approver}. {outcome_sentence(item)}",
        *_link_to(request.pk),
    )


def _asked_and_answered(candidates: list[RemovalCandidate]) -> list[tuple[datetime, Event]]:
    notices = Notice.objects.filter(removal__candidate__in=candidates).select_related("removal")
    notices = notices.only("kind", "state", "problem", "sent_at", "due_at", "removal__request")
    people = RequestedRemoval.objects.filter(candidate__in=candidates, answered_at__isnull=False)
    found = [(item.sent_at or item.due_at, _asked(item)) for item in notices]
    for person in people.only("answer", "answered_at", "request"):
        if person.answered_at:
            text, link = f"{_on(person.answered_at)}: {person.get_answer_display()}.", _link_to(person.request_id)
            found.append((person.answered_at, Event("reply", "info", _("Answered"), text, *link)))
    return found


def _asked(notice: Notice) -> Event:
    title = _("Reminded by mail") if notice.kind == NoticeKind.REMINDER else _("Asked by mail")
    state, link = NoticeState(notice.state), _link_to(notice.removal.request_id)
    if state == NoticeState.SENT:
        return Event("mail", "info", title, f"{_on(notice.sent_at)}.", *link)
    tone = "warning" if state in (NoticeState.FAILED, NoticeState.IN_DOUBT, NoticeState.BOUNCED) else "neutral"
    return Event("mail", tone, title, f"{state.label}. {translated(notice.problem)}".strip(), *link)


def _on(moment: datetime | None) -> str:
    return _("on {day}, {ago}").format(day=day(moment), ago=ago(moment))


def _link_to(request_id: int) -> tuple[str, str]:
    number = ReclaimRequest(pk=request_id).number
    return reverse("admin:subscriptions_reclaimrequest_change", args=[request_id]), number
