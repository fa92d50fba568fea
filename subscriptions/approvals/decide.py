"""Request, raise the cap, approve, reject: guarded updates, and always a second person.

An approval covers frozen evidence. The approval signs each person's item (see `reclaims.signatures`), and the send
checks the signature. `closing` holds how a request ends without a decision.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet, Value
from django.db.models.fields.json import KT
from django.utils import timezone

from integrations.models import IntegrationProfile
from licensehub.audit.actions import Action
from licensehub.audit.log import Actor, record
from subscriptions.approvals.closing import release
from subscriptions.bulk_sql import insert_selected
from subscriptions.candidates import caps
from subscriptions.candidates.propose import ready_again, send_in_doubt
from subscriptions.errors import (
    NotActionable,
    OverCap,
    OwnRequest,
    Refused,
    refuse_self,
)
from subscriptions.models import (
    CandidateState,
    CloseReason,
    Direction,
    FileRequests,
    Notice,
    NoticeKind,
    Reclaim,
    ReclaimRequest,
    ReclaimRule,
    RemovalCandidate,
    RequestedRemoval,
    RequestState,
)
from subscriptions.reclaims import switches
from subscriptions.reclaims.enqueue import enqueue
from subscriptions.reclaims.switches import Operation

FILED = "Filed by LicenseHub after the download, as the rule says."
CHANGED = "Some of these people changed in this moment. Reload the page and look again."


# --- Request ----------------------------------------------------------------------------------------------------------


def request_reclaim(
    candidates: QuerySet[RemovalCandidate], *, actor: Actor, reason: str = "", repeats: Reclaim | None = None
) -> ReclaimRequest:
    """Put the Ready ones of these candidates, all of one profile, into one new request.

    It opens for approval at once, or after its people were asked, as the rule says. `actor=None`: the schedule filed
    it. Raises NotActionable when none is Ready, Refused when the profile or the person does not allow it.
    """
    ready = candidates.filter(state=CandidateState.READY)
    profile = one_profile(ready)
    switches.refuse(profile, Operation.REQUEST)
    with transaction.atomic():
        caps.lock(profile.pk)
        rule = ReclaimRule.objects.get(profile=profile)
        asks = rule.notify_user and repeats is None
        request = _create(profile, rule if asks else None, actor=actor, reason=reason, repeats=repeats)
        people = _take_into(request, ready, asks=asks)
        refuse_self(request.removals.emails(), actor)
        data = {"people": people, "reason": reason, "cap": request.cap, "asks": asks}
        record(Action.REQUEST_OPENED, actor=actor, target=request, data=data)
    return request


def _create(
    profile: IntegrationProfile, asking: ReclaimRule | None, *, actor: Actor, reason: str, repeats: Reclaim | None
) -> ReclaimRequest:
    now = timezone.now()
    answers = timedelta(days=asking.days_to_answer) if asking else timedelta(0)
    return ReclaimRequest.objects.create(
        profile=profile,
        state=RequestState.COLLECTING if asking else RequestState.OPEN,
        requested_by=actor,
        requested_at=now,
        reason=reason,
        answers_until=now + answers if asking else None,
        expires_at=now + answers + settings.REQUEST_WINDOW,
        cap=caps.batch_of(profile),
        repeats=repeats,
    )


def one_profile(candidates: QuerySet[RemovalCandidate]) -> IntegrationProfile:
    """The profile that all of these candidates are of. Raises NotActionable for nobody, Refused for several."""
    profiles = list(IntegrationProfile.objects.filter(candidates__in=candidates).distinct()[:2])
    if not profiles:
        raise NotActionable("None of these candidates is Ready any more, so there is nothing to request.")
    if len(profiles) > 1:
        raise Refused("These candidates belong to several profiles. Request each profile by itself.")
    return profiles[0]


def _take_into(request: ReclaimRequest, ready: QuerySet[RemovalCandidate], *, asks: bool) -> int:
    """Freeze who is Ready, and move exactly them on: two requests never share a person. Returns how many."""
    # Said once more outside: who is requested by somebody else while this waits for the lock is not Ready after it.
    locked = RemovalCandidate.objects.select_for_update().filter(pk__in=ready.values("pk"), state=CandidateState.READY)
    values = (Value(request.pk), "pk", "evidence", Value(""), Value(""), Value(""))
    columns = ("request_id", "candidate_id", "evidence", "signature", "answer", "drop_reason")
    people = insert_selected(RequestedRemoval, columns, locked.order_by("pk").values_list(*values))
    taken = RemovalCandidate.objects.filter(pk__in=request.removals.values("candidate"), state=CandidateState.READY)
    moved = taken.update(
        state=CandidateState.AWAITING_USER if asks else CandidateState.AWAITING_APPROVAL,
        state_changed_at=request.requested_at,
    )
    if not people or moved != people:
        raise NotActionable("Somebody else requested these people in this moment. Nothing was changed.")
    if asks:
        Notice.objects.bulk_create(
            Notice(removal_id=pk, kind=NoticeKind.ASK, email=email)
            for pk, email in request.removals.values_list("pk", KT("evidence__email"))
        )
    return people


def file_automatically(profile: IntegrationProfile) -> ReclaimRequest | None:
    """File a request as the schedule, where the rule says so: the longest idle first, up to the batch cap.

    One at a time: the next one is filed when the former is decided. A person still approves.
    """
    rule = ReclaimRule.objects.get(profile=profile)
    if rule.file_requests != FileRequests.AUTOMATIC or switches.refusal(profile, Operation.REQUEST):
        return None
    with transaction.atomic():
        caps.lock(profile.pk)
        waiting = ReclaimRequest.objects.filter(
            profile=profile, requested_by=None, state__in=(RequestState.COLLECTING, RequestState.OPEN)
        )
        ready = RemovalCandidate.objects.filter(profile=profile, state=CandidateState.READY)
        chosen = ready.order_by("subscription__idle_since", "pk").values_list("pk", flat=True)
        ids = [] if waiting.exists() else list(chosen[: caps.batch_of(profile)])
        if not ids:
            return None
        return request_reclaim(RemovalCandidate.objects.filter(pk__in=ids), actor=None, reason=FILED)


def send_again(candidate: RemovalCandidate, *, actor: User, reason: str) -> ReclaimRequest:
    """After a send in doubt whose person is still active: a new request for this one person, with its own approval.

    Nobody in between sees the candidate as Ready: both steps are one transaction, under the profile's lock.
    """
    if not reason.strip():
        raise Refused("Say in a few words why it should be sent again, for the person who decides.")
    with transaction.atomic():
        caps.lock(candidate.profile_id)
        doubt = send_in_doubt(candidate)
        if doubt is None:
            raise NotActionable(f"No send to {candidate} is in doubt, so there is nothing to repeat.")
        ready_again(candidate, actor=actor)
        one = RemovalCandidate.objects.filter(pk=candidate.pk)
        return request_reclaim(one, actor=actor, reason=reason.strip(), repeats=doubt)


def raise_cap(request: ReclaimRequest, *, actor: User, reason: str) -> int:
    """A further person lets this one request touch all of its people. Returns how many that are.

    Neither the one who asked nor, later, the one who decides. Raises Refused or NotActionable.
    """
    if request.requested_by_id == actor.pk:
        raise OwnRequest("You made this request, so another person has to raise its cap, and a third one to decide.")
    if not reason.strip():
        raise Refused("Say in a few words why so many people at once are right, for the person who decides.")
    with transaction.atomic():
        caps.lock(request.profile_id)
        refuse_self(request.removals.standing().emails(), actor)
        people = request.removals.standing().count()
        waiting = ReclaimRequest.objects.filter(
            pk=request.pk,
            state__in=(RequestState.COLLECTING, RequestState.OPEN),
            cap=request.cap,
            cap_raised_by=request.cap_raised_by_id,
        )
        values = {"cap": people, "cap_raised_by": actor, "cap_raised_at": timezone.now(), "cap_reason": reason.strip()}
        if not caps.over(request, people) or waiting.update(**values) != 1:
            raise NotActionable(f"{request} is within its cap, or no longer waits for a decision. Nothing was changed.")
        record(Action.REQUEST_CAP_RAISED, actor=actor, target=request, data={"to": people, "reason": reason.strip()})
    return people


def open_for_approval(request: ReclaimRequest) -> bool:
    """The answers are in: everybody left moves on together. Returns False when another process did it."""
    now = timezone.now()
    with transaction.atomic():
        collecting = ReclaimRequest.objects.filter(pk=request.pk, state=RequestState.COLLECTING)
        if not collecting.select_for_update().exists():
            return False
        people = list(request.removals.standing().values_list("candidate_id", flat=True))
        to = RequestState.OPEN if people else RequestState.CANCELED
        if collecting.update(state=to, expires_at=now + settings.REQUEST_WINDOW) != 1:
            raise NotActionable(f"{request} no longer waits for answers.")
        waiting = RemovalCandidate.objects.filter(pk__in=people, state=CandidateState.AWAITING_USER)
        waiting.update(state=CandidateState.AWAITING_APPROVAL, state_changed_at=now)
        action = Action.REQUEST_READY if people else Action.REQUEST_CANCELED
        record(action, actor=None, target=request, data={"people": len(people)})
    return True


# --- Decide -----------------------------------------------------------------------------------------------------------


def approve(request: ReclaimRequest, *, actor: User, comment: str = "") -> int:
    """A second person approves: each standing person is signed and queued. Returns how many.

    A restore has neither caps nor candidates on their way.
    Raises OwnRequest, ConcernsYou, OverCap, Refused or NotActionable; then nothing was changed.
    """
    now = timezone.now()
    with transaction.atomic():
        caps.lock(request.profile_id)
        _decide(request, RequestState.APPROVED, actor=actor, comment=comment, now=now)
        people = request.removals.standing().count()
        if not people:
            raise NotActionable("Nobody is left in this request. Reject it instead.")
        refuse_self(request.removals.standing().emails(), actor)
        if request.direction == Direction.DEACTIVATE:
            _refuse_over_cap(request, people)
            _move_on(request, people, now)
        if enqueue(request, actor=actor, now=now) != people:
            raise NotActionable(CHANGED)
    return people


def _refuse_over_cap(request: ReclaimRequest, people: int) -> None:
    if sentence := caps.over(request, people):
        raise OverCap(sentence)


def _decide(request: ReclaimRequest, state: RequestState, *, actor: User, comment: str, now: datetime) -> None:
    """The one guarded step from open to a decision."""
    if request.requested_by_id == actor.pk:
        raise OwnRequest("You made this request, so another person has to decide on it.")
    if request.cap_raised_by_id == actor.pk:
        raise OwnRequest("You raised the cap of this request, so a third person has to decide on it.")
    _refuse_by_switches(request)
    valid_until = now + settings.APPROVAL_VALIDITY if state == RequestState.APPROVED else None
    rows = ReclaimRequest.objects.filter(
        pk=request.pk, state=RequestState.OPEN, expires_at__gt=now, cap_raised_by=request.cap_raised_by_id
    )
    decided = rows.update(state=state, decided_by=actor, decided_at=now, comment=comment, valid_until=valid_until)
    if decided != 1:
        raise NotActionable(why_closed(request, now))
    request.refresh_from_db()
    action = Action.REQUEST_APPROVED if state == RequestState.APPROVED else Action.REQUEST_REJECTED
    data = {"comment": comment, "people": request.removals.standing().count()}
    record(action, actor=actor, target=request, data=data)


def _refuse_by_switches(request: ReclaimRequest) -> None:
    profile = IntegrationProfile.objects.get(pk=request.profile_id)
    restores = request.direction == Direction.REACTIVATE
    switches.refuse(profile, Operation.RESTORE if restores else Operation.APPROVE)


def why_closed(request: ReclaimRequest, now: datetime) -> str:
    """Why no decision can be made on it any more, in one sentence."""
    found = ReclaimRequest.objects.select_related("decided_by").get(pk=request.pk)
    if found.state == RequestState.COLLECTING:
        return f"{found} still waits for the answers of its people. Nothing was changed."
    if found.state == RequestState.OPEN and found.expires_at > now:
        return f"{found} changed in this moment. Reload its page and look again."
    if found.state == RequestState.OPEN:
        return f"{found} expired on {found.expires_at:%b %d, %Y %H:%M} UTC. Its people can be requested again."
    by = f" by {found.decided_by.get_username()}" if found.decided_by else ""
    return f"{found} was {found.get_state_display().lower()} already{by}. Nothing was changed."


def _move_on(request: ReclaimRequest, people: int, now: datetime) -> None:
    """The candidates now wait for their reclaim."""
    candidates = request.removals.standing().values("candidate")
    moved = RemovalCandidate.objects.filter(pk__in=candidates, state=CandidateState.AWAITING_APPROVAL).update(
        state=CandidateState.AWAITING_REVOCATION, state_changed_at=now
    )
    if moved != people:
        raise NotActionable(CHANGED)


def reject(request: ReclaimRequest, *, actor: User, comment: str) -> int:
    """A second person says no, and why. Returns of how many people.

    Whoever was to be reclaimed is left alone for one threshold; whoever was to be restored stays deactivated.
    """
    if not comment.strip():
        raise Refused("Say in a few words why you reject: the requester, and later an auditor, will want to know.")
    now = timezone.now()
    with transaction.atomic():
        _decide(request, RequestState.REJECTED, actor=actor, comment=comment, now=now)
        standing = request.removals.standing()
        release(standing, to=CandidateState.CLOSED_SKIPPED, reason=CloseReason.REJECTED, actor=actor)
        return standing.count()
