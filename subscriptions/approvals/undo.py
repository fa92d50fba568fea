"""Take back a rejection, or take a person back in who was dropped, as long as nothing was requested again.

The people are then where they were: in a request that waits for a decision, with its former end. It is not an approval,
and an approval checks expiry, caps and four eyes again. Pauses and protections of that decision end.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.db.models.fields.json import KT
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.connectors.contract import english
from licensehub.audit.actions import Action
from licensehub.audit.log import Row, record, record_rows
from licensehub.database.clock import database_now
from licensehub.translations.stored import translated
from licensehub.ui.lists.id_filter import IdIn, IdList
from subscriptions.accounts.own_seat import has_own_seat, refuse_own_seat, seats_of
from subscriptions.accounts.scope import refuse_outside
from subscriptions.approvals.collecting import clock_runs
from subscriptions.approvals.decide import refuse_first_person, why_closed
from subscriptions.approvals.leaving import Keep, pause_reason
from subscriptions.bulk_sql import FEW, planned_for
from subscriptions.candidates import locks
from subscriptions.candidates.actions import end_pause, evaluate_people
from subscriptions.candidates.request_digest import next_digests
from subscriptions.errors import NotActionable
from subscriptions.models import (
    Answer,
    CandidateState,
    CloseReason,
    Direction,
    KeptAs,
    Notice,
    NoticeKind,
    NoticeState,
    Protection,
    Reclaim,
    ReclaimRequest,
    RemovalCandidate,
    RequestedRemoval,
    RequestState,
    Verdict,
)
from subscriptions.models.reclaims.request import WAITING
from subscriptions.reclaims import switches
from subscriptions.reclaims.restores import restorable
from subscriptions.reclaims.switches import Operation
from subscriptions.rules.protections import end_in_transaction

NO_CANDIDATE = english("No candidate any more when the rejection was taken back")
LEFT_RESTORE = english("Cannot be restored any more")
# The time within which somebody who was dropped by mistake is taken back in, after the days to answer have begun.
MOMENT = timedelta(hours=1)
NOBODY = gettext_lazy("Nobody in it is a candidate any more, so there is nothing to take back.")
# The states of a request in which its people are requested.
REQUESTING = (*WAITING, RequestState.APPROVED)


# --- A rejection ------------------------------------------------------------------------------------------------------


def why_not_taken_back(request: ReclaimRequest) -> str:
    """Return why nobody can take back this rejection now; empty when somebody can."""
    if request.state != RequestState.REJECTED:
        return _("{request} is not rejected.").format(request=request)
    if request.expires_at <= database_now():
        return _("{request} expired meanwhile, so its rejection stays. Its people can be requested again.").format(
            request=request
        )
    if again := _requested_again(request, request.removals.not_dropped()):
        return _("{request} asks for some of these people since then, so this rejection stays.").format(request=again)
    return ""


def take_back_rejection(request: ReclaimRequest, *, actor: User) -> int:
    """The request waits for a decision again, until its former end. Returns how many people are in it again.

    The actor is somebody who may decide it. People who are no candidates any more leave the request. Raises OwnRequest,
    ConcernsYou, Refused or NotActionable; then nothing was changed.
    """
    with transaction.atomic():
        profile = locks.lock_profile(request.profile_id)
        locks.lock_request(request)
        request.refresh_from_db()
        mine = refuse_first_person(request, actor=actor, profile=profile)
        switches.refuse(profile, _operation(request))
        if sentence := why_not_taken_back(request):
            raise NotActionable(sentence)
        people, keep = (
            request.removals.not_dropped(),
            Keep(KeptAs(request.kept_as or KeptAs.SENT_BACK), request.kept_until),
        )
        before = {"rejected_by": request.decided_by_id, "comment": request.comment, **keep.as_data()}
        rows = ReclaimRequest.objects.filter(
            ~has_own_seat(actor, profile),
            pk=request.pk,
            state=RequestState.REJECTED,
            decided_at=request.decided_at,
            expires_at__gt=database_now(),
        ).exclude(requested_by__in=mine)
        able = _restorable(people)  # before the request waits again, since then it asks for them
        with planned_for(people.count()):
            _reopen(request, rows)
        why = pause_reason(request, CloseReason.REJECTED, request.comment)
        back = able or _bring_back(request, people, keep, reason=CloseReason.REJECTED, why=why, actor=actor)
        if not back.number:
            raise NotActionable(NOBODY)
        data = {**before, "people": back.number, "left": _leave_out(request, people, back), **next_digests(request)}
        record(Action.REJECTION_TAKEN_BACK, actor=actor, target=request, data=data)
    request.refresh_from_db()
    return back.number


def _reopen(request: ReclaimRequest, rows: QuerySet[ReclaimRequest]) -> None:
    """The guarded UPDATE. The new revision makes an approval on an older page impossible."""
    values: dict[str, Any] = {"decided_by": None, "decided_at": None, "comment": "", "kept_as": "", "kept_until": None}
    if rows.update(state=RequestState.OPEN, revision=F("revision") + 1, **values) != 1:
        raise NotActionable(why_closed(request, database_now()))


def _leave_out(request: ReclaimRequest, people: QuerySet[RequestedRemoval], back: IdList) -> int:
    """Drop the people who are not back from the request. Returns how many."""
    restoring = request.direction == Direction.REACTIVATE
    reason, now = (LEFT_RESTORE if restoring else NO_CANDIDATE), database_now()
    left = people.exclude(IdIn("candidate", back))
    names = [*left.order_by("pk").values_list("pk", KT("evidence__name"), KT("evidence__email"))]
    ids = IdList.of(pk for pk, _, _ in names)
    RequestedRemoval.objects.filter(IdIn("pk", ids), dropped_at=None).update(dropped_at=now, drop_reason=reason)
    digests = next_digests(request, dropped=[pk for pk, _, _ in names])
    label, same = ReclaimRequest._meta.label_lower, {"reason": reason, **digests}
    events = [
        Row(label, request.pk, str(request), {"person": name or email or str(pk), "removal": pk, **same})
        for pk, name, email in names
    ]
    record_rows(Action.PERSON_DROPPED, actor=None, rows=events)
    return ids.number


# --- A dropped person -------------------------------------------------------------------------------------------------


def why_not_back_in(person: RequestedRemoval, *, actor: User, decides: bool) -> str:
    """Return why this user cannot take this dropped person back in; empty when it is possible.

    `decides`: the user may decide the request. The requester can take back only what they dropped themselves.
    """
    request = person.request
    if person.dropped_at is None:
        return _("{person} is in {request}.").format(person=person, request=request)
    if request.state not in WAITING or (request.state == RequestState.OPEN and request.expires_at <= database_now()):
        return _("{request} no longer waits for a decision.").format(request=request)
    if person.dropped_by_id is None:
        return _("LicenseHub dropped {person}: {reason}").format(person=person, reason=translated(person.drop_reason))
    if not decides and person.dropped_by_id != actor.pk:
        return _("Another person dropped this person. Ask somebody who may decide the request.")
    if request.answers_until is not None and not _was_asked_in_time(person):
        return _(
            "{person} was not asked, or not for the whole time to answer. Make a new request for this person."
        ).format(person=person)
    if again := _requested_again(request, RequestedRemoval.objects.filter(pk=person.pk)):
        return _("{request} asks for {person} since then.").format(request=again, person=person)
    return ""


def _was_asked_in_time(person: RequestedRemoval) -> bool:
    """Whether silence may count: the question was sent, and the drop did not shorten the days to answer.

    While a person is dropped, the link in the mail takes no answer, and no reminder is sent. So a person stays out who
    was dropped for more than a moment after the days had begun.
    """
    request = person.request
    asked = person.notices.filter(kind=NoticeKind.ASK, bounced_at=None).first()
    if asked is None or asked.state not in (NoticeState.SENT, NoticeState.DUE, NoticeState.CANCELED):
        return False
    dropped, until = person.dropped_at, request.answers_until
    if request.state == RequestState.COLLECTING and not clock_runs(request):
        return True
    if asked.state != NoticeState.SENT or dropped is None:
        return False
    if person.answer == Answer.RELEASE:
        return True
    if request.state == RequestState.COLLECTING:
        return database_now() - dropped < MOMENT
    return until is not None and dropped >= until


def take_back_in(person: RequestedRemoval, *, actor: User, decides: bool) -> None:
    """A dropped person is in the request again, while it waits. An approver has to see the new list.

    Raises ConcernsYou, Refused or NotActionable; then nothing was changed.
    """
    refuse_outside(actor, person.request.profile_id)
    with transaction.atomic():
        profile = locks.lock_profile(
            ReclaimRequest.objects.values_list("profile_id", flat=True).get(pk=person.request_id)
        )
        person.refresh_from_db()
        request = ReclaimRequest.objects.get(pk=person.request_id)
        person.request = request
        people = RequestedRemoval.objects.filter(pk=person.pk)
        refuse_own_seat(seats_of(people), actor=actor, profile=profile)
        switches.refuse(profile, _operation(request))
        if sentence := why_not_back_in(person, actor=actor, decides=decides):
            raise NotActionable(sentence)
        _lock_waiting(request)
        # After the request: a process that locks a request with its people leaves out those who are dropped.
        locks.lock_candidate(person.candidate_id)
        keep = Keep(KeptAs(person.kept_as or KeptAs.SENT_BACK), person.kept_until)
        able = _restorable(people)  # before the person is back in, since then the request asks for them
        _undrop(person)
        why = pause_reason(request, CloseReason.DROPPED, person.drop_reason)
        back = able or _bring_back(request, people, keep, reason=CloseReason.DROPPED, why=why, actor=actor)
        if not back.number:
            raise NotActionable(NOBODY)
        data = {"person": str(person), "removal": person.pk, "reason_of_the_drop": person.drop_reason}
        data |= {**keep.as_data(), **next_digests(request, back=[person.pk])}
        record(Action.PERSON_TAKEN_BACK_IN, actor=actor, target=request, data=data)


def _lock_waiting(request: ReclaimRequest) -> None:
    """Lock the row of the request while it waits, so that it cannot end meanwhile. The list has a new revision."""
    in_time = Q(state=RequestState.COLLECTING) | Q(state=RequestState.OPEN, expires_at__gt=database_now())
    if (
        ReclaimRequest.objects.filter(in_time, pk=request.pk, state=request.state).update(revision=F("revision") + 1)
        != 1
    ):
        raise NotActionable(_("{request} has just changed. Reload its page and check again.").format(request=request))


def _undrop(person: RequestedRemoval) -> None:
    values: dict[str, Any] = {
        "dropped_at": None,
        "dropped_by": None,
        "drop_reason": "",
        "kept_as": "",
        "kept_until": None,
    }
    rows = RequestedRemoval.objects.filter(pk=person.pk, dropped_at=person.dropped_at)
    if rows.update(**values) != 1:
        raise NotActionable(_("{person} was taken back in already.").format(person=person))
    # Mails that were not needed meanwhile are needed again.
    Notice.objects.filter(removal=person.pk, state=NoticeState.CANCELED).update(state=NoticeState.DUE)


# --- Both -------------------------------------------------------------------------------------------------------------


def _operation(request: ReclaimRequest) -> Operation:
    return Operation.RESTORE if request.direction == Direction.REACTIVATE else Operation.REQUEST


def _requested_again(request: ReclaimRequest, people: QuerySet[RequestedRemoval]) -> ReclaimRequest | None:
    """A later request that asks for one of these people, or that was approved for one of them."""
    with planned_for(people.count()):
        subscriptions = IdList.of(people.order_by().values_list("candidate__subscription", flat=True))
    later = RequestedRemoval.objects.not_dropped().filter(
        IdIn("candidate__subscription", subscriptions), request__gt=request.pk, request__state__in=REQUESTING
    )
    with planned_for(subscriptions.number):
        found = later.order_by("request").values_list("request", flat=True).first()
    return ReclaimRequest.objects.get(pk=found) if found else None


def _bring_back(
    request: ReclaimRequest,
    people: QuerySet[RequestedRemoval],
    keep: Keep,
    *,
    reason: CloseReason,
    why: str,
    actor: User,
) -> IdList:
    """End what was chosen for these people, and move the candidates among them back. Returns the ids of these.

    `reason` and `why` are those of the decision that is taken back.
    """
    with planned_for(people.count()):
        rows = list(people.order_by("pk").values_list("pk", "candidate", "candidate__subscription"))
    subscriptions = IdList.of(subscription for _, _, subscription in rows)
    _end_what_was_chosen(IdList.of(pk for pk, _, _ in rows), subscriptions, keep, why=why, actor=actor)
    return _move_back(IdList.of(candidate for _, candidate, _ in rows), request, reason=reason, actor=actor)


def _restorable(people: QuerySet[RequestedRemoval]) -> IdList | None:
    """The candidates of those people of a restore who can still be restored. None for a request to reclaim."""
    reclaims = IdList.of(pk for pk in people.order_by().values_list("restores", flat=True) if pk)
    if not reclaims.number:
        return None
    few = reclaims.number <= FEW
    with planned_for(reclaims.number):
        able = IdList.read(restorable(Reclaim.objects.filter(IdIn("pk", reclaims)), few=few).order_by())
    return IdList.of(people.filter(IdIn("restores", able)).order_by().values_list("candidate", flat=True))


def _end_what_was_chosen(people: IdList, subscriptions: IdList, keep: Keep, *, why: str, actor: User) -> None:
    """End the pauses or the protections of that decision, and evaluate these people again."""
    ids = [int(pk) for pk in subscriptions.listed.split(",") if pk]
    if keep.kept_as == KeptAs.PAUSED and keep.until:
        end_pause(ids, until=keep.until, reason=why, reviewed=_still_reviewed(people))
    elif keep.kept_as == KeptAs.PROTECTED:
        end_in_transaction(Protection.objects.filter(IdIn("removal", people)), actor=actor)
        evaluate_people(subscriptions)
    else:
        evaluate_people(subscriptions)


def _still_reviewed(people: IdList) -> IdList:
    """The subscriptions of people who are in the request after a review, and whose facts have not changed since."""
    passed = RequestedRemoval.objects.filter(
        IdIn("pk", people),
        evidence__has_key="review",
        candidate__subscription__facts_at__lte=F("candidate__created_at"),
    )
    with planned_for(people.number):
        return IdList.of(passed.order_by().values_list("candidate__subscription", flat=True))


def _move_back(candidates: IdList, request: ReclaimRequest, *, reason: CloseReason, actor: User) -> IdList:
    """Move those of these candidates back into the request who are candidates by the verdict of now."""
    other = RemovalCandidate.objects.open().filter(subscription=OuterRef("subscription")).exclude(pk=OuterRef("pk"))
    closed = Q(state=CandidateState.CLOSED_SKIPPED, close_reason=reason) & ~Exists(other)
    able = RemovalCandidate.objects.filter(
        Q(state=CandidateState.READY) | closed,
        IdIn("pk", candidates),
        subscription__evaluation__verdict=Verdict.CANDIDATE,
    )
    with planned_for(candidates.number):
        found = IdList.read(able.order_by())
    left_as = Q(state=CandidateState.READY) | Q(state=CandidateState.CLOSED_SKIPPED, close_reason=reason)
    rows = RemovalCandidate.objects.filter(left_as, IdIn("pk", found))
    columns = ("pk", KT("evidence__name"), KT("evidence__email"))
    locked = list(rows.order_by("pk").select_for_update().values_list(*columns))
    asks = request.state == RequestState.COLLECTING
    to = CandidateState.AWAITING_USER if asks else CandidateState.AWAITING_APPROVAL
    back = IdList.of(pk for pk, _, _ in locked)
    moved = RemovalCandidate.objects.filter(left_as, IdIn("pk", back))
    if moved.update(state=to, close_reason="", state_changed_at=database_now()) != back.number:
        raise NotActionable(_("Some of these people have just changed. Nothing was changed."))
    label, data = RemovalCandidate._meta.label_lower, {"request": request.number}
    events = [Row(label, pk, name or email or str(pk), data) for pk, name, email in locked]
    record_rows(Action.CANDIDATE_IN_REQUEST_AGAIN, actor=actor, rows=events)
    return back
