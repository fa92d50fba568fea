"""The plan of a storm, and the people whose requests it sends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from integrations.models import IntegrationProfile
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.downloads.run import download_subscriptions
from subscriptions.models import ReclaimRule, RemovalCandidate
from subscriptions.models.download import StartedBy
from tests.support.fixtures import connect

MIX = {"rate_limited": 0.025, "error_before": 0.02, "error_after": 0.015, "truncated": 0.02, "hang_after": 0.02}
IN_ONE_REQUEST = 1000


@dataclass(frozen=True)
class Plan:
    """`approved` people, among at least as many bystanders. `by_hand`: the share reactivated by hand 0.6 s later.

    All workers are killed each time that so many people are settled: by the clock, a slow machine would kill them
    before they have done anything.
    """

    approved: int
    by_hand: float
    doubts: float
    seed: int
    kill_every: int = 55
    # Seconds: nobody waits that long, and the people of the second storm are back meanwhile.
    hang: float = 2.0
    read: float = 0.5
    lease: float = 15.0
    claim: int = 5
    workers: int = 3
    broker_kills: tuple[float, ...] = (0.15, 0.45, 0.75)
    flushes: tuple[float, ...] = (0.6,)
    restarts: tuple[float, ...] = (0.3, 0.65)
    defense_off: str = ""
    within: float = 1500.0
    mix: Mapping[str, float] = field(default_factory=lambda: MIX)
    # Which requests the faults strike; by default all.
    match: Mapping[str, str] = field(default_factory=dict)

    @property
    def least_kills(self) -> int:
        """So many workers are killed at least: half of what `kill_every` asks for."""
        return self.workers * (self.approved // self.kill_every) // 2

    @property
    def members(self) -> int:
        """Enough that more people are left alone than are approved."""
        return max(120, self.approved * 21 // 10)

    def variables(self) -> dict[str, str]:
        """For `fast_settings`."""
        return {
            "CHAOS_DEFENSE_OFF": self.defense_off,
            "CHAOS_LEASE": str(self.lease),
            "CHAOS_CLAIM": str(self.claim),
            "CHAOS_READ": str(self.read),
        }


def approved_people(plan: Plan, urls: dict[str, str], people) -> IntegrationProfile:
    """Requested by one, approved by another, as ever."""
    alice, bob = people
    profile = connect(urls)
    ReclaimRule.objects.filter(profile=profile).update(
        last_activity_threshold=1, new_joiner_grace=0, batch_cap_people=IN_ONE_REQUEST
    )
    download_subscriptions(profile, actor=None, started_by=StartedBy.COMMAND)
    ready = RemovalCandidate.objects.filter(profile=profile, state="ready").order_by("pk")
    ids = list(ready.values_list("pk", flat=True)[: plan.approved])
    assert len(ids) == plan.approved
    for start in range(0, len(ids), IN_ONE_REQUEST):
        chosen = RemovalCandidate.objects.filter(pk__in=ids[start : start + IN_ONE_REQUEST])
        decide.approve(request_reclaim(chosen, actor=alice), actor=bob)
    return profile
