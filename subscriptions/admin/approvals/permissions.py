"""The rights of a user on a request, for the screens. The functions in `subscriptions.approvals` check them again."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.models import AnonymousUser, User
from django.utils import timezone

from subscriptions.approvals.closing import WAITING
from subscriptions.errors import Refused, refuse_self
from subscriptions.models import Direction, ReclaimRequest, RequestedRemoval, RequestState
from subscriptions.reclaims import switches
from subscriptions.reclaims.switches import Operation

REQUEST = "subscriptions.request_removalcandidate"
DECIDE = "subscriptions.decide_reclaimrequest"
RAISE = "subscriptions.raise_cap_reclaimrequest"


@dataclass(frozen=True, slots=True)
class Permissions:
    """The actions that a reader may take on a request; `why_not` says why the reader cannot decide."""

    decide: bool = False
    drop: bool = False
    withdraw: bool = False
    why_not: str = ""


def permissions_for(request: ReclaimRequest, user: User | AnonymousUser, people: list[RequestedRemoval]) -> Permissions:
    waits = request.state in WAITING and not is_overdue(request)
    why_not = _why_not_decide(request, user, people)
    if request.requested_by_id == user.pk:
        return Permissions(drop=waits, withdraw=waits, why_not=why_not)
    if not user.has_perm(DECIDE):
        return Permissions(why_not=why_not)
    return Permissions(decide=waits and not why_not, drop=waits, why_not=why_not)


def _why_not_decide(request: ReclaimRequest, user: User | AnonymousUser, people: list[RequestedRemoval]) -> str:
    if request.requested_by_id == user.pk:
        return "You made this request. Another person has to decide."
    if not user.has_perm(DECIDE):
        return "You can read this request. Only an Approver or a Company admin can decide."
    if request.cap_raised_by_id == user.pk:
        return "You raised the cap of this request. A third person has to decide."
    if request.state == RequestState.COLLECTING:
        return "The people are still being asked. You can decide when they have answered or their time is over."
    return _refused(request, user, people)


def _refused(request: ReclaimRequest, user: User | AnonymousUser, people: list[RequestedRemoval]) -> str:
    """The refusal that an approval would meet. The switches checked here do not stop a restore."""
    try:
        if isinstance(user, User):
            refuse_self((person.evidence["email"] for person in people), user)
        if request.direction == Direction.DEACTIVATE:
            switches.refuse(request.profile, Operation.APPROVE)
    except Refused as refusal:
        return str(refusal)
    return ""


def why_not_raise(request: ReclaimRequest, user: User | AnonymousUser) -> str:
    """Why the reader cannot raise the cap of a request that is over it; empty when the reader may."""
    if request.state not in WAITING:
        return "The request no longer waits for a decision."
    if request.requested_by_id == user.pk:
        return "You made this request. Another person has to raise its cap, and a third person has to decide."
    if not user.has_perm(RAISE):
        return "Only an Approver or a Company admin can raise the cap."
    return ""


def may_dry_run(request: ReclaimRequest, user: User | AnonymousUser) -> bool:
    """Until everything is sent, for people who request or decide: a dry run asks the vendor and stores fresh facts."""
    involved = user.has_perm(DECIDE) or user.has_perm(REQUEST)
    return involved and request.state in (*WAITING, RequestState.APPROVED)


def is_overdue(request: ReclaimRequest) -> bool:
    """Its time to be decided is over, and the sweep has not closed it yet."""
    return request.state == RequestState.OPEN and request.expires_at <= timezone.now()
