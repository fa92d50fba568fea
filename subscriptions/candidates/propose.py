"""Propose removal candidates from a complete run, each with its frozen evidence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from licensehub.audit.actions import Action
from licensehub.audit.log import Row, record_rows
from subscriptions.bulk_sql import insert, new_ids, read
from subscriptions.candidates import locks
from subscriptions.candidates.withdraw import withdraw
from subscriptions.eligibility.sentences import days_since, explain_candidate
from subscriptions.eligibility.terms import Terms, current_terms
from subscriptions.models import (
    CandidateState,
    DownloadRun,
    Evaluation,
    RemovalCandidate,
    Subscription,
)
from subscriptions.models.fields import split_labels

BATCH = 5000


class CandidateFacts(NamedTuple):
    """The columns of Subscription that the evidence is made of. Model objects would take longer than the rest."""

    pk: int
    external_id: str
    name: str
    email: str
    department: str
    license: str
    role: str
    last_activity_at: datetime | None
    license_assigned_at: datetime | None
    facts_at: datetime
    admin_roles: str | tuple[str, ...]

    @property
    def idle_since(self) -> datetime | None:
        """The same as the column, which is not read: parsing one more moment would take most of the time of a row."""
        return self.last_activity_at or self.license_assigned_at


def _stamp(moment: Any) -> str | None:
    return moment.isoformat() if moment else None


def freeze_evidence(row: CandidateFacts, terms: Terms, now: datetime, shared: Mapping[str, Any]) -> dict[str, Any]:
    """The evidence as JSON: the facts as of the run, the reason in a sentence, and what all rows of the run share."""
    return {
        "external_id": row.external_id,
        "name": row.name,
        "email": row.email,
        "department": row.department,
        "license": row.license,
        "role": row.role,
        "admin_roles": list(split_labels(row.admin_roles)),
        "last_activity_at": _stamp(row.last_activity_at),
        "license_assigned_at": _stamp(row.license_assigned_at),
        "idle_days": days_since(row.idle_since, now),
        "why": explain_candidate(row, terms, now),
        "facts_at": _stamp(row.facts_at),
        **shared,
    }


def propose_candidates(run: DownloadRun, *, before_batch: Callable[[], None] = lambda: None) -> int:
    """Withdraw stale candidates, and open one for each subscription whose verdict is `candidate` and that has none yet.

    Works in batches. Each takes the lock of the profile's row, so two runs never open two candidates for one
    subscription. `before_batch` is called in the transaction of each; what it raises leaves the batches before. Returns
    how many were opened.
    """
    withdraw(run.profile_id, before_batch=before_batch)
    proposed, last = 0, None
    while True:
        with transaction.atomic():
            locks.lock_profile(run.profile_id)
            before_batch()
            rows = _next_to_propose(run.profile_id, last)
            _open(run, rows, current_terms(run.profile_id), timezone.now())
        if not rows:
            # Whoever saved a rule or a protection meanwhile has withdrawn before the last batches were committed.
            withdraw(run.profile_id, before_batch=before_batch)
            return proposed
        proposed, last = proposed + len(rows), Evaluation.objects.get(pk=rows[-1].pk)


def _next_to_propose(profile_id: int, last: Evaluation | None) -> list[CandidateFacts]:
    """The next batch after `last`, the longest idle first, in the order of the index."""
    has_open = RemovalCandidate.objects.open().filter(subscription=OuterRef("pk"))
    rows = Subscription.objects.filter(profile=profile_id).candidates().exclude(Exists(has_open))
    if last:
        since = last.idle_since
        same_moment = Q(evaluation__idle_since=since, evaluation__subscription_id__gt=last.pk)
        rows = rows.filter(Q(evaluation__idle_since__gt=since) | same_moment, evaluation__idle_since__gte=since)
    rows = rows.order_by("evaluation__idle_since", "evaluation__subscription_id")
    return [CandidateFacts(*row) for row in read(rows.values_list(*CandidateFacts._fields)[:BATCH])]


def _open(run: DownloadRun, rows: list[CandidateFacts], terms: Terms, now: datetime) -> None:
    shared = {"run": run.pk, "terms": terms.to_json()}
    evidence = [freeze_evidence(row, terms, now, shared) for row in rows]
    same = {
        "profile_id": run.profile_id,
        "run_id": run.pk,
        "state": CandidateState.READY.value,
        "close_reason": "",
        "attention": "",
        "created_at": now,
        "state_changed_at": now,
    }
    candidates = list(zip(new_ids(RemovalCandidate, len(rows)), rows, evidence, strict=True))
    values = ((pk, row.pk, orjson.dumps(facts).decode()) for pk, row, facts in candidates)
    insert(RemovalCandidate, ("id", "subscription_id", "evidence"), values, same)
    label = RemovalCandidate._meta.label_lower
    events = [Row(label, pk, row.name or row.email or str(pk), {"why": facts["why"]}) for pk, row, facts in candidates]
    record_rows(Action.CANDIDATE_PROPOSED, actor=None, rows=events)
