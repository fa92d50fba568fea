"""The three commands, as an operator meets them: output, JSON, exit codes, and sentences for what is wrong."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from integrations.models import Connection, IntegrationProfile
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.models import DownloadRun, Reclaim
from tests.support.fixtures import MEMBERS


def run(name: str, *args: str) -> str:
    out = StringIO()
    call_command(name, *args, stdout=out)
    return out.getvalue()


@pytest.fixture
def tokens(monkeypatch):
    monkeypatch.setenv("MIRO_ACCESS_TOKEN", "canary-rest")
    monkeypatch.setenv("MIRO_SCIM_TOKEN", "canary-scim")


CONNECT = ("connect_vendor", "Acme", "--kind", "miro_enterprise")


def test_connect_and_publish(db, tokens):
    said = run(*CONNECT, "--organization", "42", "--publish")

    profile = IntegrationProfile.objects.get()
    assert "“Acme” is connected and published." in said
    assert (profile.organization_id, profile.state) == ("42", "published")
    assert profile.download_due_at is not None
    assert profile.rule.last_activity_threshold == 60
    assert {row.slot: row.secrets() for row in Connection.objects.all()} == {
        "rest": {"access_token": "canary-rest"},
        "scim": {"token": "canary-scim"},
    }


def test_connect_without_publish_says_what_next(db, tokens):
    assert "add --publish" in run(*CONNECT, "--organization", "42")
    assert IntegrationProfile.objects.get().state == "draft"


def test_connecting_again_replaces_the_tokens(db, tokens, monkeypatch):
    run(*CONNECT, "--organization", "42", "--publish")
    monkeypatch.setenv("MIRO_ACCESS_TOKEN", "newer")
    run(*CONNECT, "--organization", "42", "--publish")

    assert Connection.objects.get(slot="rest").secrets() == {"access_token": "newer"}
    assert IntegrationProfile.objects.count() == 1


def test_a_profile_never_changes_its_organization(db, tokens):
    run(*CONNECT, "--organization", "42")

    with pytest.raises(CommandError, match="belongs to organization 42"):
        run(*CONNECT, "--organization", "43")


def test_a_missing_variable(db, tokens, monkeypatch):
    monkeypatch.delenv("MIRO_SCIM_TOKEN")

    with pytest.raises(CommandError, match="MIRO_SCIM_TOKEN is not set"):
        run(*CONNECT, "--organization", "42")

    assert not IntegrationProfile.objects.exists()


def test_a_variable_of_ones_own(db, tokens, monkeypatch):
    monkeypatch.setenv("OTHER", "from-elsewhere")
    run(*CONNECT, "--organization", "42", "--token-env", "rest=OTHER")

    assert Connection.objects.get(slot="rest").secrets() == {"access_token": "from-elsewhere"}
    assert Connection.objects.get(slot="scim").secrets() == {"token": "canary-scim"}


def test_an_unknown_connection(db, tokens):
    with pytest.raises(CommandError, match="no connection “soap”"):
        run(*CONNECT, "--organization", "42", "--token-env", "soap=OTHER")


def test_an_unknown_kind(db, tokens):
    with pytest.raises(CommandError, match="invalid choice: 'zoom'"):
        run("connect_vendor", "Acme", "--kind", "zoom", "--organization", "42")


def test_the_old_name(db, monkeypatch):
    monkeypatch.setenv("A", "canary-rest")
    monkeypatch.setenv("B", "canary-scim")
    said = run("connect_miro", "Acme", "--access-token-env", "A", "--scim-token-env", "B", "--organization", "42")

    assert "“Acme” is connected and draft." in said
    assert IntegrationProfile.objects.get().kind == "miro_enterprise"
    assert Connection.objects.get(slot="scim").secrets() == {"token": "canary-scim"}


def test_download(world):
    last = run("download_subscriptions", "Northwind", "--json").splitlines()[-1]

    assert json.loads(last) == {
        "run": DownloadRun.objects.get().number,
        "state": "complete",
        "read": MEMBERS,
        "new": MEMBERS,
        "changed": 0,
        "gone": 0,
        "unchanged": 0,
    }


def test_download_that_fails(world):
    world.miro.set_toggles(token_valid=False)

    with pytest.raises(CommandError, match=r"failed: .*access token"):
        run("download_subscriptions", "Northwind")


@pytest.mark.parametrize("command", ["download_subscriptions", "reclaim_subscriptions"])
def test_unknown_profile(db, command):
    with pytest.raises(CommandError, match="no integration profile “Nobody”"):
        run(command, "Nobody")


def test_reclaim_and_dry_run(world, alice, bob):
    world.first_download()
    request = request_reclaim(world.candidates(4), actor=alice)
    decide.approve(request, actor=bob)
    back = request.removals.first().evidence["external_id"]
    world.miro.change(back, last_activity_at="now")

    previewed = run("reclaim_subscriptions", "Northwind", "--dry-run", "--json")
    assert json.loads(previewed.splitlines()[-1]) == {
        "dry_run": True,
        "would_send": 3,
        "would_not_send": 1,
        "would_wait": 0,
    }
    assert "Would deactivate 3. Not sent: 1 (active again)." in previewed
    assert world.deactivated_by_us() == []
    assert {item.state for item in Reclaim.objects.all()} == {"queued"}

    sent = run("reclaim_subscriptions", "Northwind", "--json")
    assert json.loads(sent.splitlines()[-1]) == {
        "reclaimed": 3,
        "restored": 0,
        "skipped": 1,
        "refused": 0,
        "tampered": 0,
        "held": 0,
        "in_doubt": 0,
    }
    assert len(world.deactivated_by_us()) == 3


def test_dry_run_of_one_request(world, alice):
    world.first_download()
    request = request_reclaim(world.candidates(2), actor=alice)

    previewed = run("reclaim_subscriptions", "Northwind", "--dry-run", "--request", request.number, "--json")

    assert json.loads(previewed.splitlines()[-1])["would_send"] == 2
    assert request.number in previewed
    assert world.deactivated_by_us() == []


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (["--request", "R-0001"], "--request works only with --dry-run"),
        (["--dry-run", "--request", "R-9999"], "“Northwind” has no request R-9999"),
        (["--dry-run", "--request", "soon"], "“Northwind” has no request soon"),
    ],
)
def test_a_dry_run_that_makes_no_sense(world, argv, sentence):
    with pytest.raises(CommandError, match=sentence):
        run("reclaim_subscriptions", "Northwind", *argv)


def test_reclaim_while_sending_is_stopped(world, alice, bob):
    from subscriptions.profiles import lifecycle

    world.first_download()
    decide.approve(request_reclaim(world.candidates(2), actor=alice), actor=bob)
    lifecycle.stop_sending(world.profile, actor=bob)

    said = run("reclaim_subscriptions", "Northwind")

    assert "2 held" in said
    assert "sending is stopped" in said
