"""docs/adding-a-connector.md is correct: a folder and one line of the settings make a vendor work from end to end."""

from __future__ import annotations

import csv

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.urls import reverse

from integrations.connections.validation import is_fit, validate_connections
from integrations.credentials import credential_store
from integrations.models import Connection, IntegrationProfile
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.downloads.run import download_subscriptions
from subscriptions.models import Reclaim, ReclaimRequest, RemovalCandidate, Subscription, Verdict
from subscriptions.models.download import StartedBy
from subscriptions.profiles import lifecycle
from subscriptions.reclaims import restores
from subscriptions.reclaims.engine import reclaim_due
from subscriptions.reconciliation.reconcile import reconcile_profile
from tests.integrations.connectors.csv_vendor.connector import CsvConnector
from tests.support.fixtures import in_effect, without_caps

COLUMNS = ("id", "name", "email", "active", "license", "role", "assigned", "last_activity")
LINES = (
    ("1", "Ann Idle", "ann@paper.example", "yes", "pen", "clerk", "2020-01-01", "2020-02-01"),
    ("2", "Bo Idle", "bo@paper.example", "yes", "pen", "clerk", "2020-01-01", "2020-03-01"),
    ("3", "Cy Boss", "cy@paper.example", "yes", "pen", "boss", "2020-01-01", "2020-02-01"),
    ("4", "Di Pencil", "di@paper.example", "yes", "pencil", "clerk", "2020-01-01", "2020-02-01"),
    ("5", "Ed Unknown", "ed@paper.example", "yes", "", "clerk", "2020-01-01", "2020-02-01"),
    ("6", "Flo Gone", "flo@paper.example", "no", "pen", "clerk", "2020-01-01", "2020-02-01"),
)


@pytest.fixture
def file(tmp_path, settings):
    """The vendor, and the one line that registers its connector."""
    settings.CONNECTORS = {"csv_file": "tests.integrations.connectors.csv_vendor.connector.CsvConnector"}
    path = tmp_path / "people.csv"
    with path.open("w", newline="") as out:
        csv.writer(out).writerows([COLUMNS, *LINES])
    return path


@pytest.fixture
def people(db):
    made = [User.objects.create_user(name, f"{name}@x.example", "x", is_staff=True) for name in ("alice", "bob")]
    for user, role in zip(made, ("Company admin", "Approver"), strict=True):
        user.groups.add(Group.objects.get(name=role))
        in_effect(user)
    return made


@pytest.fixture
def profile(file, people) -> IntegrationProfile:
    made = lifecycle.create_profile(name="Office", organization_id="77", kind="csv_file", actor=None)
    credential_store.set_credentials(made, "file", {"path": str(file)}, actor=None)
    assert is_fit(validate_connections(made, actor=None))
    lifecycle.publish(made, actor=None)
    without_caps(made)
    made.refresh_from_db()
    return made


def download(profile: IntegrationProfile) -> None:
    run = download_subscriptions(profile, actor=None, started_by=StartedBy.COMMAND)
    assert (run.state, run.problem) == ("complete", "")


def active(file) -> set[str]:
    with file.open(newline="") as lines:
        return {row["id"] for row in csv.DictReader(lines) if row["active"] == "yes"}


def reclaimed(profile, people) -> ReclaimRequest:
    alice, bob = people
    download(profile)
    request = request_reclaim(RemovalCandidate.objects.filter(state="ready"), actor=alice)
    decide.approve(request, actor=bob)
    reclaim_due(profile)
    return request


def test_from_the_file_to_a_reclaim_and_back(profile, people, file):
    assert profile.rule.licenses == ["pen"]
    reclaimed(profile, people)
    assert {row.external_id: row.verdict for row in Subscription.objects.filter(external_id__in="3456")} == {
        "3": Verdict.CANNOT_BE_REMOVED,
        "4": Verdict.NOT_IN_SCOPE,
        "5": Verdict.UNKNOWN,
        "6": Verdict.DEACTIVATED,
    }
    assert active(file) == {"3", "4", "5"}
    assert set(Reclaim.objects.values_list("state", flat=True)) == {"done"}

    ann = Reclaim.objects.get(subscription__external_id="1")
    restores.restore(ann, actor=people[0], reason="She is back.")
    reclaim_due(profile)
    assert active(file) == {"1", "3", "4", "5"}
    assert reconcile_profile(profile, actor=None).findings == []


def test_a_command_connects_it(file, db, monkeypatch):
    monkeypatch.setenv("CSV_FILE_PATH", str(file))
    call_command("connect_vendor", "Office", kind="csv_file", organization="77", publish=True)
    assert Connection.objects.get().secrets() == {"path": str(file)}


def test_the_pages_say_its_name(profile, people, client):
    request = reclaimed(profile, people)
    client.force_login(people[0])
    item = Reclaim.objects.first()
    pages = {
        reverse("admin:index"): "Reconciled with Paper",
        reverse("admin:integrations_integrationprofile_add"): "Choose Paper Office",
        reverse("admin:integrations_integrationprofile_change", args=[profile.pk]): "Paper Office",
        reverse("admin:integrations_connection_change", args=[Connection.objects.get().pk]): "Path of the file",
        reverse("admin:subscriptions_removalcandidate_changelist"): "people that the vendor refuses to deactivate",
        reverse("admin:subscriptions_reclaimrequest_change", args=[request.pk]): "They can no longer sign in.",
        reverse("admin:subscriptions_subscription_change", args=[item.subscription_id]): "Paper number",
        reverse("admin:subscriptions_reclaim_changelist"): "Ann Idle",
        reverse("admin:subscriptions_reclaim_change", args=[item.pk]): "What Paper answered",
        reverse("admin:subscriptions_reclaim_restore", args=[item.pk]): "can sign in again at once",
        reverse("admin:subscriptions_reconciliation_changelist"): "what Paper shows",
        reverse("admin:subscriptions_reclaimrule_change", args=[profile.rule.pk]): "Pencil",
    }
    for address, expected in pages.items():
        shown = " ".join(client.get(address, follow=True).content.decode().split())
        assert expected in shown, address
        assert "Miro" not in shown, address


def test_the_folder_and_one_line_are_all(settings):
    assert CsvConnector.__module__.startswith("tests.integrations.connectors.csv_vendor.")
    assert "csv_file" not in settings.CONNECTORS and "csv_file" not in settings.CONNECTOR_ADDRESSES
