"""Two profiles with subscriptions made for the order of a list: equal moments, and none at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from integrations.models import IntegrationProfile
from subscriptions.eligibility.evaluate import evaluate_profile
from subscriptions.models import DownloadRun, ReclaimRule, Subscription
from tests.support.data import cached_world

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def profile(db, request) -> IntegrationProfile:
    cached_world.current().scene(request, make_profile)
    return IntegrationProfile.objects.get()


def make_profile() -> None:
    made = IntegrationProfile.objects.create(
        name="Northwind", organization_id="3074457345", kind="miro_enterprise", state="published"
    )
    ReclaimRule.objects.create(profile=made, licenses=[*made.connector.default_licenses])
    DownloadRun.objects.create(
        profile=made, state="complete", started_by="schedule", finished_at=START, lease_until=START
    )


def member(profile: IntegrationProfile, number: int, **facts: object) -> Subscription:
    made = _member(profile, profile.download_runs.get(), number, **facts)
    made.save()
    return made


def _member(profile: IntegrationProfile, run: DownloadRun, number: int, **facts: object) -> Subscription:
    values = {
        "external_id": str(3074457340000000000 + number),
        "email": f"person{number}@northwind.example",
        "active": True,
        "license": "full",
        "role": "organization_internal_user",
        "license_assigned_at": None,
        "last_activity_at": None,
        "reclaimable": True,
        **facts,
    }
    return Subscription(profile=profile, first_run=run, changed_run=run, facts_at=START, **values)


@pytest.fixture
def bucket(profile, request) -> list[Subscription]:
    """60 people, evaluated: ties of four, and every fifth without any moment."""

    def make() -> None:
        run = profile.download_runs.get()
        moments = [None if number % 5 == 0 else START - timedelta(days=number * 7 % 11) for number in range(60)]
        Subscription.objects.bulk_create(
            _member(profile, run, number, last_activity_at=moment) for number, moment in enumerate(moments)
        )
        evaluate_profile(profile)

    cached_world.current().scene(request, make)
    return list(Subscription.objects.all())
