"""A restored backup, on a real database: nothing is sent until somebody has looked, and nothing a second time."""

from __future__ import annotations

from collections import Counter

import pytest

from integrations import sending
from integrations.sending import NotSwitched
from licensehub.audit.models import AuditEvent
from subscriptions import tasks
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.models import Reclaim, RemovalCandidate
from subscriptions.reclaims import backup_guard
from subscriptions.reclaims.engine import reclaim_due
from subscriptions.reconciliation.reconcile import reconcile_profile
from tests.support.fixtures import actions

CHECKED = "Compared with Miro; five people were reclaimed after the backup."


@pytest.fixture
def drilled(backup, world, alice, bob, monkeypatch):
    """5 approved, backed up, reclaimed; two of them let back in by hand; then the backup is restored."""
    monkeypatch.setattr(tasks, "enqueue_task", lambda *args: True)
    world.download()
    request = request_reclaim(world.candidates(5), actor=alice)
    decide.approve(request, actor=bob)
    backup.make()
    assert reclaim_due(world.profile).reclaimed == 5
    people = world.deactivated_by_us()
    for person in people[:2]:
        world.miro.change(person, active=True)
    backup.restore()
    assert Reclaim.objects.filter(state="queued").count() == 5, "as if nothing had happened"
    return world


def patches(world) -> int:
    return sum(request["method"] == "PATCH" for request in world.miro.requests())


def test_nothing_is_sent_until_it_is_confirmed(drilled):
    assert reclaim_due(drilled.profile).held == 5
    tasks.sweep()
    tasks.reclaim(drilled.profile.pk)
    control = sending.control()
    assert control.held_at
    assert "It looks like a restored backup" in control.held_why
    assert {(item.state, item.hold_reason) for item in Reclaim.objects.all()} == {("queued", "backup")}
    assert patches(drilled) == 5


def test_after_it_nobody_is_deactivated_twice(drilled, carol):
    tasks.sweep()
    with pytest.raises(NotSwitched, match="what you checked"):
        sending.release(actor=carol, checked="ok")
    sending.release(actor=carol, checked=CHECKED, renew=True)
    assert not backup_guard.is_held()

    reclaim_due(drilled.profile)

    assert patches(drilled) == 5
    ends = Counter(RemovalCandidate.objects.exclude(removals=None).values_list("state", "close_reason"))
    assert ends == {("closed_complete", "already_inactive"): 3, ("ready", "approval_lapsed"): 2}
    for item in Reclaim.objects.filter(removal__candidate__state="ready"):
        assert "may have been done once already" in item.outcome
    assert len(drilled.deactivated_by_us()) == 5
    assert "sending.held" in actions() and "sending.released" in actions()


def test_the_comparison_names_those_who_were_reclaimed_after_the_backup(drilled):
    tasks.sweep()
    row = reconcile_profile(drilled.profile, actor=None)
    assert {finding["kind"] for finding in row.findings} == {"unexplained"}
    assert sorted(finding["external_id"] for finding in row.findings) == sorted(drilled.deactivated_by_us())
    assert all("After a restored backup" in finding["next_step"] for finding in row.findings)


def test_the_control_without_the_guard_deactivates_people_a_second_time(drilled, monkeypatch):
    monkeypatch.setattr(backup_guard, "is_held", lambda: False)
    reclaim_due(drilled.profile)
    assert patches(drilled) == 7


def test_found_though_the_restored_database_has_grown_past_it(drilled, alice):
    """Whatever appends before anybody looks must not cover it up."""
    kept = AuditEvent.objects.count()
    for _ in range(30):
        sending.stop_all(actor=alice, reason="Trying")
        sending.allow_all(actor=alice)
    assert AuditEvent.objects.count() > kept + 50
    assert reclaim_due(drilled.profile).held == 5
    assert "is another one in this database" in sending.control().held_why
    assert patches(drilled) == 5


def test_found_by_a_loop_that_runs_already(drilled, monkeypatch):
    """The worker asks before each batch, not only when it starts."""
    monkeypatch.setattr("subscriptions.reclaims.engine.try_connections", lambda profile, direction: None)
    assert reclaim_due(drilled.profile).held == 5
    assert patches(drilled) == 5


def test_nothing_kept_while_approvals_are_open(real_transactions, world, alice, bob, settings, broker_away):
    world.download()
    decide.approve(request_reclaim(world.candidates(2), actor=alice), actor=bob)
    settings.AUDIT_HEAD_FILE.unlink()
    assert backup_guard.is_held()
    assert not sending.control().held_at, "the broker, which may know, does not run: for now only"
    assert reclaim_due(world.profile).held == 2
    assert patches(world) == 0


def test_nothing_kept_by_a_broker_that_answers(real_transactions, world, alice, bob, settings, valkey):
    world.download()
    decide.approve(request_reclaim(world.candidates(2), actor=alice), actor=bob)
    settings.AUDIT_HEAD_FILE.unlink()
    assert reclaim_due(world.profile).reclaimed == 2, "the broker knows"

    decide.approve(request_reclaim(world.candidates(2), actor=alice), actor=bob)
    settings.AUDIT_HEAD_FILE.unlink()
    valkey.flushall()
    assert reclaim_due(world.profile).held == 2
    assert "2 approved items and 0 requests are open" in sending.control().held_why
    sending.release(actor=alice, checked="Looked: the broker was emptied, nothing was restored.")
    assert reclaim_due(world.profile).reclaimed == 2


def test_a_new_installation_is_not_held(real_transactions, settings, valkey):
    settings.AUDIT_HEAD_FILE.unlink()
    assert not backup_guard.is_held()
    assert not sending.control().held_at


@pytest.mark.worker
def test_a_worker_looks_before_its_first_task(drilled, celery_worker_process):
    urls = drilled.sandbox.urls()
    celery_worker_process(MIRO_API_URL=urls["api_url"], MIRO_SCIM_URL=urls["scim_url"])
    assert sending.control().held_at
    assert patches(drilled) == 5
