"""Rows of Subscription for tests of the verdict."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from integrations.models import IntegrationProfile
from subscriptions.eligibility.terms import Terms
from subscriptions.models import DownloadRun, Subscription


def terms_with(**values: Any) -> Terms:
    """Terms with these values. Those that are not given have the defaults of the rule."""
    return Terms.from_json(values)


TERMS = terms_with(threshold=60, licenses=("full", "advanced"), by_license={"advanced": 90})


def days_ago(days: float) -> datetime:
    return timezone.now() - timedelta(days=days)


def make(**facts: Any) -> Subscription:
    profile, _ = IntegrationProfile.objects.get_or_create(
        name="Northwind", defaults={"organization_id": "1", "kind": "miro_enterprise"}
    )
    run, _ = DownloadRun.objects.get_or_create(
        profile=profile, defaults={"lease_until": timezone.now(), "started_by": "command"}
    )
    usual = {
        "external_id": str(Subscription.objects.count()),
        "email": "a@northwind.example",
        "active": True,
        "license": "full",
        "role": "organization_internal_user",
        "license_assigned_at": days_ago(400),
        "last_activity_at": days_ago(94),
        "reclaimable": True,
        "facts_at": timezone.now(),
    }
    row = Subscription.objects.create(profile=profile, first_run=run, changed_run=run, **{**usual, **facts})
    row.refresh_from_db()
    return row
