"""Pages that follow by themselves: they ask while something is to come, and not at rest."""

from __future__ import annotations

import pytest
from django.urls import reverse
from django.utils import timezone

from integrations.models import IntegrationProfile
from subscriptions.approvals import decide
from subscriptions.models import DownloadRun, Reclaim, Reconciliation
from tests.support.people.organization import page
from tests.support.web.pages import text_of

RECONCILIATIONS = reverse("admin:subscriptions_reconciliation_changelist")
RUNS = reverse("admin:subscriptions_downloadrun_changelist")


def asked_by(shown: str) -> str:
    """The address that the page asks; empty if it asks none."""
    if 'data-lh-live="page"' not in shown:
        return ""
    return shown.split('data-lh-live="page" hx-get="')[1].split('"')[0].replace("&amp;", "&")


def reloads(client, address: str) -> bool:
    return "HX-Refresh" in client.get(address)


@pytest.fixture
def item(organization, alice, bob) -> Reclaim:
    decide.approve(organization.ask(alice, count=1), actor=bob)
    return Reclaim.objects.get()


def test_a_reclaim_follows_each_step_to_its_end(item, bob, dave, as_user):
    client, change = as_user(bob), page("reclaim", "change", item.pk)
    for values in ({"state": "claimed"}, {"state": "in_doubt"}, {"state": "in_doubt", "read_back": "active"}):
        address = asked_by(text_of(client.get(change)))
        assert address and not reloads(client, address)
        Reclaim.objects.update(**values)
        assert reloads(client, address)

    assert asked_by(text_of(client.get(change))) == ""
    assert as_user(dave).get(page("reclaim", "live", item.pk)).status_code == 403


def test_a_reconciliation_is_followed_from_the_click_to_its_end(organization, alice, dave, as_user, monkeypatch):
    monkeypatch.setattr("subscriptions.tasks.enqueue_task", lambda *args: True)
    client = as_user(alice)
    assert asked_by(text_of(client.get(RECONCILIATIONS))) == ""

    shown = text_of(client.post(page("reconciliation", "reconcile", organization.profile.pk), follow=True))
    before = asked_by(shown)
    row = Reconciliation.objects.create(profile=organization.profile, started_at=timezone.now())

    assert reloads(client, before)
    running = asked_by(text_of(client.get(RECONCILIATIONS)))
    assert running and not reloads(client, running)
    assert asked_by(text_of(client.get(page("reconciliation", "change", row.pk))))
    Reconciliation.objects.update(finished_at=timezone.now())
    assert reloads(client, running)
    assert asked_by(text_of(client.get(RECONCILIATIONS))) == ""
    assert as_user(dave).get(page("reconciliation", "live")).status_code == 403


def test_the_list_of_runs_waits_for_the_first_one_after_a_publish(empty_organization, alice, as_user):
    DownloadRun.objects.all().delete()
    client = as_user(alice)
    assert "No download yet." in (shown := text_of(client.get(RUNS))) and asked_by(shown) == ""
    IntegrationProfile.objects.update(download_due_at=timezone.now())

    shown = text_of(client.get(RUNS))

    assert "The first download starts within a minute." in shown and "No download yet" not in shown
    address = asked_by(shown)
    assert not reloads(client, address)
    DownloadRun.objects.create(
        profile=empty_organization.profile, started_by="schedule", started_at=timezone.now(), lease_until=timezone.now()
    )
    assert reloads(client, address) and asked_by(text_of(client.get(RUNS))) == ""
