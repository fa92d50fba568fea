"""The rights of a user on a request, for the screens. The functions in `subscriptions.approvals` check them again."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.models import AnonymousUser, User
from django.utils.translation import gettext as _

from licensehub.database.clock import database_now
from subscriptions.accounts.own_seat import Identity
from subscriptions.accounts.rights import DECIDE as DECIDE
from subscriptions.accounts.rights import RAISE as RAISE
from subscriptions.accounts.rights import may, why_not
from subscriptions.approvals.decide import refuse_first_person, refuse_parties
from subscriptions.approvals.request import refuse_raising
from subscriptions.approvals.undo import why_not_taken_back
from subscriptions.errors import Refused
from subscriptions.models import Direction, ReclaimRequest, RequestState
from subscriptions.models.reclaims.request import WAITING
from subscriptions.reclaims import switches
from subscriptions.reclaims.switches import Operation

REQUEST = "subscriptions.request_removalcandidate"


@dataclass(frozen=True, slots=True)
class Permissions:
    """The actions that a reader may take on a request; `why_not` says why the reader cannot decide.

    `why_not_take_back` says why a reader who may decide cannot take back the rejection. `note` is for a reader who may
    decide, and who has an account that matches nobody at the vendor.
    """

    decide: bool = False
    drop: bool = False
    withdraw: bool = False
    take_back: bool = False
    why_not: str = ""
    why_not_take_back: str = ""
    note: str = ""


def permissions_for(request: ReclaimRequest, user: User | AnonymousUser) -> Permissions:
    waits = request.state in WAITING and not is_overdue(request)
    blocked, reader = _why_not_decide(request, user)
    if request.requested_by_id == user.pk:
        return Permissions(drop=waits, withdraw=waits, why_not=blocked)
    if not may(user, DECIDE):
        return Permissions(why_not=blocked)
    decide = waits and not blocked
    if request.state == RequestState.REJECTED:
        why_not_take_back = blocked or why_not_taken_back(request)
        return Permissions(take_back=not why_not_take_back, why_not=blocked, why_not_take_back=why_not_take_back)
    note = _note(request, reader) if decide and reader else ""
    return Permissions(decide=decide, drop=waits, why_not=blocked, note=note)


def may_decide(request: ReclaimRequest, user: User) -> bool:
    """Whether this user may decide the request as soon as it is open, or take back its rejection."""
    try:
        refuse_first_person(request, actor=user, profile=request.profile)
    except Refused:
        return False
    return True


def _note(request: ReclaimRequest, reader: Identity) -> str:
    if reader.ids or reader.confirmed:
        return ""
    return _(
        "Nobody at {vendor} has your address {email}. If you have a seat there, ask a company admin to "
        "enter it on the page of your account."
    ).format(vendor=request.profile.vendor, email=reader.address)


def _why_not_decide(request: ReclaimRequest, user: User | AnonymousUser) -> tuple[str, Identity | None]:
    """The reason, and the identity of a reader who may decide."""
    if request.requested_by_id == user.pk:
        return _("You made this request. Another person has to decide."), None
    if isinstance(user, User) and (sentence := why_not(user)):
        return sentence, None
    if request.cap_raised_by_id == user.pk:
        return _("You raised the cap of this request. A third person has to decide."), None
    if request.state == RequestState.COLLECTING:
        return _(
            "The people are still being asked. You can decide when they have answered or their time is over."
        ), None
    return _refused(request, user)


def _refused(request: ReclaimRequest, user: User | AnonymousUser) -> tuple[str, Identity | None]:
    """The refusal that an approval would meet. The switches checked here do not stop a restore."""
    reader = None
    try:
        if isinstance(user, User):
            reader = refuse_parties(request, actor=user, profile=request.profile)[user.pk]
        if request.direction == Direction.DEACTIVATE:
            switches.refuse(request.profile, Operation.APPROVE)
    except Refused as refusal:
        return str(refusal), None
    return "", reader


def why_not_raise(request: ReclaimRequest, user: User | AnonymousUser) -> str:
    """Return why the reader cannot raise the cap of a request that is over it; empty when the reader may."""
    if request.state not in WAITING:
        return _("The request no longer waits for a decision.")
    if request.requested_by_id == user.pk:
        return _("You made this request. Another person has to raise its cap, and a third person has to decide.")
    if isinstance(user, User) and (sentence := why_not(user, RAISE)):
        return sentence
    try:
        if isinstance(user, User):
            refuse_raising(request, actor=user, profile=request.profile)
    except Refused as refusal:
        return str(refusal)
    return ""


def may_dry_run(request: ReclaimRequest, user: User | AnonymousUser) -> bool:
    """Until everything is sent, for people who request or decide: a dry run asks the vendor and stores fresh facts."""
    involved = may(user, DECIDE) or user.has_perm(REQUEST)
    return involved and request.state in (*WAITING, RequestState.APPROVED)


def is_overdue(request: ReclaimRequest) -> bool:
    """Its time to be decided is over, and the sweep has not closed it yet."""
    return request.state == RequestState.OPEN and request.expires_at <= database_now()
