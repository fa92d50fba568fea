"""The numbers of one profile: what the overview, the demo and the command line show, counted in one place."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, Q

from integrations.models import IntegrationProfile
from subscriptions.models import (
    CandidateState,
    DownloadRun,
    ReclaimRequest,
    RemovalCandidate,
    RequestState,
    Subscription,
    Verdict,
)


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts of seats; `purchased` is None where the vendor does not tell."""

    purchased: int | None
    assigned: int
    active: int
    inactive: int
    never_active: int
    protected: int
    ready: int
    open_requests: int


def summarize(profile: IntegrationProfile) -> Summary:
    run = DownloadRun.objects.complete().filter(profile=profile).order_by("-pk").first()
    purchased = sum(run.purchased.values()) if run and run.purchased else None
    rule = getattr(profile, "rule", None)
    in_scope = Q(license__in=rule.licenses if rule else [])
    counts = (
        Subscription.objects.filter(profile=profile)
        .held()
        .aggregate(
            assigned=Count("pk", filter=in_scope),
            active=Count("pk", filter=Q(verdict=Verdict.ACTIVE)),
            inactive=Count("pk", filter=Q(verdict=Verdict.CANDIDATE)),
            never_active=Count("pk", filter=Q(verdict=Verdict.NEVER_ACTIVE)),
            protected=Count("pk", filter=Q(verdict=Verdict.PROTECTED)),
        )
    )
    ready = RemovalCandidate.objects.filter(profile=profile, state=CandidateState.READY).count()
    requests = ReclaimRequest.objects.filter(profile=profile, state=RequestState.OPEN).count()
    return Summary(purchased=purchased, ready=ready, open_requests=requests, **counts)
