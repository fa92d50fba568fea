"""Each state as a badge, and its meaning and next step in one sentence."""

from __future__ import annotations

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from licensehub.translations.stored import translated
from licensehub.ui.formatting import badge
from subscriptions.models import (
    CandidateState,
    Direction,
    Reclaim,
    ReclaimRequest,
    ReclaimState,
    RemovalCandidate,
    RequestState,
)

CANDIDATE = {
    CandidateState.ATTENTION_REQUIRED: ("error", "error"),
    CandidateState.READY: ("info", "check_circle"),
    CandidateState.AWAITING_USER: ("neutral", "mail"),
    CandidateState.AWAITING_APPROVAL: ("warning", "approval_delegation"),
    CandidateState.AWAITING_REVOCATION: ("info", "schedule_send"),
    CandidateState.CLOSED_COMPLETE: ("ok", "verified"),
    CandidateState.CLOSED_SKIPPED: ("neutral", "do_not_disturb_on"),
    CandidateState.CLOSED_CANCELED: ("neutral", "undo"),
}
REQUEST = {
    RequestState.COLLECTING: ("neutral", "mail"),
    RequestState.OPEN: ("warning", "approval_delegation"),
    RequestState.APPROVED: ("ok", "check_circle"),
    RequestState.REJECTED: ("neutral", "cancel"),
    RequestState.EXPIRED: ("neutral", "timer_off"),
    RequestState.CANCELED: ("neutral", "undo"),
    RequestState.EMPTY: ("neutral", "group_off"),
}
RECLAIM = {
    ReclaimState.QUEUED: ("info", "schedule"),
    ReclaimState.CLAIMED: ("info", "visibility"),
    ReclaimState.SENDING: ("info", "send"),
    ReclaimState.DONE: ("ok", "verified"),
    ReclaimState.SKIPPED: ("neutral", "do_not_disturb_on"),
    ReclaimState.FAILED: ("error", "error"),
    ReclaimState.TAMPERED: ("error", "gpp_bad"),
    ReclaimState.IN_DOUBT: ("warning", "help"),
}
DIRECTION = {
    Direction.DEACTIVATE: ("neutral", "event_seat"),
    Direction.REACTIVATE: ("info", "undo"),
}
WHAT_NEXT = {
    CandidateState.ATTENTION_REQUIRED: gettext_lazy("A person has to check this before anything else happens."),
    CandidateState.READY: gettext_lazy(
        "Nothing happens until somebody requests the reclaim and another person approves it."
    ),
    CandidateState.AWAITING_USER: gettext_lazy("The person was asked and has not answered yet."),
    CandidateState.AWAITING_APPROVAL: gettext_lazy("A second person has to approve or reject the request."),
    CandidateState.AWAITING_REVOCATION: gettext_lazy(
        "Approved. LicenseHub checks again, then deactivates the seat at the vendor."
    ),
    CandidateState.CLOSED_COMPLETE: gettext_lazy(
        "The seat was free when this candidate closed. History shows what followed."
    ),
    CandidateState.CLOSED_SKIPPED: gettext_lazy(
        "The person keeps the seat. A later download can propose this person again."
    ),
    CandidateState.CLOSED_CANCELED: gettext_lazy("The person is active again and keeps the seat."),
}


def candidate_badge(candidate: RemovalCandidate) -> SafeString:
    state = CandidateState(candidate.state)
    tone, icon = CANDIDATE[state]
    return badge(str(state.label), tone=tone, icon=icon)


def request_badge(request: ReclaimRequest) -> SafeString:
    state = RequestState(request.state)
    tone, icon = REQUEST[state]
    return badge(str(state.label), tone=tone, icon=icon)


def reclaim_badge(item: Reclaim) -> SafeString:
    state = ReclaimState(item.state)
    tone, icon = RECLAIM[state]
    return badge(str(state.label), tone=tone, icon=icon)


def direction_badge(item: Reclaim) -> SafeString:
    direction = Direction(item.direction)
    tone, icon = DIRECTION[direction]
    return badge(str(direction.label), tone=tone, icon=icon)


def outcome_sentence(item: Reclaim) -> str:
    """`PATCH 200 · read back inactive`, or the reason why it waits or was not sent."""
    if item.state == ReclaimState.DONE:
        came_back = (
            translated(item.outcome.removeprefix("Active again. ")) if item.direction == Direction.REACTIVATE else ""
        )
        parts = [
            f"PATCH {item.http_status}" if item.http_status else "",
            _("read back {read_back}").format(read_back=translated(item.read_back)),
            came_back,
        ]
        return " · ".join(part for part in parts if part)
    if item.hold_reason:
        return _("Held: {hold_reason}.").format(hold_reason=item.get_hold_reason_display())
    return translated(item.outcome)
