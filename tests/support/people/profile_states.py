"""A profile with some subscriptions of every verdict, made without a download, and one account of each role."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone

from integrations.credentials import credential_store
from integrations.models import IntegrationProfile
from subscriptions.candidates import propose
from subscriptions.eligibility.evaluate import evaluate_profile
from subscriptions.models import DownloadRun, Subscription
from subscriptions.profiles import lifecycle
from subscriptions.stats import run_stats
from tests.support.data import cached_world
from tests.support.fixtures import in_effect

CANARY = "SECRET-CANARY-4711"
HOSTILE = '<script>alert("x")</script> & Söhne'
ROLES = ("Company admin", "License manager", "Approver", "Auditor", "Operator")


@pytest.fixture
def sign_in(db) -> Callable[[str], Client]:
    """A client for somebody with this role; an empty one is an account without any."""

    def as_role(role: str) -> Client:
        name = role.lower().replace(" ", ".") or "nobody"
        user, made = User.objects.get_or_create(
            username=name, defaults={"is_staff": True, "email": f"{name}@x.example"}
        )
        if made and role:
            user.groups.add(Group.objects.get(name=role))
            in_effect(user)
        client = Client()
        client.force_login(user)
        return client

    return as_role


@pytest.fixture
def draft(db, request) -> IntegrationProfile:
    def make() -> None:
        lifecycle.create_profile(name="Labs", organization_id="42", kind="miro_enterprise", actor=None)

    cached_world.current().scene(request, make)
    return IntegrationProfile.objects.get()


def connect(profile: IntegrationProfile) -> None:
    for slot in profile.connector.slots:
        secrets = {name: f"{CANARY}-{name}" for name in (*(field.name for field in slot.fields), slot.token)}
        credential_store.set_credentials(profile, slot.name, secrets, actor=None)


@pytest.fixture
def connected(draft, request) -> IntegrationProfile:
    cached_world.current().scene(request, lambda: connect(draft))
    draft.refresh_from_db()
    return draft


@pytest.fixture
def published(connected, request) -> IntegrationProfile:
    def make() -> None:
        lifecycle.publish(connected, actor=None)
        IntegrationProfile.objects.update(download_due_at=None)

    cached_world.current().scene(request, make)
    connected.refresh_from_db()
    return connected


def people(profile: IntegrationProfile, run: DownloadRun, count: int, *, idle: int | None, **facts) -> None:
    start = Subscription.objects.count()
    at = run.finished_at
    common = {
        "license": "full",
        "role": "organization_internal_user",
        "active": True,
        "reclaimable": True,
        "name": "",
        **facts,
    }
    Subscription.objects.bulk_create(
        Subscription(
            profile=profile,
            external_id=str(9000 + start + number),
            email=f"p{start + number}@northwind.example",
            license_assigned_at=at - timedelta(days=400),
            last_activity_at=None if idle is None else at - timedelta(days=idle, hours=1),
            first_run=run,
            changed_run=run,
            facts_at=at,
            **common,
        )
        for number in range(count)
    )


@pytest.fixture
def run(published, request) -> DownloadRun:
    """A complete one, with 5 candidates, 3 never active, 2 protected, 7 active and 1 deactivated."""
    cached_world.current().scene(request, lambda: make_run(published))
    return DownloadRun.objects.get()


def make_run(published: IntegrationProfile) -> None:
    at = timezone.now() - timedelta(hours=2)
    run = DownloadRun.objects.create(
        profile=published,
        state="complete",
        started_by="schedule",
        started_at=at - timedelta(seconds=40),
        finished_at=at,
        lease_until=at,
        pages=1,
        requests=1,
        read=18,
        purchased={"full": 20},
    )
    people(published, run, 4, idle=95)
    people(published, run, 1, idle=400, name=HOSTILE)
    people(published, run, 3, idle=None)
    people(published, run, 2, idle=95, role="organization_internal_admin", reclaimable=False, why_not="Admins stay.")
    people(published, run, 7, idle=3)
    people(published, run, 1, idle=95, active=False)
    run.stats = run_stats(published, now=at)
    run.save()
    evaluate_profile(published)
    propose.propose_candidates(run)
