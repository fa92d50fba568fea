"""Approve or reject a request: one guarded UPDATE, and always a second person.

An approval covers frozen evidence. It signs each person's item (see `reclaims.signed`), and the send checks the
signature. `closing` holds how a request ends without a decision.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Exists
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.models import IntegrationProfile
from licensehub.audit.actions import Action
from licensehub.audit.log import record
from licensehub.audit.models import AuditEvent
from licensehub.database.clock import database_now
from licensehub.ui.formatting import day_and_time
from licensehub.ui.lists.id_filter import IdIn, IdList
from subscriptions.accounts.origins import TIED_FOR, origin_of, refuse_tied
from subscriptions.accounts.own_seat import (
    Identity,
    has_own_seat,
    identities_in,
    refuse_own_seat,
    refuse_same_person,
    same_person_as,
    seats_of,
)
from subscriptions.accounts.rights import DECIDE, deciders, refuse_without
from subscriptions.accounts.scope import effective_choice, refuse_outside
from subscriptions.accounts.signed_identity import refuse_hidden
from subscriptions.accounts.signed_rights import ABOUT_A_RIGHT, grant_of
from subscriptions.approvals.closing import why_ended
from subscriptions.approvals.deciders import reviewers_of
from subscriptions.approvals.leaving import SEND_BACK, Keep, keep_seats
from subscriptions.approvals.parties import authors_of, parties_of
from subscriptions.bulk_sql import planned_for
from subscriptions.candidates import caps, locks
from subscriptions.candidates.request_digest import (
    RequestedPerson,
    RequestRows,
    approval_of,
    is_as_signed,
    next_digests,
    rows_of,
)
from subscriptions.candidates.signed_answers import answers_are_signed
from subscriptions.errors import ChangedOutside, NotActionable, OverCap, OwnRequest, Refused
from subscriptions.models import (
    CandidateState,
    CloseReason,
    DecidingRight,
    Direction,
    ReclaimRequest,
    RemovalCandidate,
    RequestState,
)
from subscriptions.reclaims import switches
from subscriptions.reclaims.enqueue import enqueue
from subscriptions.reclaims.switches import Operation
from subscriptions.webhooks.requests import tell_decided

REVIEWED = gettext_lazy(
    "Somebody in this request needed review, and you made them a candidate. Another person has to decide, or you drop "
    "these people from the request first."
)
FILED_BY_YOUR_RULE = gettext_lazy(
    "The schedule made this request by a rule that you switched to automatic, or changed in the {days} days before. "
    "Another person has to decide."
)
CHANGED_OUTSIDE = gettext_lazy(
    "{request} differs from what was requested: somebody changed the request, its people or their answers in the "
    "database. Nothing was approved. Reject the request, find out who can write to the database, then request these "
    "people again."
)
CHANGED = gettext_lazy("Some of these people have just changed. Reload the page and check again.")


def approve(
    request: ReclaimRequest, *, actor: User, comment: str = "", revision: int | None = None, digest: str | None = None
) -> int:
    """A second person approves: everybody who was not dropped is signed and queued. Returns how many.

    `revision` and `digest` are those of the list which the person has seen.
    A restore has no caps, and no candidates that move.

    Raises OwnRequest, ConcernsYou, OverCap, ChangedOutside, Refused or NotActionable; then nothing was changed.
    """
    try:
        return _approve(request, actor=actor, comment=comment, revision=revision, digest=digest)
    except ChangedOutside:
        note_changed_outside(request, actor=actor)
        raise


def _approve(request: ReclaimRequest, *, actor: User, comment: str, revision: int | None, digest: str | None) -> int:
    now = database_now()
    with transaction.atomic():
        locks.lock_profile(request.profile_id)
        locks.lock_request(request)
        found = refuse_changed_outside(request)
        _decide(request, RequestState.APPROVED, actor=actor, comment=comment, now=now, revision=revision)
        if digest is not None and digest != found.digest:
            raise NotActionable(CHANGED)
        people = found.not_dropped
        if not people:
            raise NotActionable(
                _("Nobody is left in {request}, so it ends by itself within a minute.").format(request=request)
            )
        if request.direction == Direction.DEACTIVATE:
            if sentence := caps.over(request, len(people)):
                raise OverCap(sentence)
            _move_on(people, now)
        queued = enqueue(request, people, actor=actor, now=now)
        # Somebody may have changed the rows since they were read.
        if queued != request.removals.not_dropped().count():
            raise NotActionable(CHANGED)
    return queued


def refuse_changed_outside(request: ReclaimRequest) -> RequestRows:
    """Compare the rows of an open request with its newest signed event, in the transaction of the approval.

    Returns the rows, so that the approval signs exactly what was compared; none of a request that is not open.
    Raises ChangedOutside.
    """
    locks.lock_audit()
    row = ReclaimRequest.objects.get(pk=request.pk)
    if row.state != RequestState.OPEN:
        return RequestRows([], "", "")
    rows = rows_of(row)
    if not (is_as_signed(row, rows) and answers_are_signed(row)):
        raise ChangedOutside(CHANGED_OUTSIDE.format(request=row))
    return rows


def note_changed_outside(request: ReclaimRequest, *, actor: User) -> None:
    """Record once that an approval of this request was refused since its rows differ from what was requested."""
    with transaction.atomic():
        locks.lock_audit()
        events = AuditEvent.objects.filter(target_type=request._meta.label_lower, target_id=request.pk)
        if not events.filter(action=Action.REQUEST_TAMPERED).exists():
            record(Action.REQUEST_TAMPERED, actor=actor, target=request)


def _decide(
    request: ReclaimRequest,
    state: RequestState,
    *,
    actor: User,
    comment: str,
    now: datetime,
    revision: int | None = None,
    keep: Keep | None = None,
) -> None:
    """The guarded UPDATE from open to a decision."""
    profile = IntegrationProfile.objects.get(pk=request.profile_id)
    mine = refuse_first_person(request, actor=actor, profile=profile)
    operation = Operation.RESTORE if request.direction == Direction.REACTIVATE else Operation.APPROVE
    switches.refuse(profile, operation)
    valid_until = now + settings.APPROVAL_VALIDITY if state == RequestState.APPROVED else None
    rows = ReclaimRequest.objects.filter(
        ~has_own_seat(actor, profile),
        Exists(deciders(DECIDE, profile.pk).filter(pk=actor.pk)),
        pk=request.pk,
        state=RequestState.OPEN,
        expires_at__gt=now,
        cap_raised_by=request.cap_raised_by_id,
        revision=request.revision if revision is None else revision,
    ).exclude(requested_by__in=mine)
    values: dict[str, Any] = {"state": state, "decided_by": actor, "decided_at": now, "comment": comment}
    values["valid_until"] = valid_until
    if keep is not None and request.direction == Direction.DEACTIVATE:
        values |= {"kept_as": keep.kept_as, "kept_until": keep.until}
    with planned_for(request.removals.count()):
        decided = rows.update(**values)
    if decided != 1:
        raise NotActionable(why_closed(request, now))
    request.refresh_from_db()
    action = Action.REQUEST_APPROVED if state == RequestState.APPROVED else Action.REQUEST_REJECTED
    data = {"comment": comment, "people": request.removals.not_dropped().count(), "account": _account(actor)}
    data |= {**next_digests(request), **approval_of(request), **(keep.as_data() if keep else {})}
    record(action, actor=actor, target=request, data=data)
    tell_decided(request)


def _account(actor: User) -> dict[str, Any]:
    """The facts about the deciding account that an auditor asks for: its age, since when it may decide and by which
    event, and for which profiles (ids; None for all).
    """
    origin, profiles, grant = origin_of(actor), effective_choice(actor), grant_of(actor)
    return {
        "made_at": origin.made_at,
        "made_by": origin.made_by,
        "may_decide_since": DecidingRight.objects.get(user=actor).since,
        "right": {name: grant.data.get(name) for name in ABOUT_A_RIGHT} if grant else {},
        "decides_for": None if profiles is None else sorted(profiles),
    }


def refuse_first_person(request: ReclaimRequest, *, actor: User, profile: IntegrationProfile) -> list[int]:
    """Raise OwnRequest or ConcernsYou when this user, with any account, made the request or is one of its people, and
    Refused without an effective right to decide, or with an account that is tied to the requester.

    Returns the ids of these accounts.
    """
    refuse_outside(actor, profile.pk)
    identities = refuse_parties(request, actor=actor, profile=profile)
    refuse_without(actor, DECIDE)
    parties = parties_of(request) | reviewers_of(request)
    refuse_hidden({actor.pk, *parties}, identities=identities, profile=profile)
    return same_person_as([actor.pk], identities)


def refuse_parties(request: ReclaimRequest, *, actor: User, profile: IntegrationProfile) -> dict[int, Identity]:
    """The same without the right to decide, for a page that has asked for it. Returns who owns which account."""
    identities = identities_in(profile)
    mine = same_person_as([actor.pk], identities)
    refuse_same_person(request.requested_by, mine, sentence=_("You made this request. Another person has to decide."))
    raised = _("You raised the cap of this request, so a third person has to decide on it.")
    refuse_same_person(request.cap_raised_by, mine, sentence=raised)
    reviewers = reviewers_of(request)
    if reviewers & set(mine):
        raise OwnRequest(REVIEWED)
    if authors_of(request) & set(mine):
        raise OwnRequest(FILED_BY_YOUR_RULE.format(days=TIED_FOR.days))
    parties = parties_of(request) | reviewers
    refuse_tied([pk for pk in identities if pk in parties], actor=actor, identities=identities)
    seats = seats_of(request.removals.not_dropped())
    refuse_own_seat(seats, actor=actor, profile=profile, mine=identities[actor.pk])
    return identities


def why_closed(request: ReclaimRequest, now: datetime) -> str:
    """Return why it can no longer be decided, in one sentence."""
    found = ReclaimRequest.objects.select_related("decided_by").get(pk=request.pk)
    if found.state == RequestState.COLLECTING:
        return _("{request} still waits for the answers of its people. Nothing was changed.").format(request=found)
    if found.state == RequestState.OPEN and found.expires_at > now:
        return _("{request} has just changed. Reload its page and check again.").format(request=found)
    if found.state == RequestState.OPEN:
        return _("{request} expired on {time}. Its people can be requested again.").format(
            request=found, time=day_and_time(found.expires_at)
        )
    return why_ended(found)


def _move_on(people: list[RequestedPerson], now: datetime) -> None:
    """The candidates now wait for their reclaim."""
    ids = IdList.of(person.candidate_id for person in people)
    waiting = RemovalCandidate.objects.filter(IdIn("pk", ids), state=CandidateState.AWAITING_APPROVAL)
    if waiting.update(state=CandidateState.AWAITING_REVOCATION, state_changed_at=now) != len(people):
        raise NotActionable(CHANGED)


def reject(request: ReclaimRequest, *, actor: User, comment: str, keep: Keep = SEND_BACK) -> int:
    """A second person rejects, with a reason, and chooses what follows. Returns how many people are concerned.

    People who were to be restored stay deactivated. `undo.take_back_rejection` undoes it.
    """
    comment = comment.strip()
    if not comment:
        raise Refused(_("Say in a few words why you reject: the requester, and later an auditor, will want to know."))
    keep.check()
    with transaction.atomic():
        locks.lock_profile(request.profile_id)
        locks.lock_request(request)
        _decide(request, RequestState.REJECTED, actor=actor, comment=comment, now=database_now(), keep=keep)
        people = request.removals.not_dropped()
        keep_seats(people, keep, request=request, reason=CloseReason.REJECTED, why=comment, actor=actor)
        return people.count()
