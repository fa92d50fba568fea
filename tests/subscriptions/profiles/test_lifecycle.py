"""The catalog, several organizations side by side, the table of switches, and archiving."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User
from django.urls import reverse
from django_celery_beat.models import PeriodicTask

from integrations.connectors.miro.sandbox.server import start
from integrations.credentials import credential_store
from integrations.models import Connection, ConnectionState, IntegrationProfile, ProfileState
from licensehub.audit.models import AuditEvent
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.downloads.lease import DownloadError
from subscriptions.downloads.run import download_subscriptions
from subscriptions.errors import NotActionable, Refused
from subscriptions.models import DownloadRun, Reclaim, ReclaimRequest, RemovalCandidate, Subscription
from subscriptions.models.download import StartedBy
from subscriptions.profiles import archive, lifecycle
from subscriptions.reclaims.engine import reclaim_due
from subscriptions.stats import profile_stats
from tests.support.fixtures import MEMBERS, actions

ADD = "admin:integrations_integrationprofile_add"


@pytest.fixture
def operator(client) -> User:
    user = User.objects.create_user("olivia", is_staff=True)
    user.groups.add(Group.objects.get(name="Operator"))
    client.force_login(user)
    return user


def text(answer) -> str:
    return " ".join(answer.content.decode().split())


@pytest.mark.django_db
def test_nothing_is_published_without_each_of_its_credentials():
    """Commands publish past the page. Control: without `_refuse_missing_connections` it is published."""
    made = lifecycle.create_profile(name="Labs", organization_id="42", kind="miro_enterprise", actor=None)
    with pytest.raises(Refused, match="set the credentials of OAuth app and SCIM API token first"):
        lifecycle.publish(made, actor=None)
    Connection.objects.filter(profile=made, slot="scim").update(state=ConnectionState.WORKING)
    with pytest.raises(Refused, match="set the credentials of OAuth app first"):
        lifecycle.publish(made, actor=None)
    made.refresh_from_db()
    assert (
        made.state == ProfileState.DRAFT and not DownloadRun.objects.exists() and "profile.published" not in actions()
    )


# --- The catalog ------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_the_catalog_is_searched(client, operator):
    assert "Choose Miro Enterprise" in text(client.get(reverse(ADD)))
    assert "Choose Miro Enterprise" in text(client.get(reverse(ADD), {"q": "miro ENTERPRISE"}))
    nothing = text(client.get(reverse(ADD), {"q": "<zoom>"}))
    assert "Choose Miro" not in nothing
    assert "Nothing in the catalog matches “&lt;zoom&gt;”" in nothing


@pytest.mark.django_db
def test_a_draft_is_made_from_the_catalog(client, operator):
    address = reverse(ADD) + "?kind=miro_enterprise"
    page = text(client.post(address, {"name": "Labs", "organization_id": ""}, follow=True))
    profile = IntegrationProfile.objects.get()
    assert (profile.kind, profile.state, profile.organization_id) == ("miro_enterprise", "draft", "")
    assert "Download subscriptions" in page
    assert "Reclaim subscriptions" in page
    assert page.count("Set up") >= 2


@pytest.mark.django_db
def test_an_unknown_kind_leads_to_the_catalog(client, operator):
    assert "Choose Miro Enterprise" in text(client.post(reverse(ADD) + "?kind=zoom", {"name": "Labs"}))
    assert not IntegrationProfile.objects.exists()


@pytest.mark.django_db
def test_two_profiles_for_one_organization_are_refused():
    lifecycle.create_profile(name="Labs", organization_id="42", kind="miro_enterprise", actor=None)
    with pytest.raises(Refused, match="is for this organization already"):
        lifecycle.create_profile(name="Again", organization_id="42", kind="miro_enterprise", actor=None)


def test_two_organizations_side_by_side(world, allow_http, settings):
    other = start(members=60, seed=11)
    allow_http(other.control_url)
    urls = other.urls()
    second = lifecycle.create_profile(
        name="South", organization_id=urls["organization_id"], kind="miro_enterprise", actor=None
    )
    credential_store.set_credentials(second, "rest", {"access_token": urls["access_token"]}, actor=None)
    credential_store.set_credentials(second, "scim", {"token": urls["scim_token"]}, actor=None)
    lifecycle.publish(second, actor=None)
    world.download()
    here = settings.CONNECTOR_ADDRESSES
    settings.CONNECTOR_ADDRESSES = {
        "miro_enterprise": {"api": urls["api_url"], "authorize": "", "scim": urls["scim_url"]}
    }
    run = download_subscriptions(second, actor=None, started_by=StartedBy.COMMAND)
    settings.CONNECTOR_ADDRESSES = here
    other.stop()
    assert run.state == "complete"
    assert Subscription.objects.filter(profile=second).count() == 60
    assert Subscription.objects.filter(profile=world.profile).count() == MEMBERS
    assert profile_stats(second, run).assigned < profile_stats(world.profile, DownloadRun.objects.first()).assigned
    assert not RemovalCandidate.objects.exclude(profile_id=world.profile.pk).exclude(profile_id=second.pk).exists()


# --- The table of docs/switches.md ------------------------------------------------------------------------------------

SWITCHES = ["draft", "paused", "error", "reclaim_off", "stopped"]
# What each lets happen: download, request, approve, send (`hold`: waits and is not lost).
TABLE = {
    "draft": ("no", "no", "no", "hold"),
    "paused": ("no", "no", "no", "hold"),
    "error": ("no", "yes", "yes", "hold"),
    "reclaim_off": ("yes", "no", "no", "hold"),
    "stopped": ("yes", "yes", "yes", "hold"),
}


def switch(world, name: str) -> None:
    changes: dict[str, dict[str, object]] = {
        "draft": {"state": "draft"},
        "paused": {"state": "paused"},
        "reclaim_off": {"reclaim_enabled": False},
        "stopped": {"sending_stopped": True},
    }
    if name == "error":
        Connection.objects.filter(profile=world.profile).update(state="error", error="dead")
    else:
        IntegrationProfile.objects.filter(pk=world.profile.pk).update(**changes[name])
    world.profile.refresh_from_db()


def allowed(act) -> str:
    try:
        act()
    except (Refused, NotActionable, DownloadError):
        return "no"
    return "yes"


@pytest.mark.parametrize("name", SWITCHES)
def test_download_row(world, name):
    switch(world, name)
    found = allowed(lambda: download_subscriptions(world.profile, actor=None, started_by=StartedBy.SCHEDULE))
    assert found == TABLE[name][0]


@pytest.mark.parametrize("name", SWITCHES)
def test_request_row(world, alice, name):
    world.first_download()
    switch(world, name)
    assert allowed(lambda: request_reclaim(world.candidates(2), actor=alice)) == TABLE[name][1]


@pytest.mark.parametrize("name", SWITCHES)
def test_approve_row(world, alice, bob, name):
    world.first_download()
    request = request_reclaim(world.candidates(2), actor=alice)
    switch(world, name)
    assert allowed(lambda: decide.approve(request, actor=bob)) == TABLE[name][2]


@pytest.mark.parametrize("name", SWITCHES)
def test_send_row(world, alice, bob, name):
    world.first_download()
    decide.approve(request_reclaim(world.candidates(2), actor=alice), actor=bob)
    switch(world, name)
    assert reclaim_due(world.profile).held == 2
    assert {item.state for item in Reclaim.objects.all()} == {"queued"}
    assert world.deactivated_by_us() == []


# --- Archiving --------------------------------------------------------------------------------------------------------


@pytest.fixture
def busy(world, alice, bob, request):
    """Open candidates, an open request, and approved seats that wait because sending is stopped."""

    def make() -> None:
        world.first_download()
        decide.approve(request_reclaim(world.candidates(2), actor=alice), actor=bob)
        request_reclaim(world.candidates(3), actor=alice)
        lifecycle.stop_sending(world.profile, actor=None)

    world.cache.scene(request, make, world.sandbox)
    world.profile.refresh_from_db()
    return world


def test_archived(busy, operator):
    told = archive.consequences_of(busy.profile)
    assert (told.approved, told.requests) == (2, 1)
    archive.archive(busy.profile, typed_name="Northwind", actor=operator)
    assert busy.profile.is_archived
    assert not RemovalCandidate.objects.open().exists()
    assert {row.close_reason for row in RemovalCandidate.objects.all()} == {"profile_archived"}
    assert {item.state for item in Reclaim.objects.all()} == {"skipped"}
    assert {request.state for request in ReclaimRequest.objects.all()} == {"approved", "canceled"}
    assert not PeriodicTask.objects.filter(name__contains=f"profile {busy.profile.pk}").exists()
    assert {row.ciphertext for row in Connection.objects.all()} == {""}
    assert Subscription.objects.count() == MEMBERS
    assert busy.deactivated_by_us() == []
    event = AuditEvent.objects.get(action="profile.archived")
    assert event.data == {"approved": 2, "requests": 1, "candidates": told.candidates}
    assert reclaim_due(busy.profile).reclaimed == 0


@pytest.mark.parametrize("typed", ["", "northwind", "Northwind 2"])
def test_the_name_must_be_typed(busy, operator, typed):
    with pytest.raises(Refused, match="Type the name"):
        archive.archive(busy.profile, typed_name=typed, actor=operator)
    assert "profile.archived" not in actions()


@pytest.mark.parametrize("state", ["claimed", "sending", "in_doubt"])
def test_refused_while_something_is_being_sent(busy, operator, state):
    item = Reclaim.objects.first()
    Reclaim.objects.filter(pk=item.pk).update(state=state)
    with pytest.raises(Refused, match="being sent or in doubt"):
        archive.archive(busy.profile, typed_name="Northwind", actor=operator)
    busy.profile.refresh_from_db()
    assert busy.profile.state == "published"


def test_refused_while_a_send_began_after_the_first_look(busy, operator, monkeypatch):
    """The look behind the guard takes everything back."""
    looks = iter(["", "A seat is being sent."])
    monkeypatch.setattr(archive, "why_not_archive", lambda profile: next(looks))
    with pytest.raises(Refused, match="A seat is being sent"):
        archive.archive(busy.profile, typed_name="Northwind", actor=operator)
    busy.profile.refresh_from_db()
    assert busy.profile.state == "published"
    assert Connection.objects.exclude(ciphertext="").count() == 2


def test_refused_while_a_download_runs(world, operator):
    world.first_download()
    DownloadRun.objects.update(state="running")
    with pytest.raises(Refused, match="is running"):
        archive.archive(world.profile, typed_name="Northwind", actor=operator)


def test_a_new_profile_for_the_same_organization(world, operator):
    archive.archive(world.profile, typed_name="Northwind", actor=operator)
    made = lifecycle.create_profile(
        name="Northwind again", organization_id=world.profile.organization_id, kind="miro_enterprise", actor=None
    )
    assert made.state == "draft"


def test_the_page_of_archiving(busy, client, operator):
    address = reverse("admin:integrations_integrationprofile_archive", args=[busy.profile.pk])
    shown = text(client.get(address))
    assert "To archive it, type its name: Northwind" in shown
    assert "Type the name of the profile" in text(client.post(address, {"name": "x"}, follow=True))
    shown = text(client.post(address, {"name": "Northwind"}, follow=True))
    assert "is archived. Its records stay." in shown
    assert 'name="_save"' not in shown
    assert shown.count("None, because the profile is archived") == 2
    assert shown.count("Its credentials were erased") == 2
    assert "Validate connection" not in shown
    listed = reverse("admin:integrations_integrationprofile_changelist")
    assert "Northwind" not in text(client.get(listed)).split("<main")[-1].split("result_list")[-1]
    assert "Northwind" in text(client.get(listed, {"state": "archived"}))


def test_nothing_can_be_done_with_an_archived_profile(world, client, operator):
    archive.archive(world.profile, typed_name="Northwind", actor=operator)
    for name in ("publish", "pause", "unpause", "download", "reclaim"):
        client.post(reverse("admin:integrations_integrationprofile_action", args=[world.profile.pk, name]))
    world.profile.refresh_from_db()
    assert world.profile.is_archived
    row = Connection.objects.get(slot="scim")
    address = reverse("admin:integrations_connection_credentials", args=[row.pk])
    shown = text(client.post(address, {"scim__token": "another"}, follow=True))
    assert "is archived, so nothing was stored" in shown
    assert {connection.ciphertext for connection in Connection.objects.all()} == {""}


def test_others_may_not_archive(world, client, carol):
    client.force_login(carol)
    address = reverse("admin:integrations_integrationprofile_archive", args=[world.profile.pk])
    assert client.post(address, {"name": "Northwind"}).status_code == 403
    assert client.get(address).status_code == 403
