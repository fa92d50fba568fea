"""A test with real transactions leaves nothing, however much it wrote."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group
from django.utils import timezone

from integrations.models import IntegrationProfile
from licensehub.audit.models import AuditEvent
from subscriptions.models import DownloadedMember, DownloadRun
from subscriptions.profiles import lifecycle
from tests.support.database import clean_database
from tests.support.database.clean_database import CleanDatabase


@pytest.mark.parametrize("large", [0, 1 << 40], ids=["truncated", "deleted"])
def test_each_table_is_again_as_the_migrations_made_it(real_transactions, alice, monkeypatch, large):
    monkeypatch.setattr(clean_database, "LARGE", large)
    clean = CleanDatabase()
    labs = lifecycle.create_profile(name="Labs", organization_id="42", kind="miro_enterprise", actor=alice)
    run = DownloadRun.objects.create(profile=labs, started_by="command", lease_until=timezone.now())
    DownloadedMember.objects.create(run=run, external_id="1", active=True, reclaimable=True)
    Group.objects.all().delete()
    assert AuditEvent.objects.exists()
    clean.restore()
    assert not IntegrationProfile.objects.exists()
    assert not AuditEvent.objects.exists()
    assert not DownloadedMember.objects.exists()
    assert alice.groups.get().name == "License manager"
