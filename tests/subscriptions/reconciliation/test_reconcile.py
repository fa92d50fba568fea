"""The ledger against what Miro shows: every planted difference is found, and nothing else."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from integrations.credentials import credential_store
from integrations.models import Connection
from licensehub.audit.models import AuditEvent
from subscriptions import tasks
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.errors import Refused
from subscriptions.models import (
    Reclaim,
    Reconciliation,
    RemovalCandidate,
    Subscription,
)
from subscriptions.reclaims import restores
from subscriptions.reclaims.engine import reclaim_due
from subscriptions.reconciliation import reconcile
from subscriptions.reconciliation.reconcile import reconcile_profile
from tests.support.fixtures import actions


def reclaimed(world, alice, bob, count: int) -> list[Reclaim]:
    before = set(Reclaim.objects.values_list("pk", flat=True))
    request = request_reclaim(world.candidates(count), actor=alice)
    decide.approve(request, actor=bob)
    reclaim_due(world.profile)
    return list(Reclaim.objects.exclude(pk__in=before).select_related("subscription").order_by("pk"))


def restore(world, item: Reclaim) -> Reclaim:
    """A single restore, as the page of the history asks for it."""
    taken = Reclaim.objects.get(pk=item.pk)
    queued = restores.restore(taken, actor=User.objects.get(username="alice"), reason="Needed again")
    assert reclaim_due(world.profile).restored == 1
    return queued


def kinds(row: Reconciliation) -> Counter[str]:
    return Counter(finding["kind"] for finding in row.findings)


def by_scim(world, external_id: str) -> None:
    """Somebody else's program deactivates this person through SCIM."""
    credential_store.connector_for(world.profile).deactivate(external_id)


def bystanders(world, count: int) -> list[str]:
    """People who work, and of whom the ledger knows nothing."""
    working = Subscription.objects.filter(active=True, role="organization_internal_user", reclaims=None)
    ids = working.order_by("pk").values_list("external_id", flat=True)
    return [found for found in ids if not world.sandbox.world.teams_without_other_admin(found)][:count]


def test_nothing_after_a_reclaim_and_a_restore(world, alice, bob):
    world.first_download()
    items = reclaimed(world, alice, bob, 6)
    restore(world, items[0])
    restore(world, items[1])
    row = reconcile_profile(world.profile, actor=alice)
    assert (row.findings, row.problem, row.people, row.audit_log_checked) == ([], "", 6, True)
    assert row.events >= 8
    told = AuditEvent.objects.get(action="ledger.reconciled")
    assert told.actor_name == "alice"
    assert told.data["differences"] == 0


def test_a_ledger_that_never_sent_anything(world):
    world.first_download()
    row = reconcile_profile(world.profile, actor=None)
    assert (row.findings, row.people, row.problem) == ([], 0, "")


@pytest.fixture
def planted(world, alice, bob, request) -> dict[str, list[str]]:
    """20 differences among people with whom all is well. Kind -> external ids."""
    found = world.cache.scene(request, lambda: plant(world, alice, bob), world.sandbox)
    # Miro's log forgets of some.
    log = world.sandbox.world.audit
    log._events = [event for event in log._events if event["object"]["id"] not in found["not_in_log"]]
    return found


def plant(world, alice, bob) -> dict[str, list[str]]:
    world.first_download()
    items = reclaimed(world, alice, bob, 20)
    ids = [item.subscription.external_id for item in items]
    found: dict[str, list[str]] = {"reactivated": ids[:5], "restored_inactive": ids[5:8]}
    for external_id in ids[:5]:
        world.miro.change(external_id, active=True)
    for item in items[5:8]:
        restore(world, item)
        world.miro.change(item.subscription.external_id, active=False)

    # Settled without a send, refused and in doubt; and then inactive all the same.
    unsent = items[8:12]
    for item, state in zip(unsent, ("skipped", "failed", "in_doubt", "in_doubt"), strict=True):
        Reclaim.objects.filter(pk=item.pk).update(state=state, outcome="planted")
        RemovalCandidate.objects.filter(pk=item.removal.candidate_id).update(close_reason="active_again")
    found["unsent_inactive"] = [item.subscription.external_id for item in unsent]

    # Not in the log, and it is long enough ago for it to know.
    missing = items[12:15]
    found["not_in_log"] = [item.subscription.external_id for item in missing]
    earlier = timezone.now() - timedelta(hours=6)
    times = {"sending_at": earlier, "finished_at": earlier + timedelta(seconds=1)}
    Reclaim.objects.filter(pk__in=[item.pk for item in missing]).update(**times)

    # Deactivated by another program: people whom the ledger does not know, and one let back in after our reclaim.
    others = bystanders(world, 4)
    for external_id in others:
        by_scim(world, external_id)
    twice = ids[15]
    world.miro.change(twice, active=True)
    by_scim(world, twice)
    found["unexplained"] = [*others, twice]
    return found


def test_20_planted_differences(planted, world):
    row = reconcile_profile(world.profile, actor=None)
    by_kind = {kind: {f["external_id"] for f in row.findings if f["kind"] == kind} for kind in kinds(row)}
    assert by_kind == {kind: set(ids) for kind, ids in planted.items()}
    assert len(row.findings) == sum(len(ids) for ids in planted.values()) == 20
    assert all(f["person"] and f["detail"] and f["next_step"] for f in row.findings)
    unexplained = [f["next_step"] for f in row.findings if f["kind"] == "unexplained"]
    assert all(step.endswith("If nobody else uses SCIM, replace its token.") for step in unexplained)
    ledgers = [f for f in row.findings if f["kind"] != "unexplained"]
    assert all(Reclaim.objects.filter(pk=f["reclaim"]).exists() for f in ledgers)


def test_it_tells_who_did_it_where_the_log_tells(planted, world):
    row = reconcile_profile(world.profile, actor=None)
    installer = world.sandbox.world.installer().display_name
    for finding in row.findings:
        if finding["kind"] in ("reactivated", "restored_inactive"):
            assert f"Miro's log: by {installer}, " in finding["detail"]


def test_it_changes_nothing_at_miro_and_nobody_twice(planted, world):
    truth, sends = world.miro.truth()["transitions"], Reclaim.objects.order_by("pk").values_list("pk", "state")
    before = list(sends)
    reconcile_profile(world.profile, actor=None)
    assert world.miro.truth()["transitions"] == truth
    assert list(sends) == before


def test_the_facts_of_whom_it_looked_up_are_written(planted, world):
    reconcile_profile(world.profile, actor=None)
    back = Subscription.objects.filter(external_id__in=planted["reactivated"])
    assert {(row.active, row.verdict) for row in back} == {(True, "cooling_down")}


def test_without_the_scope_the_log_is_not_checked_and_the_rest_is(planted, world):
    world.miro.set_toggles(scopes=["organizations:read"])
    row = reconcile_profile(world.profile, actor=None)
    assert (row.audit_log_checked, row.problem) == (False, "")
    assert set(kinds(row)) == {"reactivated", "restored_inactive", "unsent_inactive"}
    assert {row.state for row in Connection.objects.all()} == {"working"}


def test_a_strange_deactivation_stays_until_the_person_is_active_again(world, alice):
    world.first_download()
    person, other = bystanders(world, 2)
    by_scim(world, person)
    by_scim(world, other)
    assert kinds(reconcile_profile(world.profile, actor=None)) == {"unexplained": 2}
    world.download()
    Reconciliation.objects.update(started_at=timezone.now() + reconcile.LOG_OVERLAP)
    row = reconcile_profile(world.profile, actor=None)
    assert (row.events, kinds(row)) == (0, {"unexplained": 2}), "though this night's log tells of nothing"
    world.miro.change(person, active=True)
    world.download()
    row = reconcile_profile(world.profile, actor=None)
    assert [finding["external_id"] for finding in row.findings] == [other]


def test_whoever_is_under_way_or_gone_is_no_difference(world, alice, bob):
    world.first_download()
    items = reclaimed(world, alice, bob, 3)
    ids = [item.subscription.external_id for item in items]
    world.miro.change(ids[0], removed=True)
    world.miro.change(ids[1], active=True)
    Reclaim.objects.filter(pk=items[1].pk).update(state="queued", finished_at=None)
    assert reconcile_profile(world.profile, actor=None).findings == []


def test_what_is_settled_while_miro_is_asked_is_no_difference(world, alice, bob, monkeypatch):
    world.first_download()
    items = reclaimed(world, alice, bob, 2)
    look_up = reconcile._look_up

    def meanwhile(*args):
        found = look_up(*args)
        restore(world, items[0])
        return found

    monkeypatch.setattr(reconcile, "_look_up", meanwhile)
    assert reconcile_profile(world.profile, actor=None).findings == []


def test_few_are_looked_up_and_many_are_paged(world, alice, bob):
    world.first_download()

    def asked(count: int) -> list[str]:
        reclaimed(world, alice, bob, count)
        since = world.miro.requests()[-1]["n"]
        reconcile_profile(world.profile, actor=None)
        found = world.miro.requests(since)
        return [request["query"] for request in found if request["path"].endswith("/members")]

    assert all("emails=" in query for query in asked(3))
    assert all("emails=" not in query for query in asked(20))


@pytest.mark.parametrize("path", ["/members", "/v2/audit/logs"])
def test_miro_is_away(planted, world, path):
    world.miro.fault("error_before", times=-1, match={"path": path})
    row = reconcile_profile(world.profile, actor=None)
    assert row.problem and row.finished_at
    assert not row.audit_log_checked
    assert bool(row.findings) == (path == "/v2/audit/logs"), "what was asked stands"


def test_a_dead_token(world):
    world.first_download()
    world.miro.set_toggles(token_valid=False)
    row = reconcile_profile(world.profile, actor=None)
    assert "401" in row.problem or "token" in row.problem
    assert Connection.objects.get(slot="rest").state == "error"


def test_one_at_a_time(world):
    Reconciliation.objects.create(profile=world.profile)
    with pytest.raises(Refused, match="running already"):
        reconcile_profile(world.profile, actor=None)
    Reconciliation.objects.update(started_at=timezone.now() - reconcile.MAX_RUNTIME)
    reconcile_profile(world.profile, actor=None)


def test_every_night(world, alice, monkeypatch):
    workers_called = []
    monkeypatch.setattr(tasks, "enqueue_task", lambda task, *ids: workers_called.append((task.name, ids)))
    tasks.reconcile_all()
    assert workers_called == [("subscriptions.tasks.reconcile_ledger", (world.profile.pk,))]
    reconcile.request_by(world.profile, actor=alice)
    tasks.reconcile_ledger(world.profile.pk)
    assert Reconciliation.objects.get().finished_at
    assert AuditEvent.objects.order_by("sequence").last().actor_id == alice.pk
    assert actions()[-1] == "ledger.reconciled"
