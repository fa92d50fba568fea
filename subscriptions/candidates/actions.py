"""The actions on one candidate: each is a guarded step from state to state, with its audit event."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from integrations.connectors.contract import english
from licensehub.audit.actions import Action
from licensehub.audit.log import Actor, record
from licensehub.database.clock import database_now
from licensehub.ui.lists.id_filter import IdIn, IdList
from subscriptions.accounts.own_seat import refuse_own_seat, seats_of_candidates
from subscriptions.accounts.scope import refuse_outside
from subscriptions.bulk_sql import FEW
from subscriptions.eligibility.evaluate import evaluate_rows
from subscriptions.eligibility.terms import Terms, current_terms
from subscriptions.errors import NotActionable
from subscriptions.models import (
    CandidateState,
    CloseReason,
    Direction,
    Reclaim,
    ReclaimState,
    RemovalCandidate,
    Subscription,
)

# The reasons of cool-downs. The sentence of the verdict contains them.
LEFT_ALONE = english("left alone after a check")
KEPT_BY_USER = english("kept by the user")
REJECTED, DROPPED = english("rejected"), english("dropped from the request")


def move(
    candidate: RemovalCandidate,
    *,
    allowed: Iterable[CandidateState],
    to: CandidateState,
    action: Action,
    actor: Actor,
    reason: CloseReason | str = "",
    attention: str = "",
    correlation: uuid.UUID | None = None,
) -> None:
    """One guarded step of a candidate, with its audit event. Raises NotActionable when its state has changed."""
    with transaction.atomic():
        moved = RemovalCandidate.objects.filter(pk=candidate.pk, state__in=list(allowed)).update(
            state=to, close_reason=reason, attention=attention, state_changed_at=database_now()
        )
        if moved != 1:
            now = RemovalCandidate.objects.get(pk=candidate.pk)
            raise NotActionable(
                _("{candidate} is “{state}” by now. Nothing was changed.").format(
                    candidate=candidate, state=now.get_state_display()
                )
            )
        data = {"to": to.value, "reason": str(reason), "attention": attention}
        record(
            action,
            actor=actor,
            target=candidate,
            data={key: value for key, value in data.items() if value},
            correlation=correlation,
        )


def cool_down(rows: Iterable[int], *, days: Callable[[str], int], reason: str) -> None:
    """Leave these subscriptions (ids) alone for `days(license)`, e.g. one threshold after a *Keep*.

    Somebody decided for the person, so what an admin decided before on a reason for review is over.
    """
    now, ids = database_now(), IdList.of(rows)
    subscriptions = Subscription.objects.filter(IdIn("pk", ids))
    for license in subscriptions.values_list("license", flat=True).distinct().order_by():
        until = now + timedelta(days=days(license))
        values = {"cooldown_until": until, "cooldown_reason": reason, "review_passed": False}
        subscriptions.filter(license=license).update(**values)
    evaluate_people(ids)


def pause(rows: Iterable[int], *, until: datetime, reason: str) -> None:
    """Leave these subscriptions (ids) alone until this moment. A cool-down that ends later stays as it is.

    Somebody decided for the person, so what an admin decided before on a reason for review is over.
    """
    ids = IdList.of(rows)
    subscriptions = Subscription.objects.filter(IdIn("pk", ids))
    subscriptions.update(review_passed=False)
    shorter = subscriptions.filter(Q(cooldown_until=None) | Q(cooldown_until__lte=until))
    shorter.update(cooldown_until=until, cooldown_reason=reason)
    evaluate_people(ids)


def end_pause(rows: Iterable[int], *, until: datetime, reason: str, reviewed: IdList) -> None:
    """Take back what `pause` did for these subscriptions (ids). A cool-down with another end or reason goes on.

    `reviewed`: the subscriptions that an admin had made candidates after a review. That decision holds again.
    """
    ids = IdList.of(rows)
    same = Subscription.objects.filter(IdIn("pk", ids), cooldown_until=until, cooldown_reason=reason)
    same.filter(IdIn("pk", reviewed)).update(review_passed=True)
    same.update(cooldown_until=None, cooldown_reason="")
    evaluate_people(ids)


def evaluate_people(ids: IdList) -> None:
    """Evaluate these subscriptions again, each by the rule of its profile."""
    subscriptions = Subscription.objects.filter(IdIn("pk", ids))
    for profile_id in subscriptions.values_list("profile", flat=True).distinct().order_by():
        evaluate_rows(subscriptions.filter(profile=profile_id), current_terms(profile_id), few=ids.number <= FEW)


def resume(candidate: RemovalCandidate, *, actor: Actor) -> None:
    """Make the candidate Ready again, after the cause of a refusal is solved. It needs a new request and approval."""
    refuse_outside(actor, candidate.profile_id)
    refuse_own_candidate(candidate, actor=actor)
    if send_in_doubt(candidate):
        raise NotActionable(
            _("The last send to {candidate} is in doubt. Leave this person alone, or send again.").format(
                candidate=candidate
            )
        )
    ready_again(candidate, actor=actor)


def refuse_own_candidate(candidate: RemovalCandidate, *, actor: Actor) -> None:
    """Raise ConcernsYou when this candidate is the actor."""
    seats = seats_of_candidates(RemovalCandidate.objects.filter(pk=candidate.pk))
    refuse_own_seat(seats, actor=actor, profile=candidate.profile)


def ready_again(candidate: RemovalCandidate, *, actor: Actor) -> None:
    refuse_outside(actor, candidate.profile_id)
    move(
        candidate,
        allowed=[CandidateState.ATTENTION_REQUIRED],
        to=CandidateState.READY,
        action=Action.CANDIDATE_RETURNED,
        actor=actor,
    )


def send_in_doubt(candidate: RemovalCandidate) -> Reclaim | None:
    """The last send to this candidate, if its effect is unknown and a person has to look; None otherwise."""
    sends = Reclaim.objects.filter(removal__candidate=candidate, direction=Direction.DEACTIVATE)
    last = sends.order_by("-pk").first()
    return last if last and last.state == ReclaimState.IN_DOUBT and last.read_back else None


def leave_alone(candidate: RemovalCandidate, *, actor: Actor) -> None:
    """Close the candidate, since a human decided that this person keeps the seat."""
    refuse_outside(actor, candidate.profile_id)
    refuse_own_candidate(candidate, actor=actor)
    with transaction.atomic():
        move(
            candidate,
            allowed=[CandidateState.ATTENTION_REQUIRED],
            to=CandidateState.CLOSED_SKIPPED,
            reason=CloseReason.LEFT_ALONE,
            action=Action.CANDIDATE_CLOSED,
            actor=actor,
        )
        terms = Terms.from_json(candidate.evidence["terms"])
        cool_down([candidate.subscription_id], days=terms.threshold_for, reason=LEFT_ALONE)
