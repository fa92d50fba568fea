"""Request, approve, reject, drop, expire: guarded updates, and always a second person.

An approval is of a frozen thing. At approval each person's item gets a seal: an HMAC over request, person, evidence
and validity, with a key outside the database. The send checks it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from collections.abc import Iterable
from datetime import datetime

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from integrations.models import IntegrationProfile, ProfileState
from licensehub.audit.actions import Action
from licensehub.audit.log import Actor, record, record_many
from subscriptions.candidates import NotActionable, cool_down
from subscriptions.models import (
    CandidateState,
    CloseReason,
    Reclaim,
    ReclaimRequest,
    RemovalCandidate,
    RequestedRemoval,
    RequestState,
)
from subscriptions.verdict import Terms


class Refused(Exception):
    """This act is not for this person, or not now. The text says why and what to do instead."""


class OwnRequest(Refused):
    """Nobody decides on their own request."""


class ConcernsYou(Refused):
    """Nobody requests or approves the reclaim of their own seat."""


def request_reclaim(candidates: QuerySet[RemovalCandidate], *, actor: User, reason: str = "") -> ReclaimRequest:
    """Put the Ready ones of these candidates, all of one profile, into one new request.

    Raises NotActionable when none is Ready, Refused when the profile or the person does not allow it.
    """
    ready = candidates.filter(state=CandidateState.READY)
    profile = _one_profile(ready)
    _refuse_unless_deciding(profile)
    now = timezone.now()
    with transaction.atomic():
        request = ReclaimRequest.objects.create(
            profile=profile,
            requested_by=actor,
            requested_at=now,
            reason=reason,
            expires_at=now + settings.REQUEST_WINDOW,
        )
        people = _take_into(request, list(ready.values_list("pk", flat=True)), now)
        _refuse_self(people, actor)
        data = {"people": len(people), "reason": reason}
        record(Action.REQUEST_OPENED, actor=actor, target=request, data=data)
    return request


def _one_profile(candidates: QuerySet[RemovalCandidate]) -> IntegrationProfile:
    profiles = list(IntegrationProfile.objects.filter(candidates__in=candidates).distinct()[:2])
    if not profiles:
        raise NotActionable("None of these candidates is Ready any more, so there is nothing to request.")
    if len(profiles) > 1:
        raise Refused("These candidates belong to several profiles. Request each profile by itself.")
    return profiles[0]


def _refuse_unless_deciding(profile: IntegrationProfile) -> None:
    if profile.state != ProfileState.PUBLISHED:
        raise Refused(
            f"“{profile}” is {profile.get_state_display().lower()}. Publish it before you request or approve."
        )
    if not profile.reclaim_enabled:
        raise Refused(f"Reclaim subscriptions is switched off for “{profile}”. Switch it on in the profile first.")


def _take_into(request: ReclaimRequest, ids: list[int], now: datetime) -> list[RequestedRemoval]:
    """Move the candidates on, then freeze who was really moved: two requests never share a person."""
    locked = RemovalCandidate.objects.select_for_update().filter(pk__in=ids, state=CandidateState.READY)
    rows = list(locked)
    moved = RemovalCandidate.objects.filter(pk__in=[row.pk for row in rows], state=CandidateState.READY).update(
        state=CandidateState.AWAITING_APPROVAL, state_changed_at=now
    )
    if not rows or moved != len(rows):
        raise NotActionable("Somebody else requested these people in this moment. Nothing was changed.")
    return RequestedRemoval.objects.bulk_create(
        RequestedRemoval(request=request, candidate=row, evidence=row.evidence) for row in rows
    )


def _refuse_self(people: Iterable[RequestedRemoval], actor: User) -> None:
    mine = actor.email.strip().casefold()
    if mine and any(person.evidence["email"].casefold() == mine for person in people):
        raise ConcernsYou(
            "Your own seat is among these people, so you can neither request nor approve this. Ask a colleague."
        )


def approve(request: ReclaimRequest, *, actor: User, comment: str = "") -> int:
    """A second person approves: each standing person is sealed and queued. Returns how many.

    Raises OwnRequest, ConcernsYou, Refused or NotActionable; then nothing was changed.
    """
    now = timezone.now()
    with transaction.atomic():
        _decide(request, RequestState.APPROVED, actor=actor, comment=comment, now=now)
        standing = list(request.removals.standing().select_related("candidate__subscription"))
        if not standing:
            raise NotActionable("Nobody is left in this request. Reject it instead.")
        _refuse_self(standing, actor)
        _queue(request, standing, actor=actor, now=now)
    return len(standing)


def _decide(request: ReclaimRequest, state: RequestState, *, actor: User, comment: str, now: datetime) -> None:
    """The one guarded step from open to a decision."""
    if request.requested_by_id == actor.pk:
        raise OwnRequest("You made this request, so another person has to decide on it.")
    _refuse_unless_deciding(IntegrationProfile.objects.get(pk=request.profile_id))
    valid_until = now + settings.APPROVAL_VALIDITY if state == RequestState.APPROVED else None
    decided = ReclaimRequest.objects.filter(pk=request.pk, state=RequestState.OPEN, expires_at__gt=now).update(
        state=state, decided_by=actor, decided_at=now, comment=comment, valid_until=valid_until
    )
    if decided != 1:
        raise NotActionable(_why_closed(request, now))
    request.refresh_from_db()
    action = Action.REQUEST_APPROVED if state == RequestState.APPROVED else Action.REQUEST_REJECTED
    data = {"comment": comment, "people": request.removals.standing().count()}
    record(action, actor=actor, target=request, data=data)


def _why_closed(request: ReclaimRequest, now: datetime) -> str:
    found = ReclaimRequest.objects.select_related("decided_by").get(pk=request.pk)
    if found.state == RequestState.OPEN:
        return f"{found} expired on {found.expires_at:%b %d, %Y %H:%M} UTC. Its people can be requested again."
    by = f" by {found.decided_by.get_username()}" if found.decided_by else ""
    return f"{found} was {found.get_state_display().lower()} already{by}. Nothing was changed."


def _queue(request: ReclaimRequest, people: list[RequestedRemoval], *, actor: User, now: datetime) -> None:
    """Seal each person and put them into the queue of record."""
    candidates = [person.candidate_id for person in people]
    moved = RemovalCandidate.objects.filter(pk__in=candidates, state=CandidateState.AWAITING_APPROVAL).update(
        state=CandidateState.AWAITING_REVOCATION, state_changed_at=now
    )
    if moved != len(people):
        raise NotActionable("Some of these people changed in this moment. Reload the page and look again.")
    for person in people:
        person.seal = seal(person, request)
    RequestedRemoval.objects.bulk_update(people, ["seal"])
    queued = Reclaim.objects.bulk_create(
        Reclaim(
            profile_id=request.profile_id,
            subscription=person.candidate.subscription,
            removal=person,
            queued_at=now,
        )
        for person in people
    )
    targets = [(row, {"request": request.number}) for row in queued]
    record_many(Action.RECLAIM_QUEUED, actor=actor, targets=targets)


def seal(person: RequestedRemoval, request: ReclaimRequest) -> str:
    """HMAC-SHA-256 (RFC 2104) that binds an approval to this person, this evidence and this validity."""
    content = [
        request.pk,
        request.requested_by_id,
        request.decided_by_id,
        request.valid_until.isoformat() if request.valid_until else None,
        person.pk,
        person.candidate_id,
        person.evidence,
    ]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hmac.new(settings.APPROVAL_KEY.encode(), text.encode(), hashlib.sha256).hexdigest()


def is_sealed(person: RequestedRemoval) -> bool:
    return hmac.compare_digest(person.seal, seal(person, person.request))


def reject(request: ReclaimRequest, *, actor: User, comment: str) -> int:
    """A second person says no, and why. The people are left alone for one threshold. Returns how many."""
    if not comment.strip():
        raise Refused("Say in a few words why you reject: the requester, and later an auditor, will want to know.")
    now = timezone.now()
    with transaction.atomic():
        _decide(request, RequestState.REJECTED, actor=actor, comment=comment, now=now)
        return _release(
            request.removals.standing(),
            to=CandidateState.CLOSED_SKIPPED,
            reason=CloseReason.REJECTED,
            actor=actor,
        )


def drop(person: RequestedRemoval, *, actor: User, reason: str = "") -> None:
    """Take one person out of an open request, for good: a recorded mark, not an edit."""
    now = timezone.now()
    with transaction.atomic():
        still_open = ReclaimRequest.objects.filter(state=RequestState.OPEN)
        rows = RequestedRemoval.objects.filter(pk=person.pk, dropped_at=None, request__in=still_open)
        dropped = rows.update(dropped_at=now, dropped_by=actor, drop_reason=reason)
        if dropped != 1:
            raise NotActionable(f"{person} is no longer part of an open request. Nothing was changed.")
        record(Action.PERSON_DROPPED, actor=actor, target=person.request, data={"person": str(person)})
        _release(
            RequestedRemoval.objects.filter(pk=person.pk),
            to=CandidateState.CLOSED_SKIPPED,
            reason=CloseReason.DROPPED,
            actor=actor,
        )


def expire_requests() -> int:
    """Silence keeps: requests that nobody decided in time end, and their people are Ready again."""
    overdue = ReclaimRequest.objects.filter(state=RequestState.OPEN, expires_at__lte=timezone.now())
    return sum(_end(request, RequestState.EXPIRED, Action.REQUEST_EXPIRED, actor=None) for request in overdue)


def cancel(request: ReclaimRequest, *, actor: User) -> None:
    """The requester takes the request back; its people are Ready again."""
    if request.requested_by_id != actor.pk:
        raise Refused("Only the person who made a request can withdraw it. You can reject it.")
    if not _end(request, RequestState.CANCELED, Action.REQUEST_CANCELED, actor=actor):
        raise NotActionable(_why_closed(request, timezone.now()))


def _end(request: ReclaimRequest, state: RequestState, action: Action, *, actor: Actor) -> bool:
    with transaction.atomic():
        if not ReclaimRequest.objects.filter(pk=request.pk, state=RequestState.OPEN).update(state=state):
            return False
        record(action, actor=actor, target=request)
        _release(request.removals.standing(), to=CandidateState.READY, reason="", actor=actor)
    return True


def _release(people: QuerySet[RequestedRemoval], *, to: CandidateState, reason: CloseReason | str, actor: Actor) -> int:
    """Move the people of a request that was not approved; who closed meanwhile (active again) stays closed."""
    candidates = RemovalCandidate.objects.filter(removals__in=people, state=CandidateState.AWAITING_APPROVAL)
    rows = list(candidates)
    RemovalCandidate.objects.filter(pk__in=[row.pk for row in rows]).update(
        state=to, close_reason=reason, state_changed_at=timezone.now()
    )
    action = Action.CANDIDATE_RETURNED if to == CandidateState.READY else Action.CANDIDATE_CLOSED
    correlation = uuid.uuid4()
    targets = [(row, {"reason": str(reason)} if reason else {}) for row in rows]
    record_many(action, actor=actor, targets=targets, correlation=correlation)
    if to == CandidateState.CLOSED_SKIPPED:
        for row in rows:
            terms = Terms.thaw(row.evidence["terms"])
            cool_down([row.subscription_id], days=terms.threshold_for, reason=str(CloseReason(reason).label).lower())
    return len(rows)
