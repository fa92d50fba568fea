"""*Connect to Miro*, against the sandbox: accepted and refused attempts, and the state after each."""

from __future__ import annotations

import uuid
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import Group
from django.core import mail
from django.urls import reverse
from django.utils import timezone

from integrations.connections import oauth_flow
from integrations.connections.oauth_flow import ConnectRefused
from integrations.connections.validation import validate_connections
from integrations.credentials import credential_store
from integrations.credentials.encryption import CredentialError
from integrations.models import ConnectAttempt, Connection, IntegrationProfile
from licensehub.audit.models import AuditEvent
from subscriptions.profiles import lifecycle
from tests.support.vendor.oauth import BACK, BROWSER, callback, connect_page, install


def start_in(client, connection):
    """Click *Connect*; the state that went to Miro."""
    answer = client.post(connect_page(connection))
    return parse_qs(urlsplit(answer.context["url"]).query)["state"][0]


def text_of(answer) -> str:
    return answer.content.decode()


def test_the_browser_is_sent_to_miro_with_the_exact_address(rest, signed_in, at_sandbox):
    answer = signed_in.post(connect_page(rest))
    url = answer.context["url"]
    address, query = url.split("?")[0], parse_qs(urlsplit(url).query)
    assert (answer.status_code, address) == (200, at_sandbox["authorize_url"])
    assert "no-store" in answer["Cache-Control"]
    assert query["redirect_uri"] == [BACK]
    assert query["response_type"] == ["code"]
    assert len(query["state"][0]) >= 43  # 256 bits in base64
    assert at_sandbox["client_secret"] not in text_of(answer)


def test_connected_and_validated(rest, signed_in, miro, at_sandbox):
    state = start_in(signed_in, rest)
    answer = signed_in.get(callback(), {"state": state, "code": miro.install(BACK)}, follow=True)
    rest.refresh_from_db()
    profile = rest.profile
    profile.refresh_from_db()
    assert "Connected to" in text_of(answer)
    assert (profile.organization_id, rest.state) == (at_sandbox["organization_id"], "working")
    assert {finding["level"] for finding in profile.findings} == {"ok"}
    assert str(profile.validated_by) == "olivia"
    assert rest.granted["team"]
    assert rest.refresh_at < rest.expires_at
    assert miro.oauth()["counters"]["secrets_in_query"] == 0


def test_a_refused_reconnect_leaves_the_working_connection(connected, signed_in, miro, operator):
    """The former connection stays, and so do the findings of its validation."""
    validate_connections(connected.profile, actor=operator)
    before = IntegrationProfile.objects.get().findings
    state = start_in(signed_in, connected)
    code = miro.install(BACK, team_id=miro.team("developer"))
    text = text_of(signed_in.get(callback(), {"state": state, "code": code}, follow=True))
    assert "The app is installed on a Developer team" in text
    assert "The former connection stays and still works." in text
    assert "pick a production team" in text
    assert IntegrationProfile.objects.get().findings == before
    assert credential_store.connector_for(connected.profile).allocation().organization_id


def test_after_a_disconnect_the_page_shows_no_old_validation(connected, signed_in, operator):
    validate_connections(connected.profile, actor=operator)
    oauth_flow.disconnect(connected, actor=operator)
    profile = IntegrationProfile.objects.get()
    assert (profile.findings, profile.validated_at) == ([], None)
    text = text_of(signed_in.get(reverse("admin:integrations_integrationprofile_change", args=[profile.pk])))
    assert "checks passed" not in text


def test_a_state_is_valid_once(rest, signed_in, miro):
    state = start_in(signed_in, rest)
    signed_in.get(callback(), {"state": state, "code": miro.install(BACK)})
    answer = signed_in.get(callback(), {"state": state, "code": miro.install(BACK)}, follow=True)
    assert "used already" in text_of(answer)
    assert miro.oauth()["counters"]["exchanges"] == 1


def test_a_state_is_valid_for_ten_minutes(rest, signed_in, miro):
    state = start_in(signed_in, rest)
    ConnectAttempt.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    answer = signed_in.get(callback(), {"state": state, "code": miro.install(BACK)}, follow=True)
    assert "longer than ten minutes" in text_of(answer)
    assert miro.oauth()["counters"]["exchanges"] == 0


def test_a_state_belongs_to_its_browser(rest, signed_in, operator, miro):
    """The same person in another browser: somebody made them click a link (login CSRF)."""
    state = start_in(signed_in, rest)
    other = type(signed_in)()
    other.force_login(operator)
    answer = other.get(callback(), {"state": state, "code": miro.install(BACK)}, follow=True)
    assert "did not start this connection" in text_of(answer)
    assert miro.oauth()["counters"]["exchanges"] == 0


def test_a_state_belongs_to_the_person_who_began(rest, operator, admin_user, miro):
    """Somebody else has signed in in the same browser meanwhile."""
    url = oauth_flow.start(rest, redirect_uri=BACK, browser=BROWSER, actor=operator)
    answer = {"state": url.rpartition("state=")[2], "code": miro.install(BACK), "error": ""}
    with pytest.raises(ConnectRefused, match="did not start this connection"):
        oauth_flow.finish(**answer, browser=BROWSER, actor=admin_user)
    assert miro.oauth()["counters"]["exchanges"] == 0


@pytest.mark.parametrize("state", ["", "x" * 43])
def test_a_foreign_state_is_refused(rest, signed_in, miro, state):
    start_in(signed_in, rest)
    answer = signed_in.get(callback(), {"state": state, "code": miro.install(BACK)}, follow=True)
    assert "did not start this connection" in text_of(answer)
    assert miro.oauth()["counters"]["exchanges"] == 0


def test_the_database_holds_no_state(rest, operator):
    url = oauth_flow.start(rest, redirect_uri=BACK, browser=BROWSER, actor=operator)
    assert url.rpartition("state=")[2] not in str(list(ConnectAttempt.objects.values()))


def test_cancel_is_reported(rest, signed_in):
    state = start_in(signed_in, rest)
    answer = signed_in.get(callback(), {"state": state, "error": "access_denied"}, follow=True)
    assert "somebody chose Cancel" in text_of(answer)
    rest.refresh_from_db()
    assert rest.state == "not_set"


def test_a_code_used_before_is_refused(rest, signed_in, miro, operator):
    code = miro.install(BACK)
    credential_store.connector_for(rest.profile).oauth().exchange(code, redirect_uri=BACK)
    answer = signed_in.get(callback(), {"state": start_in(signed_in, rest), "code": code}, follow=True)
    assert "used already" in text_of(answer)
    rest.refresh_from_db()
    assert rest.state == "not_set"


def test_an_expired_code_is_refused(rest, signed_in, miro):
    code = miro.install(BACK)
    miro.clock(offset_seconds=700)
    answer = signed_in.get(callback(), {"state": start_in(signed_in, rest), "code": code}, follow=True)
    assert "has expired" in text_of(answer)


def test_a_wrong_client_secret_is_reported(rest, signed_in, miro, at_sandbox):
    app = {"client_id": at_sandbox["client_id"], "client_secret": "wrong"}
    credential_store.set_credentials(rest.profile, "rest", app, actor=None)
    answer = signed_in.get(callback(), {"state": start_in(signed_in, rest), "code": miro.install(BACK)}, follow=True)
    assert "client secret is wrong" in text_of(answer)


def test_a_lost_answer_is_no_reason_to_doubt_the_client_secret(rest, signed_in, miro):
    state = start_in(signed_in, rest)
    code = miro.install(BACK)
    miro.fault("error_after", match={"path": "/v1/oauth/token"})
    text = text_of(signed_in.get(callback(), {"state": state, "code": code}, follow=True))
    assert "It is not known whether Miro has made the change. Open the connection" in text
    assert "client secret is wrong" not in text
    assert "by itself" not in text


def test_a_developer_team_is_refused_by_name_with_the_steps(rest, signed_in, miro):
    state = start_in(signed_in, rest)
    code = miro.install(BACK, team_id=miro.team("developer"))
    answer = signed_in.get(callback(), {"state": state, "code": code}, follow=True)
    text = text_of(answer)
    assert "The app is installed on a Developer team" in text
    assert "Install it on a team of your Enterprise organization" in text
    assert "pick a production team" in text
    assert "The next steps are listed below." in text
    assert "Labs Dev Sandbox" in text
    rest.refresh_from_db()
    assert (rest.state, rest.profile.organization_id) == ("not_set", "")
    assert miro.oauth()["counters"]["revocations"] == 1


def test_another_organization_is_refused_and_the_former_connection_stays(connected, signed_in, miro, operator):
    before = connected.secrets()
    with pytest.raises(ConnectRefused, match="Another Company Ltd"):
        install(connected, miro, operator, kind="foreign")
    connected.refresh_from_db()
    assert connected.secrets() == before
    assert credential_store.connector_for(connected.profile).allocation().organization_id
    assert miro.oauth()["counters"]["revocations"] == 1


def test_a_profile_that_gets_another_organization_meanwhile_refuses_the_token(rest, miro, operator, monkeypatch):
    """Its other connection is connected after this token was compared with the profile."""

    def connected_elsewhere(app, granted, connection):
        IntegrationProfile.objects.update(organization_id="42")

    monkeypatch.setattr(oauth_flow, "_refuse_unfit", connected_elsewhere)
    with pytest.raises(ConnectRefused, match="is for another organization"):
        install(rest, miro, operator)

    rest.refresh_from_db()
    assert (rest.state, "access_token" in rest.secrets()) == ("not_set", False)
    assert miro.oauth()["counters"]["revocations"] == 1


def test_a_missing_scope_is_refused_by_name(rest, miro, operator):
    miro.set_toggles(scopes=["boards:read"])
    with pytest.raises(ConnectRefused, match="does not have the scope organizations:read") as caught:
        install(rest, miro, operator)
    assert caught.value.finding.code == "missing_scope"


def test_one_profile_for_an_organization(connected, miro, operator, at_sandbox):
    second = lifecycle.create_profile(name="Again", organization_id="", kind="miro_enterprise", actor=None)
    app = {name: at_sandbox[name] for name in ("client_id", "client_secret")}
    other = credential_store.set_credentials(second, "rest", app, actor=None)
    with pytest.raises(ConnectRefused, match="has an integration profile already"):
        install(other, miro, operator)
    assert IntegrationProfile.objects.get(name="Again").organization_id == ""


def test_a_profile_that_is_archived_meanwhile_gets_no_token(rest, miro, operator, monkeypatch):
    def archive(app, granted, connection):
        IntegrationProfile.objects.filter(pk=connection.profile_id).update(state="archived")

    monkeypatch.setattr(oauth_flow, "_refuse_unfit", archive)
    with pytest.raises(ConnectRefused, match="is archived, so nothing was connected"):
        install(rest, miro, operator)
    before = rest.ciphertext
    rest.refresh_from_db()
    assert (rest.ciphertext, rest.granted) == (before, {})
    assert miro.oauth()["counters"]["revocations"] == 1


def test_roles(rest, client, miro, django_user_model):
    auditor = django_user_model.objects.create_user("carl", is_staff=True)
    auditor.groups.add(Group.objects.get(name="Auditor"))
    client.force_login(auditor)
    assert client.post(connect_page(rest)).status_code == 403
    answer = client.get(callback(), {"state": "x", "code": miro.install(BACK)}, follow=True)
    assert "Your role may not connect" in text_of(answer)


@pytest.mark.parametrize("page", ["credentials", "connect", "disconnect"])
def test_who_only_reads_changes_no_connection(connected, client, django_user_model, page):
    auditor = django_user_model.objects.create_user("carl", is_staff=True)
    auditor.groups.add(Group.objects.get(name="Auditor"))
    client.force_login(auditor)
    before = connected.ciphertext
    assert client.post(reverse(f"admin:integrations_connection_{page}", args=[connected.pk])).status_code == 403
    connected.refresh_from_db()
    assert connected.ciphertext == before


def test_a_link_does_not_connect(rest, signed_in):
    assert signed_in.get(connect_page(rest)).status_code == 405
    assert not ConnectAttempt.objects.exists()


def test_disconnect_revokes(connected, miro):
    token = connected.secrets()["access_token"]
    assert "is revoked" in oauth_flow.disconnect(connected, actor=None)
    connected.refresh_from_db()
    assert set(connected.secrets()) == {"client_id", "client_secret"}
    assert (connected.state, connected.granted, connected.expires_at) == ("not_set", {}, None)
    assert miro.oauth()["counters"]["revocations"] == 1
    assert not credential_store.connector_for(connected.profile).oauth().is_alive(token)


def test_disconnect_brings_nothing_back_that_is_erased_meanwhile(connected, monkeypatch):
    read = oauth_flow._app_and_token

    def archived_meanwhile(connection):
        found = read(connection)
        credential_store.forget_credentials(connection.profile, actor=None)
        return found

    monkeypatch.setattr(oauth_flow, "_app_and_token", archived_meanwhile)
    oauth_flow.disconnect(connected, actor=None)
    connected.refresh_from_db()
    assert connected.ciphertext == ""


def test_disconnect_deletes_the_tokens_even_when_miro_is_away(connected, sandbox):
    sandbox.stop()
    assert "did not confirm" in oauth_flow.disconnect(connected, actor=None)
    connected.refresh_from_db()
    assert "access_token" not in connected.secrets()


def test_an_app_without_expiry(rest, miro, operator):
    miro.set_toggles(app_expires=False)
    made = install(rest, miro, operator)
    assert (made.refresh_at, "refresh_token" in made.secrets()) == (None, False)
    assert credential_store.connector_for(made.profile).allocation().organization_id


def test_the_secret_of_the_same_app_can_be_replaced_without_downtime(connected, at_sandbox):
    token = connected.secrets()["access_token"]
    app = {"client_id": at_sandbox["client_id"], "client_secret": "a new one"}
    made = credential_store.set_credentials(connected.profile, "rest", app, actor=None)
    assert (made.secrets()["access_token"], made.state) == (token, "untested")
    assert made.refresh_at == connected.refresh_at


def test_no_secret_is_replaced_while_the_token_is_refreshed(connected, at_sandbox):
    """The refresh that is under way would be lost, and with it the new token."""
    Connection.objects.filter(pk=connected.pk).update(refresh_lease=uuid.uuid4())
    app = {"client_id": at_sandbox["client_id"], "client_secret": "a new one"}
    with pytest.raises(CredentialError, match="is being refreshed"):
        credential_store.set_credentials(connected.profile, "rest", app, actor=None)


def test_another_app_must_be_connected_again(connected):
    app = {"client_id": "another", "client_secret": "s"}
    made = credential_store.set_credentials(connected.profile, "rest", app, actor=None)
    assert (made.state, made.granted, "access_token" in made.secrets()) == ("not_set", {}, False)


def test_a_scim_token_is_replaced_under_a_running_connector(connected, miro, at_sandbox):
    """The connector was made with the former token; Miro refuses that from now on."""
    profile = connected.profile
    credential_store.set_credentials(profile, "scim", {"token": "the-former"}, actor=None)
    connector = credential_store.connector_for(profile)
    credential_store.set_credentials(profile, "scim", {"token": at_sandbox["scim_token"]}, actor=None)
    assert list(connector.directory())


def test_every_step_is_in_the_audit_without_a_secret(connected, miro, operator):
    secrets = [*connected.secrets().values()]
    oauth_flow.disconnect(connected, actor=operator)
    actions = list(AuditEvent.objects.order_by("sequence").values_list("action", flat=True))
    assert [word for word in actions if word.startswith("connection.connect") or "disconn" in word] == [
        "connection.connect_started",
        "connection.connected",
        "connection.disconnected",
    ]
    everything = str(list(AuditEvent.objects.values())) + str(list(Connection.objects.values())) + str(mail.outbox)
    assert not [secret for secret in secrets if secret in everything]


def test_validation_names_the_developer_team_of_a_token_that_came_another_way(rest, miro, at_sandbox, operator):
    """It was stored by the command line, so nobody checked it when it was granted."""
    code = miro.install(BACK, team_id=miro.team("developer"))
    grant = credential_store.connector_for(rest.profile).oauth().exchange(code, redirect_uri=BACK)
    IntegrationProfile.objects.update(organization_id=at_sandbox["organization_id"])
    profile = IntegrationProfile.objects.get()
    credential_store.set_credentials(profile, "rest", {"access_token": grant.access_token}, actor=None)
    found = validate_connections(profile, actor=operator)
    [wrong] = [finding for finding in found if finding.level == "error"]
    assert wrong.title == "The app is installed on a Developer team"
    assert "Labs Dev Sandbox" in wrong.detail
    assert len(wrong.steps) == 3
    assert Connection.objects.get(slot="rest").state == "error"
