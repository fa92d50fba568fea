"""The story of one seat in steps, from the last activity to the proof, and from there to its restore."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import User
from django.urls import reverse

from licensehub.ui.formatting import EMPTY, ago, day, day_and_time
from subscriptions.admin.widgets.evidence import moment, run_number
from subscriptions.models import Direction, Reclaim, ReclaimRequest, ReclaimState, RequestedRemoval, RequestState


@dataclass(frozen=True, slots=True)
class Step:
    """`tone` as for a badge; a step that has not come yet has no date and is drawn faintly. `url` tells more of it."""

    title: str
    icon: str
    when: str = ""
    detail: str = ""
    tone: str = "neutral"
    url: str = ""

    @property
    def reached(self) -> bool:
        return self.tone != "pending"


@dataclass(frozen=True, slots=True)
class StepTexts:
    """What differs between the two directions."""

    sent: str
    rechecked: str
    found: str
    failed: str


TEXTS = {
    Direction.DEACTIVATE: StepTexts("Deactivated", "still inactive", "read back inactive", "Not reclaimed"),
    Direction.REACTIVATE: StepTexts("Activated again", "still deactivated", "read back active", "Not restored"),
}
TONES = {ReclaimState.DONE: "ok", ReclaimState.FAILED: "error", ReclaimState.IN_DOUBT: "warning"}


def name_of(user: User | None) -> str:
    return (user.get_full_name() or user.get_username()) if user else EMPTY


def requester_of(request: ReclaimRequest) -> str:
    """Who asked: a person, or the schedule as the rule says."""
    return name_of(request.requested_by) if request.requested_by_id else "LicenseHub, by schedule"


def steps_of(item: Reclaim) -> list[Step]:
    """Every step in its order; those that were not reached are pending."""
    if item.direction == Direction.REACTIVATE:
        return [*_taken_back(item), *_execution(item)]
    return [*_decision(item), *_execution(item), *_restored(item)]


def _decision(item: Reclaim) -> list[Step]:
    removal = item.removal
    evidence, request = removal.evidence, removal.request
    last = moment(evidence, "last_activity_at")
    return [
        Step("Last active", "bedtime", day(last) if last else "Never", ago(last) or evidence["why"]),
        Step("Candidate", "person_search", _at(removal.candidate.created_at), f"download {run_number(evidence)}"),
        Step("Requested", "front_hand", _at(request.requested_at), requester_of(request), "info"),
        Step("Approved", "approval_delegation", _at(request.decided_at), name_of(request.decided_by), "info"),
    ]


def _taken_back(item: Reclaim) -> list[Step]:
    """What a restore goes back to, and who wanted it."""
    removal, request = item.removal, item.removal.request
    asked = Step("Restore requested", "front_hand", _at(request.requested_at), name_of(request.requested_by), "info")
    approver = name_of(request.decided_by) if request.decided_by else "no approval needed for one seat"
    approved = Step("Approved", "approval_delegation", _at(request.decided_at), approver, "info")
    if removal.restores is None:
        return [asked, approved]
    taken = removal.restores
    detail = f"request {taken.removal.request}"
    return [Step("Reclaimed", "event_seat", _at(taken.finished_at), detail, url=_page_of(taken)), asked, approved]


def _restored(item: Reclaim) -> list[Step]:
    """What became of every wish to take this reclaim back; those that came to nothing are not told."""
    steps = [_restore(removal) for removal in item.restores.all()]
    return [step for step in steps if step]


def _restore(removal: RequestedRemoval) -> Step | None:
    request, item = removal.request, getattr(removal, "reclaim", None)
    by = name_of(request.requested_by)
    if item is not None:
        done = item.state == ReclaimState.DONE
        title = "Restored" if done else f"Restore: {item.get_state_display().lower()}"
        when = _at(item.finished_at or item.queued_at)
        return Step(title, "undo", when, by, TONES.get(ReclaimState(item.state), "info"), _page_of(item))
    if removal.dropped_at or request.state != RequestState.OPEN:
        return None
    url = reverse("admin:subscriptions_reclaimrequest_change", args=[request.pk])
    return Step("Restore requested", "front_hand", _at(request.requested_at), by, "info", url)


def _execution(item: Reclaim) -> list[Step]:
    texts = TEXTS[Direction(item.direction)]
    sent = item.sending_at
    looked = sent or (item.finished_at if item.state in (ReclaimState.SKIPPED, ReclaimState.FAILED) else None)
    if looked is None:
        return [_waiting(item), _pending(texts.sent, "send"), _pending("Verified", "verified")]
    if sent is None:
        tone = "error" if item.state == ReclaimState.FAILED else "neutral"
        return [Step("Checked again", "visibility", _at(looked), item.outcome, tone)]
    seen = Step("Checked again", "visibility", _at(looked), texts.rechecked, "ok")
    return [seen, _sent(item, texts), _verified(item, texts)]


def _waiting(item: Reclaim) -> Step:
    held = item.get_hold_reason_display() if item.hold_reason else "waiting to be sent"
    until = f"not before {day_and_time(item.not_before)}" if item.not_before else ""
    return Step("Checked again", "hourglass_top", until, held, "warning" if item.hold_reason else "pending")


def _sent(item: Reclaim, texts: StepTexts) -> Step:
    answer = f"PATCH {item.http_status}" if item.http_status else "no answer yet"
    if item.state == ReclaimState.FAILED:
        return Step("Refused", "block", _at(item.finished_at), answer, "error")
    if item.state == ReclaimState.IN_DOUBT or (item.read_back and not item.http_status):
        return Step("Sent", "send", _at(item.sending_at), "no answer received", "warning")
    return Step(texts.sent, "send", _at(item.sending_at), answer, "ok")


def _verified(item: Reclaim, texts: StepTexts) -> Step:
    if item.state == ReclaimState.DONE:
        return Step("Verified", "verified", _at(item.read_back_at), texts.found, "ok")
    if item.state == ReclaimState.FAILED:
        return Step(texts.failed, "error", "", item.outcome, "error")
    if item.state == ReclaimState.IN_DOUBT and item.read_back:
        return Step("Read back", "help", _at(item.read_back_at), f"{item.read_back}, a person has to check", "warning")
    return _pending("Verified", "verified")


def _pending(title: str, icon: str) -> Step:
    return Step(title, icon, "", "not yet", "pending")


def _at(when: datetime | None) -> str:
    return day_and_time(when)


def _page_of(item: Reclaim) -> str:
    return reverse("admin:subscriptions_reclaim_change", args=[item.pk])
