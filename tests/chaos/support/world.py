"""A published profile at the vendor in memory, with its people downloaded; and what must hold there at any time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from django.contrib.auth.models import User
from django.utils import timezone

from integrations.credentials import credential_store
from integrations.models import IntegrationProfile
from subscriptions.downloads.run import download_subscriptions
from subscriptions.models import (
    CandidateState,
    Direction,
    DownloadRun,
    Reclaim,
    ReclaimRequest,
    ReclaimState,
    RemovalCandidate,
    RequestedRemoval,
    RequestState,
)
from subscriptions.models.download import StartedBy
from subscriptions.models.reclaims.reclaim import UNFINISHED
from subscriptions.profiles import lifecycle
from tests.chaos.support import fake_connector
from tests.chaos.support.checker import AT_REST, audit_findings
from tests.support.fixtures import without_caps

IDLE = timedelta(days=200)


@dataclass
class ChaosWorld:
    profile: IntegrationProfile
    alice: User
    bob: User

    @property
    def vendor(self) -> fake_connector.Vendor:
        return fake_connector.MemoryConnector.vendor

    def download(self) -> DownloadRun:
        return download_subscriptions(self.profile, actor=None, started_by=StartedBy.COMMAND)


def make_world(alice: User, bob: User, *, people: int) -> ChaosWorld:
    """Nobody there was active lately. The settings must name the connector in memory already."""
    now = timezone.now()
    fake_connector.MemoryConnector.vendor = fake_connector.Vendor(
        members=fake_connector.people(people, now=now, last_activity=now - IDLE)
    )
    profile = lifecycle.create_profile(
        name="Northwind", organization_id=fake_connector.ORGANIZATION, kind="miro_enterprise", actor=None
    )
    for slot in fake_connector.MemoryConnector.slots:
        credential_store.set_credentials(profile, slot.name, {"token": "made up"}, actor=None)
    lifecycle.publish(profile, actor=None)
    without_caps(profile)
    world = ChaosWorld(profile, alice, bob)
    run = world.download()
    assert run.state == "complete", run.problem
    return world


def broken_promises(world: ChaosWorld, *, audit: bool = True) -> list[str]:
    """Return what does not hold although it must at any time, whoever died where; each a sentence."""
    found = [*_promises_to_people(world), *_legal_together(world), *_four_eyes()]
    return [*found, *audit_findings()] if audit else found


def _promises_to_people(world: ChaosWorld) -> Iterator[str]:
    approvals = Counter(_approved().values_list("candidate__subscription__external_id", flat=True))
    for external_id in world.vendor.members:
        if world.vendor.deactivations(external_id) > approvals[external_id]:
            yield f"{external_id} was deactivated more often than approved"
    sent = Counter(Reclaim.objects.filter(removal__in=_approved()).values_list("subscription__external_id", flat=True))
    for external_id in set(world.vendor.writes) - set(sent) - set(_restored()):
        yield f"a write was sent for {external_id}, whom nobody approved"


def _approved():
    return RequestedRemoval.objects.filter(
        request__direction=Direction.DEACTIVATE, request__state=RequestState.APPROVED, dropped_at=None
    ).exclude(reclaim=None)


def _restored() -> list[str]:
    rows = Reclaim.objects.filter(direction=Direction.REACTIVATE)
    return list(rows.values_list("subscription__external_id", flat=True))


def _legal_together(world: ChaosWorld) -> Iterator[str]:
    """The states of a candidate, its reclaim and its request."""
    rows = Reclaim.objects.filter(direction=Direction.DEACTIVATE).select_related("removal__candidate")
    for item in rows.order_by("pk"):
        later = item.removal.candidate.removals.filter(pk__gt=item.removal_id).exists()
        state = item.removal.candidate.state
        under_way = item.state in UNFINISHED or (item.state == ReclaimState.IN_DOUBT and not item.finished_at)
        if under_way and state != CandidateState.AWAITING_REVOCATION:
            yield f"item {item.pk} is {item.state}, its candidate {state}"
        elif not under_way and state == CandidateState.AWAITING_REVOCATION and not later:
            yield f"item {item.pk} is {item.state}, and its candidate still waits for it"
    for candidate in RemovalCandidate.objects.filter(state=CandidateState.AWAITING_REVOCATION):
        if not Reclaim.objects.filter(removal__candidate=candidate, finished_at=None).exists():
            yield f"candidate {candidate.pk} waits for a reclaim that is not there"
    asked = (CandidateState.AWAITING_USER, CandidateState.AWAITING_APPROVAL)
    for candidate in RemovalCandidate.objects.filter(state__in=asked):
        waiting = (RequestState.COLLECTING, RequestState.OPEN)
        if not candidate.removals.not_dropped().filter(request__state__in=waiting).exists():
            yield f"candidate {candidate.pk} is {candidate.state} in no request that waits"


def _four_eyes() -> Iterator[str]:
    for request in ReclaimRequest.objects.filter(state=RequestState.APPROVED, direction=Direction.DEACTIVATE):
        people = [request.requested_by_id, request.decided_by_id]
        if request.cap_raised_by_id:
            people.append(request.cap_raised_by_id)
        if None in people[1:] or len(set(people)) != len(people):
            yield f"{request} was not decided by another person"


def at_rest(world: ChaosWorld) -> bool:
    return not Reclaim.objects.filter(finished_at=None).exists()


def not_settled(world: ChaosWorld) -> list[str]:
    """Return each item that is not at rest, or that its candidate or the truth at the vendor does not fit to."""
    found = []
    rows = Reclaim.objects.filter(direction=Direction.DEACTIVATE).select_related("removal__candidate", "subscription")
    for item in rows:
        if item.state not in AT_REST or not item.finished_at:
            found.append(f"item {item.pk} is not at rest: {item.state}")
        elif item.removal.candidate.state not in AT_REST[ReclaimState(item.state)]:
            found.append(f"item {item.pk} is {item.state}, its candidate {item.removal.candidate.state}")
        down = world.vendor.deactivations(item.subscription.external_id)
        if item.state == ReclaimState.DONE and not down:
            found.append(f"item {item.pk} is done, and nothing was done at the vendor")
        if down and item.state in (ReclaimState.SKIPPED, ReclaimState.FAILED):
            found.append(f"item {item.pk} is {item.state}, and the seat was taken")
    return found
