"""Propose removal candidates from a complete run, each with its frozen evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils.translation import gettext as _

from integrations.connectors.contract import english
from integrations.models import IntegrationProfile
from licensehub.audit.actions import Action
from licensehub.audit.log import Row, record_rows
from licensehub.database.clock import database_now
from licensehub.translations.stored import as_evidence
from licensehub.ui.lists.id_filter import IdIn, IdList
from subscriptions.bulk_sql import batches, insert, large_tables, new_ids, read
from subscriptions.candidates import locks
from subscriptions.candidates.withdraw import withdraw
from subscriptions.eligibility.sentences import days_since, explain_candidate
from subscriptions.eligibility.terms import Terms, current_terms
from subscriptions.errors import NotActionable
from subscriptions.models import (
    CandidateState,
    DownloadRun,
    RemovalCandidate,
    Subscription,
)
from subscriptions.models.fields import split_labels
from subscriptions.search import text_of

BATCH = 5000
REVIEWED = english("{why} Made a candidate by {by} although a review was needed ({needed}): “{reason}”")


class CandidateFacts(NamedTuple):
    """The columns of Subscription that the evidence is made of. Model objects would take longer than the rest."""

    pk: int
    external_id: str
    name: str
    email: str
    department: str
    cost_center: str
    license: str
    role: str
    last_activity_at: datetime | None
    license_assigned_at: datetime | None
    facts_at: datetime
    admin_roles: str | tuple[str, ...]
    review_passed: bool

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

    Returns how many were opened.
    """
    withdraw(run.profile_id, before_batch=before_batch)
    proposed = open_candidates(run, before_batch=before_batch)
    # A rule or a protection that was saved meanwhile has withdrawn candidates before the last batches were committed.
    withdraw(run.profile_id, before_batch=before_batch)
    return proposed


def open_candidates(run: DownloadRun, *, before_batch: Callable[[], None] = lambda: None) -> int:
    """Open a candidate for each subscription whose verdict is `candidate` and that has none yet. Returns how many.

    Works in batches. Each takes the lock of the profile's row, so two processes never open two candidates for one
    subscription. `before_batch` is called in the transaction of each; what it raises leaves the batches before.
    """
    proposed = 0
    for batch in batches(_to_propose(run.profile_id), BATCH):
        with transaction.atomic():
            locks.lock_profile(run.profile_id)
            before_batch()
            rows = _read_facts(run.profile_id, first=batch[0], last=batch[-1])
            _open(run, rows, current_terms(run.profile_id), database_now())
        proposed += len(rows)
    return proposed


def _to_propose(profile_id: int) -> QuerySet[Subscription, int]:
    has_open = RemovalCandidate.objects.open().filter(subscription=OuterRef("pk"))
    rows = Subscription.objects.filter(profile=profile_id).candidates().exclude(Exists(has_open))
    return rows.values_list("pk", flat=True)


def _read_facts(profile_id: int, *, first: int, last: int) -> list[CandidateFacts]:
    """The subscriptions to propose with ids from `first` to `last`, as they are now.

    Each table is read in this range, so that no plan reads a whole table for each batch.
    """
    within = {"subscription__gte": first, "subscription__lte": last}
    has_open = RemovalCandidate.objects.open().filter(subscription=OuterRef("pk"), **within)
    rows = Subscription.objects.filter(profile=profile_id, pk__gte=first, pk__lte=last)
    rows = rows.candidates().filter(**{f"evaluation__{name}": pk for name, pk in within.items()})
    rows = rows.exclude(Exists(has_open)).order_by()
    with large_tables():
        return [CandidateFacts(*row) for row in read(rows.values_list(*CandidateFacts._fields))]


def open_reviewed(
    profile: IntegrationProfile, reviews: Mapping[int, Mapping[str, Any]], terms: Terms
) -> dict[int, int]:
    """Open candidates for people who needed review: subscription id -> review. Returns the ids of the candidates.

    A review becomes a part of the evidence: the admin who decided (`by`, and the account's `by_id`), the `reason`, and
    why the person needed a review (`needed`, `why`). Call it under the lock of the profile.
    """
    run = DownloadRun.objects.with_facts().filter(profile=profile).first()
    if run is None:
        raise NotActionable(_("No download is complete yet."))
    people = Subscription.objects.filter(IdIn("pk", IdList.of(reviews))).order_by("pk")
    facts = [CandidateFacts(*row) for row in people.values_list(*CandidateFacts._fields)]
    ids = _open(run, facts, terms, database_now(), reviews=reviews) if facts else []
    return {row.pk: pk for row, pk in zip(facts, ids, strict=True)}


def _open(
    run: DownloadRun,
    rows: list[CandidateFacts],
    terms: Terms,
    now: datetime,
    *,
    reviews: Mapping[int, Mapping[str, Any]] | None = None,
) -> list[int]:
    shared: dict[str, Any] = {
        "run": run.pk,
        "confirmed_at": _stamp(run.finished_at or run.started_at),
        "terms": terms.to_json(),
    }
    label, events = RemovalCandidate._meta.label_lower, list[Row]()
    reviews = _former_reviews(rows) if reviews is None else reviews
    # Before the COPY: its connection takes no other statement until it ends.
    ids = new_ids(RemovalCandidate, len(rows))

    def candidates() -> Iterator[tuple[Any, ...]]:
        """Make each row while others are written, so that the database works at the same time."""
        for pk, row in zip(ids, rows, strict=True):
            evidence = freeze_evidence(row, terms, now, shared)
            if found := reviews.get(row.pk):
                why = REVIEWED.format(**{**found, "why": evidence["why"]})
                evidence = {**evidence, "why": why, "review": dict(found)}
            events.append(Row(label, pk, row.name or row.email or str(pk), {"why": evidence["why"]}))
            texts = (text_of(row.name, row.email), row.department or None, row.cost_center or None)
            yield pk, row.pk, orjson.dumps(evidence).decode(), *texts

    with as_evidence():
        _insert(run, candidates(), now)
    record_rows(Action.CANDIDATE_PROPOSED, actor=None, rows=events)
    return ids


def _insert(run: DownloadRun, rows: Iterator[tuple[Any, ...]], now: datetime) -> None:
    """Insert Ready candidates. Each row has the values of `columns`."""
    columns = ("id", "subscription_id", "evidence", "person_text", "person_department", "person_cost_center")
    same = {
        "profile_id": run.profile_id,
        "run_id": run.pk,
        "state": CandidateState.READY.value,
        "close_reason": "",
        "attention": "",
        "created_at": now,
        "state_changed_at": now,
    }
    insert(RemovalCandidate, columns, rows, same)


def _former_reviews(rows: list[CandidateFacts]) -> dict[int, Mapping[str, Any]]:
    """Subscription id -> the review by which this person is a candidate again, e.g. after a rule was changed and back.

    An approver must see it, also if the candidate of that time is closed.
    """
    passed = IdList.of(row.pk for row in rows if row.review_passed)
    if not passed.number:
        return {}
    former = RemovalCandidate.objects.filter(IdIn("subscription", passed), evidence__has_key="review").order_by("pk")
    return {pk: evidence["review"] for pk, evidence in former.values_list("subscription", "evidence")}
