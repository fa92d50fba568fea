"""Acts on a profile: by POST, with the right, audited, and refused in a sentence."""

from __future__ import annotations

import pytest
from django.urls import reverse
from django.utils import timezone
from kombu.exceptions import OperationalError

from integrations.connectors.contract import Finding
from integrations.credentials.credential_store import set_credentials
from integrations.models import Connection, IntegrationProfile
from licensehub.audit.models import AuditEvent
from subscriptions import tasks

ADD = "admin:integrations_integrationprofile_add"


def act(profile: IntegrationProfile, name: str) -> str:
    return reverse("admin:integrations_integrationprofile_action", args=[profile.pk, name])


def page(profile: IntegrationProfile) -> str:
    return reverse("admin:integrations_integrationprofile_change", args=[profile.pk])


def validate(profile: IntegrationProfile) -> str:
    return reverse("admin:integrations_integrationprofile_validate", args=[profile.pk])


@pytest.fixture
def no_broker(monkeypatch):
    def fail(*args):
        raise OperationalError("no such socket")

    monkeypatch.setattr(tasks.download_due, "delay", fail)
    monkeypatch.setattr(tasks.reclaim, "delay", fail)


@pytest.fixture
def workers_called(monkeypatch):
    enqueued = []
    monkeypatch.setattr(tasks.download_due, "delay", lambda *args: enqueued.append(args))
    return enqueued


NEW = {"name": "Labs", "organization_id": "42"}


def test_a_new_profile_is_a_draft_with_empty_connections(sign_in):
    answer = sign_in("Operator").post(reverse(ADD) + "?kind=miro_enterprise", NEW, follow=True)
    profile = IntegrationProfile.objects.get()
    assert "created as a Draft" in answer.content.decode()
    rows = Connection.objects.filter(profile=profile)
    assert {(row.slot, row.state, row.ciphertext) for row in rows} == {("rest", "not_set", ""), ("scim", "not_set", "")}
    assert list(AuditEvent.objects.values_list("action", flat=True)) == ["profile.created"]


def test_a_new_name_leaves_the_credentials(connected, sign_in):
    before = list(Connection.objects.values_list("ciphertext", flat=True))
    sign_in("Operator").post(page(connected), {"name": "Labs 2"})
    connected.refresh_from_db()
    assert connected.name == "Labs 2"
    assert list(Connection.objects.values_list("ciphertext", flat=True)) == before
    assert AuditEvent.objects.first().data == {"name": {"from": "Labs", "to": "Labs 2"}}


def test_the_organization_never_changes(connected, sign_in):
    sign_in("Operator").post(page(connected), {"name": "Labs", "organization_id": "666", "kind": "other"})
    connected.refresh_from_db()
    assert (connected.organization_id, connected.kind) == ("42", "miro_enterprise")


def test_a_profile_is_never_deleted(connected, client, django_user_model):
    client.force_login(django_user_model.objects.create_superuser("root", "r@x.example", "x"))
    address = reverse("admin:integrations_integrationprofile_delete", args=[connected.pk])
    assert client.post(address, {"post": "yes"}).status_code == 403


def test_publishing_without_credentials_is_refused(draft, sign_in):
    answer = sign_in("Operator").post(act(draft, "publish"), follow=True)
    assert "cannot be published yet" in answer.content.decode()
    draft.refresh_from_db()
    assert draft.state == "draft"


def test_a_disabled_button_says_why(draft, sign_in):
    text = sign_in("Operator").get(page(draft)).content.decode()
    assert "Set up OAuth app and set up SCIM API token first." in text
    assert "Publish the profile first." in text


@pytest.mark.parametrize(
    ("name", "field", "value", "action"),
    [
        ("pause", "state", "paused", "profile.paused"),
        ("stop", "sending_stopped", True, "profile.sending_stopped"),
        ("reclaim-off", "reclaim_enabled", False, "profile.changed"),
    ],
)
def test_switches_are_turned_and_audited_once(published, sign_in, name, field, value, action):
    client = sign_in("Operator")
    client.post(act(published, name))
    published.refresh_from_db()
    assert getattr(published, field) == value
    assert AuditEvent.objects.first().action == action
    events = AuditEvent.objects.count()
    answer = client.post(act(published, name), follow=True)
    assert answer.status_code == 200
    assert AuditEvent.objects.count() == events


@pytest.mark.parametrize("pair", [("pause", "unpause"), ("stop", "allow"), ("reclaim-off", "reclaim-on")])
def test_switches_go_back(published, sign_in, pair):
    before = IntegrationProfile.objects.values().get(pk=published.pk)
    for name in pair:
        sign_in("Operator").post(act(published, name))
    assert IntegrationProfile.objects.values().get(pk=published.pk) == before


@pytest.mark.parametrize("name", ["publish", "pause", "stop", "reclaim-off", "download", "reclaim"])
@pytest.mark.parametrize("role", ["License manager", "Approver", "Auditor", ""])
def test_only_operators_act(published, sign_in, role, name):
    assert sign_in(role).post(act(published, name)).status_code == 403


def test_a_link_does_not_act(published, sign_in):
    assert sign_in("Operator").get(act(published, "pause")).status_code == 405
    assert sign_in("Operator").post(act(published, "nonsense")).status_code == 404


def test_run_now_enqueues_and_notes_that_a_download_is_due(published, sign_in, workers_called):
    client = sign_in("Operator")
    client.post(act(published, "download"))
    published.refresh_from_db()
    assert published.download_due_at is not None
    assert workers_called == [(published.pk,)]
    assert published.download_due_by_id == int(client.session["_auth_user_id"])


def test_without_a_broker_nothing_is_lost(published, sign_in, no_broker):
    answer = sign_in("Operator").post(act(published, "download"), follow=True)
    assert "Nothing is lost" in answer.content.decode()
    published.refresh_from_db()
    assert published.download_due_at is not None


def test_a_paused_profile_downloads_nothing(published, sign_in, workers_called):
    client = sign_in("Operator")
    client.post(act(published, "pause"))
    assert "No download was started" in client.post(act(published, "download"), follow=True).content.decode()
    assert not workers_called


def test_validation_shows_its_findings_and_marks_the_connections(connected, sign_in, monkeypatch):
    findings = [
        Finding("error", "The app is installed on a Developer team", "Miro answered 403.", "Connect again.", "rest"),
        Finding("ok", "SCIM API token", "Miro accepts it.", slot="scim"),
    ]
    monkeypatch.setattr(connected.connector, "validate", lambda self: findings)
    monkeypatch.setattr("integrations.credentials.credential_store._budget", lambda url, share: None)
    text = sign_in("Operator").post(validate(connected), follow=True).content.decode()
    assert "1 error, 1 passed" in text
    assert "Connect again." in text
    states = dict(Connection.objects.values_list("slot", "state"))
    assert states == {"rest": "error", "scim": "working"}


def test_nothing_is_downloaded_through_a_connection_that_is_not_connected(published, sign_in, workers_called):
    Connection.objects.filter(slot="rest").update(state="not_set", fingerprint="ab12-cd34")
    text = sign_in("Operator").post(act(published, "download"), follow=True).content.decode()
    assert "Connect OAuth app first." in text
    assert not workers_called


def test_validation_needs_credentials(draft, sign_in):
    assert (
        "Set up OAuth app and set up SCIM API token first."
        in sign_in("Operator").post(validate(draft), follow=True).content.decode()
    )


def test_new_credentials_for_one_connection(connected, sign_in):
    row = Connection.objects.get(slot="scim")
    address = reverse("admin:integrations_connection_credentials", args=[row.pk])
    answer = sign_in("Operator").post(address, {"scim__token": "another"}, follow=True)
    row.refresh_from_db()
    assert row.secrets() == {"token": "another"}
    assert row.fingerprint in answer.content.decode()
    assert "another" not in answer.content.decode().replace("another person", "")
    assert "Nothing was changed." in sign_in("Operator").post(address, {}, follow=True).content.decode()
    assert sign_in("Auditor").post(address, {"scim__token": "x"}).status_code == 403


FINE = [{"level": "ok", "title": "Scope", "detail": "", "next_step": "", "slot": "rest", "steps": [], "code": ""}]


@pytest.mark.parametrize(
    ("findings", "words"),
    [
        (None, "Validate the connection first."),
        ([{**FINE[0], "level": "error"}], "Fix what the validation found"),
        (FINE, "is published"),
    ],
)
def test_a_draft_is_validated_before_it_is_published(connected, sign_in, findings, words):
    if findings is not None:
        IntegrationProfile.objects.update(findings=findings, validated_at=timezone.now())
    assert words in sign_in("Operator").post(act(connected, "publish"), follow=True).content.decode()
    connected.refresh_from_db()
    assert (connected.state == "published") == (findings == FINE)


def test_new_credentials_are_validated_anew(connected, sign_in):
    IntegrationProfile.objects.update(findings=FINE, validated_at=timezone.now())
    set_credentials(connected, "scim", {"token": "another"}, actor=None)
    text = sign_in("Operator").post(act(connected, "publish"), follow=True).content.decode()
    assert "Validate the connection first." in text
