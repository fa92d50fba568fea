"""Subflow 1 against the sandbox; the facts of the last good run survive whatever goes wrong."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import timedelta

import pytest
from django.utils import timezone

from integrations.connectors.miro.connector import MiroConnector
from integrations.models import Connection
from subscriptions.downloads import run as download_run
from subscriptions.downloads.facts import validation
from subscriptions.downloads.lease import DownloadError
from subscriptions.downloads.run import download_subscriptions
from subscriptions.models import ActivitySnapshot, DownloadedMember, DownloadRun, RemovalCandidate, Subscription
from subscriptions.models.download import StartedBy
from subscriptions.models.subscription import FACTS
from tests.support.fixtures import MEMBERS, World, actions


def run(world: World) -> DownloadRun:
    return download_subscriptions(world.profile, actor=None, started_by=StartedBy.COMMAND)


def counts(found: DownloadRun) -> tuple[int, int, int, int, int]:
    return found.read, found.new, found.changed, found.gone, found.unchanged


def facts() -> list[tuple]:
    return list(Subscription.objects.order_by("external_id").values_list("external_id", *FACTS, "gone_at"))


def test_first_download(world):
    found = world.download()

    assert counts(found) == (MEMBERS, MEMBERS, 0, 0, 0)
    assert Subscription.objects.count() == MEMBERS
    assert {row.external_id for row in Subscription.objects.filter(active=False)} == world.inactive()
    assert not DownloadedMember.objects.exists()
    assert found.purchased["full"] > 0
    assert found.stats["members"] == MEMBERS
    assert sum(found.stats["idle"].values()) + found.stats["never"] == found.stats["active"]
    assert not Subscription.objects.filter(evaluation=None).exists()
    assert RemovalCandidate.objects.count() == Subscription.objects.candidates().count() > 0
    assert actions()[-2:] == ["candidate.proposed", "download.evaluated"]


def test_names_come_from_the_directory_and_guests_keep_their_address(world):
    world.download()

    guest = Subscription.objects.filter(reclaimable=False, role__contains="guest").first()
    member = Subscription.objects.filter(role="organization_internal_user").first()
    assert guest.display_name == guest.email
    assert member.name


def test_second_download_writes_only_what_changed(world):
    world.first_download()
    [row] = Subscription.objects.filter(evaluation__verdict="active")[:1]
    world.miro.change(row.external_id, last_activity_at="now")

    found = world.download()

    assert counts(found) == (MEMBERS, 0, 1, 0, MEMBERS - 1)
    assert Subscription.objects.filter(changed_run=found).get() == row
    assert ActivitySnapshot.objects.filter(run=found).count() == 1
    assert ActivitySnapshot.objects.count() == 1


def test_somebody_who_left_is_gone_and_may_come_back(world):
    world.first_download()
    row = Subscription.objects.candidates().first()
    world.miro.change(row.external_id, removed=True)

    assert world.download().gone == 1

    row.refresh_from_db()
    assert (row.verdict, row.candidates.get().close_reason) == ("gone", "gone")


def test_somebody_reactivated_by_a_human_is_left_alone(world):
    world.first_download()
    row = Subscription.objects.candidates().first()
    world.miro.change(row.external_id, active=False)
    world.download()
    world.miro.change(row.external_id, active=True)

    world.download()

    row.refresh_from_db()
    assert row.verdict == "cooling_down"


def test_a_killed_download_goes_on_at_its_saved_cursor(world, monkeypatch):
    store = download_run._store

    def killed(*args):
        monkeypatch.setattr(download_run, "_store", store)
        store(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(download_run, "_store", killed)
    monkeypatch.setattr(download_run, "MAX_PAGES_AT_ONCE", 1)
    with pytest.raises(KeyboardInterrupt):
        run(world)
    first = DownloadRun.objects.get()
    assert (first.state, first.read) == ("running", 100)
    with pytest.raises(DownloadError, match="continues where it stopped"):
        run(world)
    DownloadRun.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    world.miro.clear_faults()
    asked_before = len(member_pages(world))

    found = run(world)

    assert found.pk == first.pk
    assert counts(found) == (MEMBERS, MEMBERS, 0, 0, 0)
    assert len(member_pages(world)) - asked_before == 1
    assert "download.resumed" in actions()


@pytest.mark.parametrize("change", [{"token": uuid.uuid4()}, {"state": "failed"}], ids=["taken over", "ended"])
def test_a_run_that_another_process_took_over_or_ended_is_left_to_it(world, monkeypatch, change):
    store = download_run._store

    def changed_meanwhile(*args):
        store(*args)
        DownloadRun.objects.update(**change)

    monkeypatch.setattr(download_run, "_store", changed_meanwhile)
    with pytest.raises(DownloadError, match="taken over by another process"):
        run(world)

    assert DownloadRun.objects.get().state == change.get("state", "running")
    assert not Subscription.objects.exists()


def test_where_pages_come_in_slowly_they_are_stored_by_the_clock(world, monkeypatch):
    stored = []
    store = download_run._store
    monkeypatch.setattr(download_run, "_store", lambda work, pages: (stored.append(len(pages)), store(work, pages)))
    monkeypatch.setattr(download_run, "STORE_EVERY", 0.0)
    run(world)
    assert [pages for pages in stored if pages] == [1] * DownloadRun.objects.get().pages


def test_what_a_crash_of_the_database_took_is_read_again(world, monkeypatch):
    store, crashes = download_run._store, iter([True])

    def crashed(work, pages):
        store(work, pages)
        if next(crashes, False):
            DownloadedMember.objects.all().delete()

    monkeypatch.setattr(download_run, "_store", crashed)
    monkeypatch.setattr(download_run, "MAX_PAGES_AT_ONCE", 1)
    found = run(world)
    assert (found.state, *counts(found)) == ("complete", MEMBERS, MEMBERS, 0, 0, 0)
    assert len(member_pages(world)) == 2 * found.pages


def test_what_is_lost_after_the_count_is_not_merged(world, monkeypatch):
    check = download_run.check_plausible

    def crashed(*args, **kwargs):
        check(*args, **kwargs)
        DownloadedMember.objects.all().delete()

    monkeypatch.setattr(download_run, "check_plausible", crashed)
    found = run(world)
    assert found.state == "quarantined" and "no longer all there" in found.problem
    assert not Subscription.objects.exists()


def member_pages(world: World) -> list[dict]:
    """The pages of the download itself. The only admins of teams are read afterwards."""
    asked = [request for request in world.miro.requests() if request["path"].endswith("/members")]
    return [request for request in asked if "/teams/" not in request["path"] and "active=" not in request["query"]]


ODD: list[tuple[str, dict, str]] = [
    ("cursor_loop", {}, "repeat in a loop"),
    ("wrong_organization", {}, "organization"),
    ("missing_id", {}, "id"),
]


@pytest.mark.parametrize(("fault", "how", "words"), ODD)
def test_odd_answers_quarantine_the_run(world, fault, how, words):
    world.first_download()
    before = facts()
    world.miro.fault(fault, times=-1, **how)

    found = run(world)

    assert found.state in ("quarantined", "failed")
    assert words in found.problem
    assert facts() == before
    assert not DownloadedMember.objects.exists()
    world.miro.clear_faults()
    Connection.objects.update(state="working")
    assert run(world).state == "complete"


def test_a_shrunken_organization_quarantines_the_run(world):
    world.first_download()
    before = facts()
    for row in Subscription.objects.all()[: MEMBERS // 4]:
        world.miro.change(row.external_id, removed=True)

    found = run(world)

    assert found.state == "quarantined"
    assert "30 of 120 known members are missing" in found.problem
    assert facts() == before
    assert actions()[-1] == "download.quarantined"


def test_without_the_check_the_shrunken_organization_is_believed(world, monkeypatch):
    """The control."""
    world.first_download()
    for row in Subscription.objects.all()[: MEMBERS // 4]:
        world.miro.change(row.external_id, removed=True)
    monkeypatch.setattr(validation, "_why_shrunk", lambda known, missing, *, repeated: "")

    assert run(world).gone == MEMBERS // 4


FAILING = [
    ({"token_valid": False}, "access token"),
    ({"scopes": ["boards:read"]}, "organizations:read"),
]


@pytest.mark.parametrize(("switch", "words"), FAILING)
def test_a_connection_that_fails_says_what_to_do(world, switch, words):
    world.miro.set_toggles(**switch)

    found = run(world)

    assert found.state == "failed"
    assert words in found.problem
    assert Connection.objects.get(slot="rest").state == "error"
    assert not Subscription.objects.exists()


def test_wrong_organization_id(world):
    type(world.profile).objects.update(organization_id="3074457345821149999")
    world.profile.refresh_from_db()

    found = run(world)

    assert found.state in ("failed", "quarantined")
    assert "organization" in found.problem


def test_a_connector_that_answers_for_another_organization_is_not_believed(world, monkeypatch):
    """The run asks once more what the connector should have noticed itself."""
    told = MiroConnector.allocation
    monkeypatch.setattr(MiroConnector, "allocation", lambda self: replace(told(self), organization_id="42"))

    found = run(world)

    assert found.state == "quarantined"
    assert "organization 42" in found.problem
    assert not Subscription.objects.exists()


def test_a_dead_scim_token_leaves_the_run_complete(world):
    world.miro.set_toggles(scim_token_valid=False)

    found = run(world)

    assert found.state == "complete"
    assert "Names were not read" in found.problem
    assert Connection.objects.get(slot="scim").state == "error"


@pytest.mark.parametrize(
    ("fault", "field", "verdict"),
    [("unknown_license", "license", "not_in_scope"), ("unknown_role", "role", "cannot_be_removed")],
)
def test_an_unknown_word_of_miro_is_kept(world, fault, field, verdict):
    world.miro.fault(fault)

    found = run(world)

    assert found.state == "complete"
    known = getattr(world.profile.connector, field + "s")
    [odd] = [row for row in Subscription.objects.all() if getattr(row, field) not in known]
    assert odd.verdict == verdict


def test_two_downloads_at_once(world):
    DownloadRun.objects.create(
        profile=world.profile, lease_until=timezone.now() + timedelta(seconds=60), started_by="command"
    )

    with pytest.raises(DownloadError, match="running already"):
        run(world)


def test_one_run_for_each_slot(world):
    midnight = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    how = {"actor": None, "started_by": StartedBy.SCHEDULE, "slot": midnight}
    download_subscriptions(world.profile, **how)

    with pytest.raises(DownloadError, match="made already"):
        download_subscriptions(world.profile, **how)

    assert DownloadRun.objects.count() == 1


def test_a_paused_profile_downloads_nothing(world, alice):
    from subscriptions.profiles import lifecycle

    lifecycle.pause(world.profile, actor=alice)

    with pytest.raises(DownloadError, match="is paused"):
        run(world)


def test_facts_that_are_newer_than_the_run_are_left_to_the_next_one(world):
    """A download that began before a reclaim must not undo what the reclaim read back."""
    world.first_download()
    row = Subscription.objects.candidates().first()
    Subscription.objects.filter(pk=row.pk).update(active=False, facts_at=timezone.now() + timedelta(minutes=5))

    world.download()

    row.refresh_from_db()
    assert row.active is False
    assert row.cooldown_until is None
