"""A profile whose downloads end at once, and bells that are answered in this process."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from integrations.models import Connection, IntegrationProfile
from subscriptions import tasks
from subscriptions.downloads import lease
from subscriptions.models import DownloadRun
from subscriptions.profiles import lifecycle


@pytest.fixture
def quick(monkeypatch):
    """A download that ends at once: these tests are about when, not what."""

    def instead(profile, *, actor, started_by, slot=None, progress=None):
        run = lease.begin(profile, actor=actor, started_by=started_by, slot=slot)
        DownloadRun.objects.filter(pk=run.pk).update(state="complete", finished_at=timezone.now())
        return run

    monkeypatch.setattr(tasks, "download_subscriptions", instead)


@pytest.fixture
def bells(monkeypatch):
    """Every bell is answered at once, in this process."""
    for task in (tasks.download_daily, tasks.download_due, tasks.reclaim):
        monkeypatch.setattr(task, "delay", lambda *args, task=task: task(*args))


@pytest.fixture
def profile(db, quick, bells) -> IntegrationProfile:
    made = lifecycle.create_profile(name="Labs", organization_id="42", kind="miro_enterprise", actor=None)
    Connection.objects.update(state="working", ciphertext="x")
    return made


@pytest.fixture
def operator(client, django_user_model) -> Client:
    """A browser in which an operator is signed in."""
    user = django_user_model.objects.create_user("olivia", is_staff=True)
    user.groups.add(Group.objects.get(name="Operator"))
    client.force_login(user)
    return client
