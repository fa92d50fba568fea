"""Evaluate everybody again after a rule was saved, and withdraw the candidates that are stale now.

`apply_rule` also opens new ones.

The transaction that changes the rule marks this as due. It is done at once, or by a task if there are many people. If
the process is killed, the sweep finds the mark. A protection marks it too, and then evaluates only its own people.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q

from integrations.models import IntegrationProfile
from licensehub.database.clock import database_now
from subscriptions.candidates.withdraw import withdraw
from subscriptions.eligibility.buckets import count_buckets
from subscriptions.eligibility.evaluate import evaluate_profile
from subscriptions.models import ReclaimRule, Subscription
from subscriptions.turns import Turn

LEASE = timedelta(seconds=90)


@dataclass(frozen=True, slots=True)
class RuleEffect:
    """The effect of a rule: of `subscriptions`, `changed` have another verdict now, and `inactive` are inactive.

    `withdrawn` and `proposed` are numbers of candidates.
    """

    subscriptions: int
    changed: int
    inactive: int
    withdrawn: int
    proposed: int


class _TimeOver(Exception):
    """The time of this task is over. The next one continues; the candidates that are withdrawn stay withdrawn."""


def mark_due(profile_id: int) -> datetime | None:
    """Mark that everybody has to be evaluated again. Call it in the transaction of the change.

    Returns the time of the mark, for a caller who evaluates at once all people whom the change concerns: see
    `mark_done`. None if there was a mark before, because that one needs everybody.
    """
    now, rules = database_now(), ReclaimRule.objects.filter(profile=profile_id)
    if rules.filter(evaluation_due_at=None).update(evaluation_due_at=now):
        return now
    rules.update(evaluation_due_at=now)
    return None


def mark_done(profile_id: int, due_at: datetime | None) -> None:
    """Remove the mark that `mark_due` returned. A mark of a later change stays."""
    if due_at is not None:
        ReclaimRule.objects.filter(profile=profile_id, evaluation_due_at=due_at).update(evaluation_due_at=None)


def profiles_to_evaluate() -> list[int]:
    """Ids of the profiles whose people have to be evaluated again, except those that a process evaluates now."""
    due = ReclaimRule.objects.filter(_free(), evaluation_due_at__isnull=False)
    return sorted(due.filter(profile__in=IntegrationProfile.objects.in_use()).values_list("profile_id", flat=True))


def evaluate_again(
    profile: IntegrationProfile,
    *,
    turn: Turn | None = None,
    propose: Callable[[Callable[[], None]], int] = lambda before_batch: 0,
) -> RuleEffect | None:
    """Evaluate everybody, until the turn is over. Returns None while it is not done, here or in another process.

    `propose` then opens candidates, and returns how many. It calls what it is given before each batch.
    """
    rules = ReclaimRule.objects.filter(profile=profile)
    if not rules.filter(_free()).update(evaluation_lease_until=database_now() + LEASE):
        return None
    due_at = rules.values_list("evaluation_due_at", flat=True).get()
    turn = turn or Turn()

    def before_batch() -> None:
        if turn.is_over():
            raise _TimeOver
        rules.update(evaluation_lease_until=database_now() + LEASE)

    try:
        changed = evaluate_profile(profile)
        withdrawn = withdraw(profile.pk, before_batch=before_batch)
        proposed = propose(before_batch)
        # What was saved while candidates were opened withdraws some of them again.
        withdraw(profile.pk, before_batch=before_batch)
        count_buckets(profile)
        # A rule that was saved meanwhile stays due.
        rules.filter(evaluation_due_at=due_at).update(evaluation_due_at=None)
    except _TimeOver:
        return None
    finally:
        rules.update(evaluation_lease_until=None)
    rows = Subscription.objects.filter(profile=profile)
    return RuleEffect(rows.count(), changed, rows.candidates().count(), withdrawn, proposed)


def _free() -> Q:
    return Q(evaluation_lease_until=None) | Q(evaluation_lease_until__lte=database_now())
