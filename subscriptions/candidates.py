"""Removal candidates: propose them from a complete run with frozen evidence, withdraw what no longer holds."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from licensehub.audit.actions import Action
from licensehub.audit.log import Actor, record, record_many
from subscriptions.models import (
    CandidateState,
    CloseReason,
    Direction,
    DownloadRun,
    Reclaim,
    ReclaimRequest,
    ReclaimState,
    RemovalCandidate,
    RequestState,
    Subscription,
    Verdict,
)
from subscriptions.verdict import Terms, apply_verdict, current_terms, idle_days, why

BATCH = 500


class NotActionable(Exception):
    """The act came too late, or does not fit this state. The text says what holds now."""


# What a verdict other than `candidate` means for somebody who is on the way already.
CLOSING = {
    Verdict.ACTIVE: (CandidateState.CLOSED_CANCELED, CloseReason.ACTIVE_AGAIN),
    Verdict.GONE: (CandidateState.CLOSED_SKIPPED, CloseReason.GONE),
    Verdict.DEACTIVATED: (CandidateState.CLOSED_COMPLETE, CloseReason.ALREADY_INACTIVE),
    Verdict.NOT_IN_SCOPE: (CandidateState.CLOSED_SKIPPED, CloseReason.LICENSE_CHANGED),
    Verdict.IN_GRACE: (CandidateState.CLOSED_SKIPPED, CloseReason.LICENSE_CHANGED),
    Verdict.PROTECTED: (CandidateState.CLOSED_SKIPPED, CloseReason.ROLE_CHANGED),
    Verdict.EXCLUDED: (CandidateState.CLOSED_SKIPPED, CloseReason.EXCLUDED),
    Verdict.COOLING_DOWN: (CandidateState.CLOSED_SKIPPED, CloseReason.EXCLUDED),
}


def closing_for(row: Subscription, verdict: Verdict, evidence: dict[str, Any]) -> tuple[CandidateState, CloseReason]:
    """How a candidate closes whose subscription is now judged `verdict`.

    The facts decide: who shows a newer activity or another license than the evidence says so; else it was the rule.
    """
    if verdict == Verdict.ACTIVE and not _newer_activity(row, evidence):
        return CandidateState.CLOSED_SKIPPED, CloseReason.RULE_CHANGED
    if verdict in (Verdict.NOT_IN_SCOPE, Verdict.IN_GRACE) and row.license == evidence["license"]:
        return CandidateState.CLOSED_SKIPPED, CloseReason.RULE_CHANGED
    if verdict == Verdict.PROTECTED and row.reclaimable:
        # The only admin of a team: the role in the organization is what it was.
        return CandidateState.CLOSED_SKIPPED, CloseReason.EXCLUDED
    return CLOSING.get(verdict, (CandidateState.CLOSED_SKIPPED, CloseReason.RULE_CHANGED))


def _newer_activity(row: Subscription, evidence: dict[str, Any]) -> bool:
    return bool(_stamp(row.last_activity_at) != evidence["last_activity_at"])


def _stamp(moment: Any) -> str | None:
    return moment.isoformat() if moment else None


def freeze(row: Subscription, terms: Terms, run: DownloadRun) -> dict[str, Any]:
    """The evidence: facts as of the run, the sentence, and the terms they were judged by. JSON, dates in ISO 8601."""
    return {
        "external_id": row.external_id,
        "name": row.name,
        "email": row.email,
        "department": row.department,
        "license": row.license,
        "role": row.role,
        "last_activity_at": _stamp(row.last_activity_at),
        "license_assigned_at": _stamp(row.license_assigned_at),
        "idle_days": idle_days(row),
        "why": why(row, terms, verdict=Verdict.CANDIDATE),
        "run": run.pk,
        "facts_at": _stamp(row.facts_at),
        "terms": terms.freeze(),
    }


def propose_candidates(run: DownloadRun) -> int:
    """Open a candidate for each subscription judged so that has none, and withdraw what no longer holds."""
    withdraw(run.profile_id)
    terms = current_terms(run.profile_id)
    has_open = RemovalCandidate.objects.open().filter(subscription=OuterRef("pk"))
    rows = Subscription.objects.filter(profile=run.profile_id).candidates().exclude(Exists(has_open))
    proposed = 0
    for batch in _batches(rows.order_by("pk").iterator(chunk_size=BATCH)):
        proposed += _open(batch, terms, run)
    return proposed


def _batches(rows: Iterable[Any]) -> Iterable[list[Any]]:
    batch = []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _open(rows: list[Subscription], terms: Terms, run: DownloadRun) -> int:
    """At most one open candidate for each subscription: the partial unique index settles a race."""
    candidates = [
        RemovalCandidate(profile_id=run.profile_id, subscription=row, run=run, evidence=freeze(row, terms, run))
        for row in rows
    ]
    with transaction.atomic():
        RemovalCandidate.objects.bulk_create(candidates, ignore_conflicts=True)
        made = RemovalCandidate.objects.open().filter(subscription__in=rows, run=run)
        record_many(
            Action.CANDIDATE_PROPOSED,
            actor=None,
            targets=[(candidate, {"why": candidate.evidence["why"]}) for candidate in made],
        )
    return len(made)


def withdraw(profile_id: int) -> int:
    """Close the not yet approved candidates whose subscription is no longer judged a candidate."""
    stale = (
        RemovalCandidate.objects.withdrawable()
        .filter(profile=profile_id)
        .exclude(subscription__verdict=Verdict.CANDIDATE)
        .select_related("subscription")
    )
    return sum(_withdraw(candidate) for candidate in stale.iterator(chunk_size=BATCH))


def _withdraw(candidate: RemovalCandidate) -> bool:
    row = candidate.subscription
    state, reason = closing_for(row, Verdict(row.verdict), candidate.evidence)
    try:
        with transaction.atomic():
            move(
                candidate,
                allowed=(
                    CandidateState.READY,
                    CandidateState.AWAITING_USER,
                    CandidateState.AWAITING_APPROVAL,
                ),
                to=state,
                reason=reason,
                action=Action.CANDIDATE_WITHDRAWN,
                actor=None,
            )
            # Out of the waiting request as well: the others in it can still be approved.
            still_open = ReclaimRequest.objects.filter(state__in=(RequestState.COLLECTING, RequestState.OPEN))
            candidate.removals.standing().filter(request__in=still_open).update(
                dropped_at=timezone.now(), drop_reason=reason.label
            )
    except NotActionable:
        return False  # somebody decided in this moment; their decision holds, and the look before the send decides
    return True


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
    subscriptions = Subscription.objects.filter(pk__in=list(rows))
    for license in subscriptions.values_list("license", flat=True).distinct().order_by():
        until = now + timedelta(days=days(license))
        subscriptions.filter(license=license).update(cooldown_until=until, cooldown_reason=reason)
    for profile_id in subscriptions.values_list("profile", flat=True).distinct().order_by():
        apply_verdict(subscriptions.filter(profile=profile_id), current_terms(profile_id))


def resume(candidate: RemovalCandidate, *, actor: Actor) -> None:
    """The cause of a refusal is solved: Ready again. A new request with its own approval is needed."""
    if doubt_about(candidate):
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


def doubt_about(candidate: RemovalCandidate) -> Reclaim | None:
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
        terms = Terms.thaw(candidate.evidence["terms"])
        cool_down([candidate.subscription_id], days=terms.threshold_for, reason="left alone after a review")
