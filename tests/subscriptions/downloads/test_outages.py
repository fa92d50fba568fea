"""Miro down, web pages instead of data, a foreign SCIM token: a sentence, nothing half-written, nothing lost."""

from __future__ import annotations

import pytest

from integrations.connectors.http import DEFAULT_LIMITS
from integrations.models import Connection
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.downloads import outages
from subscriptions.downloads.lease import DownloadError
from subscriptions.downloads.run import download_subscriptions
from subscriptions.models import DownloadedMember, Reclaim, Subscription
from subscriptions.models.download import StartedBy
from subscriptions.reclaims.engine import reclaim_due


@pytest.fixture(autouse=True)
def _no_long_waits(monkeypatch):
    monkeypatch.setattr(outages, "OUTAGE_DELAYS", (0.01, 0.01))


def run(world):
    return download_subscriptions(world.profile, actor=None, started_by=StartedBy.COMMAND)


def test_miro_is_down(world):
    world.first_download()
    world.sandbox.stop()

    found = run(world)

    assert found.state == "failed"
    assert "facts of the last complete download are kept" in found.problem
    assert not DownloadedMember.objects.exists()
    assert not Subscription.objects.exclude(gone_at=None).exists()


def test_a_short_outage_is_waited_for(world):
    world.miro.fault("error_before", times=4, match={"path": "/members"})

    assert run(world).state == "complete"


def test_a_web_page_instead_of_data(world):
    world.miro.fault("html", times=-1, match={"path": "/members"})

    found = run(world)

    assert found.state == "failed"
    assert "web page" in found.problem
    assert not Subscription.objects.exists()


def test_a_maintenance_page_of_some_seconds_costs_no_download(world):
    """It is an outage. A quarantined download would also stop the proposals, and ask for a person."""
    world.miro.fault("html", times=DEFAULT_LIMITS.tries * 2, match={"path": "/members"})

    assert run(world).state == "complete"


def test_approved_items_wait_while_miro_is_down(world, alice, bob):
    world.first_download()
    decide.approve(request_reclaim(world.candidates(2), actor=alice), actor=bob)
    world.sandbox.stop()

    assert reclaim_due(world.profile).held == 2

    for item in Reclaim.objects.all():
        assert (item.state, item.hold_reason) == ("queued", "later")
        assert item.outcome
        assert item.not_before is not None


def test_a_dead_scim_token_holds_what_is_approved(world, alice, bob):
    world.first_download()
    decide.approve(request_reclaim(world.candidates(2), actor=alice), actor=bob)
    world.miro.set_toggles(scim_token_valid=False)

    reclaim_due(world.profile)

    assert {(item.state, item.hold_reason) for item in Reclaim.objects.all()} == {("queued", "connection")}
    assert Connection.objects.get(slot="scim").state == "error"
    assert world.deactivated_by_us() == []


def test_a_schedule_does_not_run_against_a_connection_in_error_and_a_person_may_try(world):
    world.miro.set_toggles(token_valid=False)
    run(world)
    world.miro.set_toggles(token_valid=True)

    with pytest.raises(DownloadError, match="in error"):
        download_subscriptions(world.profile, actor=None, started_by=StartedBy.SCHEDULE)

    assert run(world).state == "complete"
    assert Connection.objects.get(slot="rest").state == "working"


def test_the_scim_token_of_another_organization(world, alice, bob):
    """Noticed after the download, before anything could be sent through it."""
    world.miro.set_toggles(foreign_scim=True)

    found = world.download()

    assert "another one" in found.problem
    assert Connection.objects.get(slot="scim").state == "error"
    decide.approve(request_reclaim(world.candidates(1), actor=alice), actor=bob)
    assert reclaim_due(world.profile).held == 1
    assert not [request for request in world.miro.requests() if request["method"] == "PATCH"]
