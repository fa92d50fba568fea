"""Removal candidates: propose them from a complete run with frozen evidence, withdraw what no longer holds."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import orjson
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from licensehub.audit.actions import Action
from licensehub.audit.log import Actor, Row, record, record_many, record_rows
from licensehub.ui.lists.id_filter import IdIn, IdList
from subscriptions.bulk_sql import insert, new_ids, read
from subscriptions.candidates import caps
from subscriptions.eligibility.clauses import Terms, current_terms, days_since, explain_candidate
from subscriptions.eligibility.evaluate import evaluate_rows
from subscriptions.errors import NotActionable
from subscriptions.models import (
    CandidateState,
    CloseReason,
    Direction,
    DownloadRun,
    Evaluation,
    Reclaim,
    ReclaimRequest,
    ReclaimState,
    RemovalCandidate,
    RequestedRemoval,
    RequestState,
    Subscription,
    Verdict,
)

BATCH = 5000


class CandidateFacts(NamedTuple):
    """What the evidence is made of: a row of Subscription, and no model object, which would cost more than the rest."""

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

    @property
    def idle_since(self) -> datetime | None:
        """As the column says. To parse the same moment once more is what costs most of reading a row."""
        return self.last_activity_at or self.license_assigned_at


# What a verdict other than `candidate` means for somebody who is on the way already.
CLOSING = {
    Verdict.ACTIVE: (CandidateState.CLOSED_CANCELED, CloseReason.ACTIVE_AGAIN),
    Verdict.GONE: (CandidateState.CLOSED_SKIPPED, CloseReason.GONE),
    Verdict.DEACTIVATED: (CandidateState.CLOSED_COMPLETE, CloseReason.ALREADY_INACTIVE),
    Verdict.NOT_IN_SCOPE: (CandidateState.CLOSED_SKIPPED, CloseReason.LICENSE_CHANGED),
    Verdict.IN_GRACE: (CandidateState.CLOSED_SKIPPED, CloseReason.LICENSE_CHANGED),
    Verdict.CANNOT_BE_REMOVED: (CandidateState.CLOSED_SKIPPED, CloseReason.ROLE_CHANGED),
    Verdict.PROTECTED: (CandidateState.CLOSED_SKIPPED, CloseReason.PROTECTED),
    Verdict.COOLING_DOWN: (CandidateState.CLOSED_SKIPPED, CloseReason.PROTECTED),
}


def closing_for(row: Subscription, verdict: Verdict, evidence: dict[str, Any]) -> tuple[CandidateState, CloseReason]:
    """How a candidate closes whose subscription is now evaluated `verdict`.

    The facts decide: who shows a newer activity or another license than the evidence says so; else it was the rule.
    """
    if verdict == Verdict.ACTIVE and not _newer_activity(row, evidence):
        return CandidateState.CLOSED_SKIPPED, CloseReason.RULE_CHANGED
    if verdict in (Verdict.NOT_IN_SCOPE, Verdict.IN_GRACE) and row.license == evidence["license"]:
        return CandidateState.CLOSED_SKIPPED, CloseReason.RULE_CHANGED
    if verdict == Verdict.CANNOT_BE_REMOVED and row.reclaimable:
        # The only admin of a team: the role in the organization is what it was.
        return CandidateState.CLOSED_SKIPPED, CloseReason.PROTECTED
    return CLOSING.get(verdict, (CandidateState.CLOSED_SKIPPED, CloseReason.RULE_CHANGED))


def _newer_activity(row: Subscription, evidence: dict[str, Any]) -> bool:
    return bool(_stamp(row.last_activity_at) != evidence["last_activity_at"])


def _stamp(moment: Any) -> str | None:
    return moment.isoformat() if moment else None


def freeze_evidence(row: CandidateFacts, terms: Terms, now: datetime, shared: Mapping[str, Any]) -> dict[str, Any]:
    """The evidence: facts as of the run, the sentence, and what all of the run share. JSON, dates in ISO 8601."""
    return {
        "external_id": row.external_id,
        "name": row.name,
        "email": row.email,
        "department": row.department,
        "license": row.license,
        "role": row.role,
        "last_activity_at": _stamp(row.last_activity_at),
        "license_assigned_at": _stamp(row.license_assigned_at),
        "idle_days": days_since(row.idle_since, now),
        "why": explain_candidate(row, terms, now),
        "facts_at": _stamp(row.facts_at),
        **shared,
    }


def propose_candidates(run: DownloadRun) -> int:
    """Open a candidate for each subscription evaluated so that has none, and withdraw what no longer holds.

    In batches, each under the lock of the profile's row, so that two runs never open two for one subscription.
    """
    withdraw(run.profile_id)
    terms = current_terms(run.profile_id)
    shared = {"run": run.pk, "terms": terms.to_json()}
    proposed, last = 0, None
    while True:
        with transaction.atomic():
            caps.lock(run.profile_id)
            rows = _next_to_propose(run.profile_id, last)
            now = timezone.now()
            _open(run, rows, (freeze_evidence(row, terms, now, shared) for row in rows), now)
        if not rows:
            return proposed
        proposed, last = proposed + len(rows), Evaluation.objects.get(pk=rows[-1].pk)


def _next_to_propose(profile_id: int, last: Evaluation | None) -> list[CandidateFacts]:
    """The longest idle ones behind `last`, in the order of the index."""
    has_open = RemovalCandidate.objects.open().filter(subscription=OuterRef("pk"))
    rows = Subscription.objects.filter(profile=profile_id).candidates().exclude(Exists(has_open))
    if last:
        since = last.idle_since
        same_moment = Q(evaluation__idle_since=since, evaluation__subscription_id__gt=last.pk)
        rows = rows.filter(Q(evaluation__idle_since__gt=since) | same_moment, evaluation__idle_since__gte=since)
    rows = rows.order_by("evaluation__idle_since", "evaluation__subscription_id")
    return [CandidateFacts(*row) for row in read(rows.values_list(*CandidateFacts._fields)[:BATCH])]


def _open(run: DownloadRun, rows: list[CandidateFacts], evidence: Iterable[dict[str, Any]], now: datetime) -> None:
    same = {
        "profile_id": run.profile_id,
        "run_id": run.pk,
        "state": CandidateState.READY.value,
        "close_reason": "",
        "attention": "",
        "created_at": now,
        "state_changed_at": now,
    }
    events: list[Row] = []
    ids = new_ids(RemovalCandidate, len(rows))
    columns = ("id", "subscription_id", "evidence")
    insert(RemovalCandidate, columns, _told(zip(ids, rows, evidence, strict=True), events), same)
    record_rows(Action.CANDIDATE_PROPOSED, actor=None, rows=events)


def _told(
    candidates: Iterable[tuple[int, CandidateFacts, dict[str, Any]]], events: list[Row]
) -> Iterator[tuple[int, int, str]]:
    """What is inserted, one by one: the database works while the next is frozen. `events` gets what the audit says."""
    label = RemovalCandidate._meta.label_lower
    for pk, row, facts in candidates:
        events.append(Row(label, pk, row.name or row.email or str(pk), {"why": facts["why"]}))
        yield pk, row.pk, orjson.dumps(facts).decode()


def withdraw(profile_id: int) -> int:
    """Close the not yet approved candidates whose subscription is no longer evaluated a candidate. Returns how many."""
    withdrawn, last = 0, 0
    while True:
        stale = (
            RemovalCandidate.objects.withdrawable()
            .filter(profile=profile_id, pk__gt=last)
            .exclude(subscription__evaluation__verdict=Verdict.CANDIDATE)
            .order_by("pk")
        )
        ids = list(stale.values_list("pk", flat=True)[:BATCH])
        if not ids:
            return withdrawn
        withdrawn, last = withdrawn + _withdraw(ids), ids[-1]


def _withdraw(ids: list[int]) -> int:
    """Whoever was decided on in this moment stays: that decision holds, and the look before the send decides."""
    with transaction.atomic():
        locked = RemovalCandidate.objects.select_for_update(of=("self",)).withdrawable().filter(pk__in=ids)
        groups = defaultdict(list)
        for candidate in locked.select_related("subscription__evaluation").order_by("pk"):
            row = candidate.subscription
            if row.verdict != Verdict.CANDIDATE:
                groups[closing_for(row, row.verdict, candidate.evidence)].append(candidate)
        for (state, reason), candidates in groups.items():
            _close(candidates, state, reason)
    return sum(map(len, groups.values()))


def _close(candidates: list[RemovalCandidate], state: CandidateState, reason: CloseReason) -> None:
    now, ids = timezone.now(), [candidate.pk for candidate in candidates]
    closed = RemovalCandidate.objects.filter(pk__in=ids).withdrawable()
    if closed.update(state=state, close_reason=reason, attention="", state_changed_at=now) != len(ids):
        raise NotActionable("Somebody decided on some of these people in this moment. Nothing was changed.")
    data = {"to": state.value, "reason": reason.value}
    targets = [(candidate, data) for candidate in candidates]
    record_many(Action.CANDIDATE_WITHDRAWN, actor=None, targets=targets)
    # Out of the waiting request as well: the others in it can still be approved.
    waiting = ReclaimRequest.objects.filter(state__in=(RequestState.COLLECTING, RequestState.OPEN))
    people = RequestedRemoval.objects.standing().filter(candidate__in=ids, request__in=waiting)
    people.update(dropped_at=now, drop_reason=reason.label)


def lock(candidate_id: int) -> None:
    """The candidate's row first, as in a withdrawal, and its request's rows after it: nobody waits in a circle."""
    RemovalCandidate.objects.select_for_update().get(pk=candidate_id)


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
    """One guarded step of a candidate, with its audit event. Raises NotActionable when it stands elsewhere by now."""
    with transaction.atomic():
        moved = RemovalCandidate.objects.filter(pk=candidate.pk, state__in=list(allowed)).update(
            state=to, close_reason=reason, attention=attention, state_changed_at=timezone.now()
        )
        if moved != 1:
            now = RemovalCandidate.objects.get(pk=candidate.pk)
            raise NotActionable(f"{candidate} is “{now.get_state_display()}” by now. Nothing was changed.")
        data = {"to": to.value, "reason": str(reason), "attention": attention}
        record(
            action,
            actor=actor,
            target=candidate,
            data={key: value for key, value in data.items() if value},
            correlation=correlation,
        )


def cool_down(rows: Iterable[int], *, days: Callable[[str], int], reason: str) -> None:
    """Leave these subscriptions (ids) alone for `days(license)`, e.g. one threshold after a rejection."""
    now = timezone.now()
    subscriptions = Subscription.objects.filter(IdIn("pk", IdList.of(rows)))
    for license in subscriptions.values_list("license", flat=True).distinct().order_by():
        until = now + timedelta(days=days(license))
        subscriptions.filter(license=license).update(cooldown_until=until, cooldown_reason=reason)
    for profile_id in subscriptions.values_list("profile", flat=True).distinct().order_by():
        evaluate_rows(subscriptions.filter(profile=profile_id), current_terms(profile_id))


def resume(candidate: RemovalCandidate, *, actor: Actor) -> None:
    """The cause of a refusal is solved: Ready again. A new request with its own approval is needed."""
    if send_in_doubt(candidate):
        raise NotActionable(f"The last send to {candidate} is in doubt. Leave this person alone, or send again.")
    ready_again(candidate, actor=actor)


def ready_again(candidate: RemovalCandidate, *, actor: Actor) -> None:
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
    """A human looked, and decided that this person stays."""
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
        cool_down([candidate.subscription_id], days=terms.threshold_for, reason="left alone after a review")
