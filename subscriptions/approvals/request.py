"""Request a reclaim, by a person, by the schedule, or again after a send in doubt, and open it for approval.

A request holds frozen evidence. A person in it can be dropped, and nobody can be added.
"""

from __future__ import annotations

from datetime import timedelta

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Exists, QuerySet, Value
from django.db.models.fields.json import KT
from django.utils.translation import gettext as _

from integrations.connectors.contract import english
from integrations.models import IntegrationProfile
from licensehub.audit.actions import Action
from licensehub.audit.log import Actor, record
from licensehub.database.clock import database_now
from licensehub.ui.lists.id_filter import IdIn, IdList
from subscriptions.accounts.origins import TIED_FOR, refuse_tied
from subscriptions.accounts.own_seat import (
    has_own_seat,
    identities_in,
    refuse_own_seat,
    refuse_same_person,
    same_person_as,
    seats_of,
)
from subscriptions.accounts.rights import RAISE, deciders, refuse_without
from subscriptions.accounts.scope import refuse_outside
from subscriptions.accounts.signed_identity import refuse_hidden
from subscriptions.approvals import closing
from subscriptions.approvals.parties import authors_of
from subscriptions.bulk_sql import insert_selected, planned_for
from subscriptions.candidates import caps, locks
from subscriptions.candidates.actions import ready_again, send_in_doubt
from subscriptions.candidates.request_digest import first_digests, next_digests
from subscriptions.errors import NotActionable, OwnRequest, Refused
from subscriptions.models import (
    CandidateState,
    FileRequests,
    Notice,
    NoticeKind,
    Protection,
    Reclaim,
    ReclaimRequest,
    ReclaimRule,
    RemovalCandidate,
    RequestedRemoval,
    RequestState,
)
from subscriptions.models.reclaims.request import WAITING
from subscriptions.reclaims import switches
from subscriptions.reclaims.switches import Operation
from subscriptions.schedules.working_days import end_of_window

FILED = english("Filed by LicenseHub after the download, as the rule says.")


def request_reclaim(
    candidates: QuerySet[RemovalCandidate], *, actor: Actor, reason: str = "", repeats: Reclaim | None = None
) -> ReclaimRequest:
    """Make one request of the Ready ones of these candidates, all of one profile.

    It opens for approval at once, or after its people were asked, as the rule says. `actor=None` stands for the
    schedule. Raises NotActionable when none is Ready, Refused when the profile or the person does not allow it.
    """
    ids = IdList.read(candidates.filter(state=CandidateState.READY).order_by())
    ready = RemovalCandidate.objects.filter(IdIn("pk", ids), state=CandidateState.READY)
    profile = one_profile(ready)
    refuse_outside(actor, profile.pk)
    switches.refuse(profile, Operation.REQUEST)
    with transaction.atomic():
        locks.lock_profile(profile.pk)
        rule = ReclaimRule.objects.get(profile=profile)
        asks = rule.notify_user and repeats is None
        request = _create(profile, rule if asks else None, actor=actor, reason=reason, repeats=repeats)
        people = _take_into(request, ready, asks=asks)
        refuse_own_seat(seats_of(request.removals.all()), actor=actor, profile=profile)
        data = {"people": people, "reason": reason, "cap": request.cap, "asks": asks, **first_digests(request)}
        record(Action.REQUEST_OPENED, actor=actor, target=request, data=data)
    return request


def _create(
    profile: IntegrationProfile, asking: ReclaimRule | None, *, actor: Actor, reason: str, repeats: Reclaim | None
) -> ReclaimRequest:
    now = database_now()
    answers = timedelta(days=asking.days_to_answer) if asking else timedelta(0)
    return ReclaimRequest.objects.create(
        profile=profile,
        state=RequestState.COLLECTING if asking else RequestState.OPEN,
        requested_by=actor,
        requested_at=now,
        reason=reason,
        answers_until=now + answers if asking else None,
        expires_at=end_of_window(now + answers),
        cap=caps.batch_of(profile),
        repeats=repeats,
    )


def profiles_of(candidates: QuerySet[RemovalCandidate]) -> list[IntegrationProfile]:
    """The profiles of these candidates, by name. Raises NotActionable without candidates."""
    found = list(candidates.order_by().values_list("profile", flat=True).distinct())
    profiles = list(IntegrationProfile.objects.filter(pk__in=found).order_by("name", "pk"))
    if not profiles:
        raise NotActionable(_("None of these candidates is Ready any more, so there is nothing to request."))
    return profiles


def one_profile(candidates: QuerySet[RemovalCandidate]) -> IntegrationProfile:
    """The one profile of these candidates. Raises NotActionable without candidates, Refused for several profiles."""
    profiles = profiles_of(candidates)
    if len(profiles) > 1:
        raise Refused(_("These candidates belong to several profiles. Request each profile by itself."))
    return profiles[0]


def _take_into(request: ReclaimRequest, ready: QuerySet[RemovalCandidate], *, asks: bool) -> int:
    """Copy the evidence of the Ready candidates, and move exactly these on, so that two requests never share a person.

    Returns how many.
    """
    locked = ready.select_for_update()
    values = (Value(request.pk), "pk", "evidence", Value(""), Value(""))
    columns = ("request_id", "candidate_id", "evidence", "answer", "drop_reason")
    people = insert_selected(RequestedRemoval, columns, locked.order_by("pk").values_list(*values))
    taken = IdList.of(request.removals.values_list("candidate", flat=True))
    moved = RemovalCandidate.objects.filter(IdIn("pk", taken), state=CandidateState.READY).update(
        state=CandidateState.AWAITING_USER if asks else CandidateState.AWAITING_APPROVAL,
        state_changed_at=request.requested_at,
    )
    if not people or moved != people:
        raise NotActionable(_("Somebody else has just requested these people. Nothing was changed."))
    if asks:
        Notice.objects.bulk_create(
            Notice(removal_id=pk, kind=NoticeKind.ASK, email=email)
            for pk, email in request.removals.values_list("pk", KT("evidence__email"))
        )
    return people


def file_automatically(profile: IntegrationProfile) -> ReclaimRequest | None:
    """Make the request of the schedule, if the rule says so: the longest idle people first, up to the batch cap.

    The next request is made only after the one before is decided. A person still approves. If a protection covers
    nobody any more, no request is made until a user has looked: the protected people may be among the candidates.
    """
    rule = ReclaimRule.objects.get(profile=profile)
    if rule.file_requests != FileRequests.AUTOMATIC or switches.refusal(profile, Operation.REQUEST):
        return None
    if Protection.objects.lost().of(profile.pk).exists():
        raise Refused(_("Protections cover nobody any more, and no user has looked at them yet."))
    closing.end_empty_requests(ReclaimRequest.objects.filter(profile=profile))
    with transaction.atomic():
        locks.lock_profile(profile.pk)
        waiting = ReclaimRequest.objects.filter(profile=profile, requested_by=None, state__in=WAITING)
        ready = RemovalCandidate.objects.filter(profile=profile, state=CandidateState.READY)
        chosen = ready.order_by("idle_since", "pk").values_list("pk", flat=True)
        ids = [] if waiting.exists() else list(chosen[: caps.batch_of(profile)])
        if not ids:
            return None
        return request_reclaim(RemovalCandidate.objects.filter(IdIn("pk", IdList.of(ids))), actor=None, reason=FILED)


def send_again(candidate: RemovalCandidate, *, actor: User, reason: str) -> ReclaimRequest:
    """Request this person again, after a send in doubt, because they are still active. It needs its own approval.

    The candidate becomes Ready and is requested in one transaction, under the profile's lock.
    """
    if not reason.strip():
        raise Refused(_("Say in a few words why it should be sent again, for the person who decides."))
    with transaction.atomic():
        locks.lock_profile(candidate.profile_id)
        in_doubt = send_in_doubt(candidate)
        if in_doubt is None:
            raise NotActionable(
                _("No send to {candidate} is in doubt, so there is nothing to repeat.").format(candidate=candidate)
            )
        ready_again(candidate, actor=actor)
        again = RemovalCandidate.objects.filter(pk=candidate.pk)
        return request_reclaim(again, actor=actor, reason=reason.strip(), repeats=in_doubt)


def raise_cap(request: ReclaimRequest, *, actor: User, reason: str) -> int:
    """Raise the cap of this one request to the number of its people, and return that number.

    The actor is neither the requester nor, later, the one who decides. Raises Refused or NotActionable.
    """
    mine = refuse_raising(request, actor=actor, profile=request.profile)
    if not reason.strip():
        raise Refused(_("Say in a few words why so many people at once are right, for the person who decides."))
    with transaction.atomic():
        profile = locks.lock_profile(request.profile_id)
        people = request.removals.not_dropped().count()
        waiting = ReclaimRequest.objects.filter(
            ~has_own_seat(actor, profile),
            Exists(deciders(RAISE, profile.pk).filter(pk=actor.pk)),
            pk=request.pk,
            state__in=WAITING,
            cap=request.cap,
            cap_raised_by=request.cap_raised_by_id,
        ).exclude(requested_by__in=mine)
        values = {"cap": people, "cap_raised_by": actor, "cap_raised_at": database_now(), "cap_reason": reason.strip()}
        with planned_for(people):
            raised = waiting.update(**values) if caps.over(request, people) else 0
        if raised != 1:
            raise NotActionable(
                _("{request} is within its cap, or no longer waits for a decision. Nothing was changed.").format(
                    request=request
                )
            )
        former = {"cap": request.cap, "cap_raised_by_id": request.cap_raised_by_id}
        data = {"to": people, "reason": reason.strip(), **next_digests(request, former=former)}
        record(Action.REQUEST_CAP_RAISED, actor=actor, target=request, data=data)
    return people


def refuse_raising(request: ReclaimRequest, *, actor: User, profile: IntegrationProfile) -> list[int]:
    """Raise OwnRequest or ConcernsYou when this user may not raise the cap. Returns the ids of the user's accounts."""
    refuse_outside(actor, profile.pk)
    identities = identities_in(profile)
    mine = same_person_as([actor.pk], identities)
    sentence = _("You made this request. Another person has to raise its cap, and a third person has to decide.")
    refuse_same_person(request.requested_by, mine, sentence=sentence)
    authors = authors_of(request)
    if authors & set(mine):
        sentence = _(
            "The schedule made this request by a rule that you switched to automatic, or changed in the {days} days "
            "before. Another person has to raise its cap."
        )
        raise OwnRequest(sentence.format(days=TIED_FOR.days))
    parties = authors | ({request.requested_by_id} if request.requested_by_id is not None else set())
    refuse_tied([pk for pk in identities if pk in parties], actor=actor, identities=identities)
    seats = seats_of(request.removals.not_dropped())
    refuse_own_seat(seats, actor=actor, profile=profile, mine=identities[actor.pk])
    refuse_without(actor, RAISE)
    refuse_hidden({actor.pk, *parties}, identities=identities, profile=profile)
    return mine


def open_for_approval(request: ReclaimRequest) -> bool:
    """All answers are in, so open the request: everybody left awaits approval. False when another process did it."""
    now = database_now()
    with transaction.atomic():
        collecting = ReclaimRequest.objects.filter(pk=request.pk, state=RequestState.COLLECTING)
        if not collecting.select_for_update().exists():
            return False
        people = list(request.removals.not_dropped().values_list("candidate_id", flat=True))
        to = RequestState.OPEN if people else RequestState.EMPTY
        if collecting.update(state=to, expires_at=end_of_window(now)) != 1:
            raise NotActionable(_("{request} no longer waits for answers.").format(request=request))
        waiting = RemovalCandidate.objects.filter(IdIn("pk", IdList.of(people)), state=CandidateState.AWAITING_USER)
        waiting.update(state=CandidateState.AWAITING_APPROVAL, state_changed_at=now)
        action = Action.REQUEST_READY if people else Action.REQUEST_EMPTY
        record(action, actor=None, target=request, data={"people": len(people), **next_digests(request)})
    return True
