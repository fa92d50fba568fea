"""A profile with downloads that end at once, and tasks that run in this process."""

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
from subscriptions.reclaims import engine


@pytest.fixture
def quick(monkeypatch):
    """A download that ends at once: these tests are about when, not what."""

    def instead(profile, *, actor, started_by, slot=None, progress=None, part=None):
        run = lease.begin(profile, actor=actor, started_by=started_by, slot=slot)
        DownloadRun.objects.filter(pk=run.pk).update(state="complete", finished_at=timezone.now())
        return run

    monkeypatch.setattr(tasks, "download_subscriptions", instead)


@pytest.fixture
def tasks_at_once(monkeypatch):
    """Every task that is enqueued runs at once, in this process."""
    for task in (tasks.download_daily, tasks.download_due, tasks.reclaim):
        monkeypatch.setattr(task, "delay", lambda *args, task=task: task(*args))


@pytest.fixture
def profile(db, quick, tasks_at_once) -> IntegrationProfile:
    made = lifecycle.create_profile(name="Labs", organization_id="42", kind="miro_enterprise", actor=None)
    Connection.objects.update(state="working", ciphertext="x")
    return made


@pytest.fixture
def window_closes_after_the_claim(monkeypatch) -> None:
    """The reclaim window is open until the first recheck, which comes between the claim and the send."""
    recheck, closed = engine.recheck, []

    def closes_meanwhile(*args):
        closed.append(True)
        return recheck(*args)

    monkeypatch.setattr(engine, "recheck", closes_meanwhile)
    monkeypatch.setattr("subscriptions.reclaims.holds.window_open", lambda profile: not closed)


@pytest.fixture
def operator(client, django_user_model) -> Client:
    """A browser in which an operator is signed in."""
    user = django_user_model.objects.create_user("olivia", is_staff=True)
    user.groups.add(Group.objects.get(name="Operator"))
    client.force_login(user)
    return client
