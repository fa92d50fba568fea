"""The story of one seat in steps, from the last activity to the proof."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import User

from integrations.presentation import EMPTY, ago, day, day_and_time
from subscriptions.admin.evidence import moment, run_number
from subscriptions.models import Reclaim, ReclaimRequest, ReclaimState


@dataclass(frozen=True, slots=True)
class Step:
    """`tone` as for a chip; a step that has not come yet has no date and is drawn faintly."""

    title: str
    icon: str
    when: str = ""
    detail: str = ""
    tone: str = "neutral"

    @property
    def reached(self) -> bool:
        return self.tone != "pending"


def name_of(user: User | None) -> str:
    return (user.get_full_name() or user.get_username()) if user else EMPTY


def requester_of(request: ReclaimRequest) -> str:
    """Who asked: a person, or the schedule as the rule says."""
    return name_of(request.requested_by) if request.requested_by_id else "LicenseHub, by schedule"


def story(item: Reclaim) -> list[Step]:
    """Every step in its order; those that were not reached are pending."""
    return [*_decision(item), *_execution(item)]


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


def _execution(item: Reclaim) -> list[Step]:
    sent = item.sending_at
    looked = sent or (item.finished_at if item.state in (ReclaimState.SKIPPED, ReclaimState.FAILED) else None)
    if looked is None:
        return [_waiting(item), _pending("Deactivated", "send"), _pending("Verified", "verified")]
    if sent is None:
        return [Step("Looked again", "visibility", _at(looked), item.outcome, _tone(item))]
    seen = Step("Looked again", "visibility", _at(looked), "still inactive", "ok")
    return [seen, _sent(item), _verified(item)]


def _waiting(item: Reclaim) -> Step:
    held = item.get_hold_reason_display() if item.hold_reason else "waits for its turn"
    until = f"not before {day_and_time(item.not_before)}" if item.not_before else ""
    return Step("Looked again", "hourglass_top", until, held, "warning" if item.hold_reason else "pending")


def _sent(item: Reclaim) -> Step:
    answer = f"PATCH {item.http_status}" if item.http_status else "no answer yet"
    if item.state == ReclaimState.FAILED:
        return Step("Refused", "block", _at(item.finished_at), answer, "error")
    if item.state == ReclaimState.IN_DOUBT or (item.read_back and not item.http_status):
        return Step("Sent", "send", _at(item.sending_at), "the answer is lost", "warning")
    return Step("Deactivated", "send", _at(item.sending_at), answer, "ok")


def _verified(item: Reclaim) -> Step:
    if item.state == ReclaimState.DONE:
        return Step("Verified", "verified", _at(item.read_back_at), "read back inactive", "ok")
    if item.state == ReclaimState.FAILED:
        return Step("Not reclaimed", "error", "", item.outcome, "error")
    if item.state == ReclaimState.IN_DOUBT and item.read_back:
        return Step("Read back", "help", _at(item.read_back_at), f"{item.read_back}, a person has to look", "warning")
    return _pending("Verified", "verified")


def _pending(title: str, icon: str) -> Step:
    return Step(title, icon, "", "not yet", "pending")


def _tone(item: Reclaim) -> str:
    return "error" if item.state == ReclaimState.FAILED else "neutral"


def _at(when: datetime | None) -> str:
    return day_and_time(when)
