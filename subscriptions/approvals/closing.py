"""End requests, or take single people out of them, without an approval: drop, withdraw, expire, nobody left."""

from __future__ import annotations

import contextlib
import itertools

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext as _

from integrations.models import IntegrationProfile
from licensehub.audit.actions import Action
from licensehub.audit.log import Actor, record, record_many
from licensehub.database.clock import database_now
from licensehub.translations.stored import in_english
from licensehub.ui.formatting import inside, name_of
from subscriptions.accounts.own_seat import is_own, refuse_own_seat, seats_of
from subscriptions.accounts.scope import refuse_outside
from subscriptions.approvals.leaving import SEND_BACK, Keep, keep_seats, release, start_cool_downs
from subscriptions.bulk_sql import planned_for
from subscriptions.candidates.locks import lock_candidate, lock_profile, lock_request
from subscriptions.candidates.request_digest import next_digests
from subscriptions.errors import NotActionable, Refused
from subscriptions.models import (
    CandidateState,
    CloseReason,
    Direction,
    Notification,
    NotificationKind,
    ReclaimRequest,
    RequestedRemoval,
    RequestState,
)
from subscriptions.models.reclaims.request import WAITING

MAX_DROP_REASON = 200
# At most so many are looked at.
MAX_IN_A_ROW = 50


def drop(person: RequestedRemoval, *, actor: User, reason: str, keep: Keep = SEND_BACK) -> None:
    """A user takes one person out of an undecided request, and chooses what follows. `undo.take_back_in` undoes it.

    Raises Refused without a reason, ConcernsYou for the own seat, NotActionable when it is too late.
    """
    refuse_outside(actor, person.request.profile_id)
    reason = reason.strip()
    if not reason:
        raise Refused(_("Say in a few words why this person is dropped: an auditor will want to know."))
    keep.check()
    with transaction.atomic():
        request = _take_out(person, actor=actor, reason=reason, keep=keep)
        people = RequestedRemoval.objects.filter(pk=person.pk)
        keep_seats(people, keep, request=request, reason=CloseReason.DROPPED, why=reason, actor=actor)


def drop_by_licensehub(
    person: RequestedRemoval, *, reason: str, close_reason: CloseReason = CloseReason.DROPPED
) -> None:
    """LicenseHub takes one person out of an undecided request, who is then in cool-down for one threshold.

    Raises NotActionable when it is too late.
    """
    with transaction.atomic():
        _take_out(person, actor=None, reason=reason)
        people = RequestedRemoval.objects.filter(pk=person.pk)
        left = release(people, to=CandidateState.CLOSED_SKIPPED, reason=close_reason, actor=None)
        start_cool_downs(left, close_reason)


def _take_out(person: RequestedRemoval, *, actor: Actor, reason: str, keep: Keep | None = None) -> ReclaimRequest:
    """Mark the person as dropped, with the audit event. The row stays. Returns the request."""
    request = ReclaimRequest.objects.get(pk=person.request_id)
    profile = lock_profile(request.profile_id)
    lock_candidate(person.candidate_id)
    refuse_own_seat(seats_of(RequestedRemoval.objects.filter(pk=person.pk)), actor=actor, profile=profile)
    values = {"dropped_at": database_now(), "dropped_by": actor, "drop_reason": reason[:MAX_DROP_REASON]}
    if keep is not None and request.direction == Direction.DEACTIVATE:
        values |= {"kept_as": keep.kept_as, "kept_until": keep.until}
    waiting = ReclaimRequest.objects.filter(state__in=WAITING)
    rows = RequestedRemoval.objects.filter(pk=person.pk, dropped_at=None, request__in=waiting)
    if rows.exclude(is_own(actor, profile)).update(**values) != 1:
        raise NotActionable(
            _("{person} is no longer part of an open request. Nothing was changed.").format(person=person)
        )
    data = {"person": str(person), "removal": person.pk, "reason": reason, **(keep.as_data() if keep else {})}
    data |= next_digests(request, dropped=[person.pk])
    record(Action.PERSON_DROPPED, actor=actor, target=request, data=data)
    return request


def end_empty_requests(requests: QuerySet[ReclaimRequest] | None = None) -> int:
    """End the requests in which nobody is left. The next request can then be filed.

    Nobody can be added to a request, so one that is empty stays empty. Call it in no other transaction: see `locks`.
    """
    left = RequestedRemoval.objects.not_dropped().filter(request=OuterRef("pk"))
    rows = ReclaimRequest.objects.all() if requests is None else requests
    empty = rows.filter(~Exists(left), state__in=WAITING)
    return sum(_end(request, RequestState.EMPTY, Action.REQUEST_EMPTY, actor=None) for request in empty)


def drop_needless_restores() -> int:
    """People who are active again, or left the organization, leave the request to restore them. Returns how many."""
    waiting = ReclaimRequest.objects.filter(direction=Direction.REACTIVATE, state=RequestState.OPEN)
    people = RequestedRemoval.objects.not_dropped().filter(request__in=list(waiting.values_list("pk", flat=True)))
    left = people.filter(Q(candidate__subscription__active=True) | Q(candidate__subscription__gone_at__isnull=False))
    with planned_for(people.count()):
        found = list(left.select_related("candidate__subscription", "request"))
    for person in found:
        gone = person.candidate.subscription.gone_at is not None
        with contextlib.suppress(NotActionable):
            drop_by_licensehub(
                person, reason=in_english((CloseReason.GONE if gone else CloseReason.ACTIVE_AGAIN).label)
            )
    return len(found)


def drop_unanswered(people: list[RequestedRemoval], *, reason: str) -> None:
    """Take people without an answer out of one request, in the caller's transaction. They are Ready again.

    Somebody who answers at this moment stays in it.
    """
    now = database_now()
    silent = RequestedRemoval.objects.not_dropped().filter(pk__in=[person.pk for person in people], answer="")
    silent.update(dropped_at=now, drop_reason=reason)
    left = RequestedRemoval.objects.filter(pk__in=[person.pk for person in people], dropped_at=now)
    ids = set(left.values_list("pk", flat=True))
    gone = [person for person in people if person.pk in ids]
    digests = {person.request_id: next_digests(person.request, dropped=ids) for person in gone[:1]}
    targets = [
        (person.request, {"person": str(person), "removal": person.pk, "reason": reason, **digests[person.request_id]})
        for person in gone
    ]
    record_many(Action.PERSON_DROPPED, actor=None, targets=targets)
    release(left, to=CandidateState.READY, reason="", actor=None)


def expire_requests() -> int:
    """End the requests that nobody decided in time. Their people are Ready again."""
    overdue = ReclaimRequest.objects.filter(state=RequestState.OPEN, expires_at__lte=database_now())
    return sum(_end(request, RequestState.EXPIRED, Action.REQUEST_EXPIRED, actor=None) for request in overdue)


def cancel(request: ReclaimRequest, *, actor: User) -> None:
    """The requester withdraws the request. Its people are Ready again; those of a restore stay deactivated."""
    refuse_outside(actor, request.profile_id)
    if request.requested_by_id != actor.pk:
        raise Refused(_("Only the person who made a request can withdraw it. You can reject it."))
    if not _end(request, RequestState.CANCELED, Action.REQUEST_CANCELED, actor=actor):
        raise NotActionable(why_ended(ReclaimRequest.objects.select_related("decided_by").get(pk=request.pk)))


def why_ended(request: ReclaimRequest) -> str:
    """A sentence about how a request ended that no longer waits."""
    if request.state == RequestState.EMPTY:
        return _("Nobody is left in {request}, so it ended by itself. Nothing was changed.").format(request=request)
    state = inside(request.get_state_display())
    if request.decided_by is None:
        return _("{request} was {state} already. Nothing was changed.").format(request=request, state=state)
    return _("{request} was {state} already by {name}. Nothing was changed.").format(
        request=request, state=state, name=name_of(request.decided_by)
    )


def _end(request: ReclaimRequest, state: RequestState, action: Action, *, actor: Actor) -> bool:
    with transaction.atomic():
        lock_request(request)
        if not ReclaimRequest.objects.filter(pk=request.pk, state__in=WAITING).update(state=state):
            return False
        record(action, actor=actor, target=request)
        release(request.removals.not_dropped(), to=CandidateState.READY, reason="", actor=actor)
        if state == RequestState.EXPIRED:
            kind = NotificationKind.EXPIRED
            Notification.objects.create(
                kind=kind, key=f"{kind}:{request.pk}", profile_id=request.profile_id, request=request
            )
    return True


def expired_in_a_row(profile: IntegrationProfile) -> list[ReclaimRequest]:
    """The last requests to reclaim that expired, up to the last decision, the newest first."""
    ended = (RequestState.EXPIRED, RequestState.APPROVED, RequestState.REJECTED)
    rows = ReclaimRequest.objects.filter(profile=profile, direction=Direction.DEACTIVATE, state__in=ended)
    last = rows.order_by("-pk").only("state")[:MAX_IN_A_ROW]
    return list(itertools.takewhile(lambda request: request.state == RequestState.EXPIRED, last))
