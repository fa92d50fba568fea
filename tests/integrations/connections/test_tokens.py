"""Tokens by lease: refreshed once, stored before use, and never sent again when the answer was lost."""

from __future__ import annotations

import json
import threading
from datetime import timedelta

import pytest
from django.db import connection as database
from django.utils import timezone

from integrations.connections import connection_state, tokens
from integrations.connectors.contract import ConfigError, TransientError
from integrations.connectors.http import ApiSession
from integrations.connectors.miro.oauth import explain_oauth
from integrations.connectors.response import Answer
from integrations.credentials import credential_store
from integrations.models import Connection
from licensehub.audit.models import AuditEvent

TOKEN = {"path": "/v1/oauth/token", "method": "POST"}


def due(connection: Connection) -> None:
    Connection.objects.filter(pk=connection.pk).update(refresh_at=timezone.now())


def read(connection: Connection) -> str:
    """One call to Miro, the same that a worker makes."""
    return credential_store.connector_for(connection.profile).allocation().organization_id


def counters(miro) -> dict[str, int]:
    found: dict[str, int] = miro.oauth()["counters"]
    return found


def test_a_fresh_token_is_not_refreshed(connected, miro):
    read(connected)
    assert counters(miro)["refreshes"] == 0


def test_at_eighty_percent_of_its_lifetime_it_is_refreshed_once(connected, miro):
    life = connected.expires_at - connected.refresh_at
    assert timedelta(seconds=700) < life < timedelta(seconds=740)
    due(connected)
    before = connected.secrets()
    for _ in range(3):
        read(connected)
    connected.refresh_from_db()
    assert counters(miro)["refreshes"] == 1
    assert {connected.secrets()[name] == before[name] for name in ("access_token", "refresh_token")} == {False}
    assert connected.refresh_lease is None
    assert AuditEvent.objects.filter(action="connection.token_refreshed").count() == 1


def test_a_long_lived_connector_gets_the_new_token(connected, miro, monkeypatch):
    monkeypatch.setattr(tokens, "TOKEN_CACHE_SECONDS", 0.0)
    connector = credential_store.connector_for(connected.profile)
    connector.allocation()
    due(connected)
    connector.allocation()
    assert counters(miro)["refreshes"] == 1


def test_a_token_that_another_worker_has_rotated_is_read_again(connected, miro):
    """It keeps its token for some seconds; after Miro's 401 it reads the row again."""
    connector = credential_store.connector_for(connected.profile)
    connector.allocation()
    due(connected)
    read(connected)
    assert connector.allocation().organization_id
    assert counters(miro)["refreshes"] == 1


def test_a_rejected_token_is_refreshed_before_its_time(connected, miro):
    miro.expire_tokens()
    assert read(connected)
    assert counters(miro)["refreshes"] == 1


def test_a_refused_refresh_is_an_error_and_no_loop(connected, miro):
    miro.revoke_tokens()
    for _ in range(3):
        with pytest.raises(ConfigError, match="Reconnect"):
            read(connected)
        due(connected)
    connected.refresh_from_db()
    assert connected.state == "error"
    assert set(connected.secrets()) == {"client_id", "client_secret"}
    sent = [entry for entry in miro.requests() if entry["path"] == TOKEN["path"]]
    assert len(sent) == 2  # the exchange, and one refresh
    assert counters(miro)["refresh_reuse"] == 0


@pytest.mark.parametrize("status", [400, 401, 403, 404, 302])
@pytest.mark.parametrize("kind", ["html", "other_json"])
def test_a_refusal_that_is_not_miros_keeps_the_tokens(connected, miro, kind, status):
    """A proxy in between answered. Miro has not seen the refresh token, so it is still good."""
    due(connected)
    miro.fault(kind, page_status=status, match=TOKEN, times=-1)
    assert read(connected)  # with the old token
    connected.refresh_from_db()
    assert (connected.state != "error", "refresh_token" in connected.secrets()) == (True, True)
    miro.clear_faults()
    due(connected)
    assert read(connected)
    assert (counters(miro)["refreshes"], counters(miro)["refresh_reuse"]) == (1, 0)


@pytest.mark.parametrize("code", ["certificate", "redirect"])
def test_a_refresh_that_reaches_no_miro_keeps_the_tokens(connected, miro, monkeypatch, code):
    """E.g. the list of trusted certificates of this host is out of date."""

    def post(*_: object, **__: object) -> None:
        raise ConfigError("Nothing was sent.", slot="rest", code=code)

    due(connected)
    with monkeypatch.context() as patched:
        patched.setattr(ApiSession, "post", post)
        assert read(connected)
    connected.refresh_from_db()
    assert (connected.state != "error", "refresh_token" in connected.secrets()) == (True, True)
    due(connected)
    assert read(connected)
    assert counters(miro)["refreshes"] == 1


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        ({"status": 401, "code": "oauthError", "message": "Refresh token expired.", "type": "error"}, False),
        ({"error": "invalid_grant"}, False),
        ({"error": ["invalid_grant"]}, True),
        ({"error": "Forbidden"}, True),
        ({"message": "Forbidden"}, True),
        ({"code": 403}, True),
        ([], True),
    ],
)
def test_only_an_oauth_error_ends_a_pair_of_tokens(answer, kept):
    error = explain_oauth(Answer(401, {}, json.dumps(answer).encode()))
    assert isinstance(error, TransientError if kept else ConfigError)


def test_a_new_token_that_is_refused_is_not_refreshed_again(connected, miro):
    """Miro answers 401 to every token: one refresh, then Error, and no loop."""
    miro.fault("error_before", status=401, match={"path": "/v2/orgs"}, times=-1)
    for _ in range(4):
        with pytest.raises(ConfigError) as refused:
            read(connected)
        connection_state.mark_failed(connected.profile, refused.value)
    connected.refresh_from_db()
    assert connected.state == "error"
    assert counters(miro)["refreshes"] == 1


def test_a_lost_answer_after_the_rotation_is_an_error(connected, miro):
    """Miro has made a new pair that we do not know. The old refresh token is never sent again."""
    due(connected)
    miro.fault("error_after", match=TOKEN)
    with pytest.raises(ConfigError, match="lost"):
        read(connected)
    with pytest.raises(ConfigError):
        read(connected)
    connected.refresh_from_db()
    assert connected.state == "error"
    assert counters(miro)["refresh_reuse"] == 0


def test_a_lost_answer_without_a_rotation_keeps_the_old_token(connected, miro):
    due(connected)
    miro.fault("error_before", match=TOKEN)
    assert read(connected)
    connected.refresh_from_db()
    assert connected.state != "error"
    assert connected.refresh_at > timezone.now()
    due(connected)
    assert read(connected)
    assert (counters(miro)["refreshes"], counters(miro)["refresh_reuse"]) == (1, 0)


def test_a_killed_worker_before_it_sent_leaves_nothing_lost(connected, miro):
    Connection.objects.update(
        refresh_lease="11111111-1111-1111-1111-111111111111", refresh_lease_until=timezone.now() - timedelta(seconds=1)
    )
    due(connected)
    assert read(connected)
    assert (counters(miro)["refreshes"], counters(miro)["refresh_reuse"]) == (1, 0)


def test_a_killed_worker_after_it_sent_is_an_error(connected, miro):
    connector = credential_store.connector_for(connected.profile)
    connector.oauth().refresh(connected.secrets()["refresh_token"])  # its process ends here
    Connection.objects.update(
        refresh_lease="11111111-1111-1111-1111-111111111111", refresh_lease_until=timezone.now() - timedelta(seconds=1)
    )
    due(connected)
    with pytest.raises(ConfigError, match="lost"):
        read(connected)
    assert counters(miro)["refresh_reuse"] == 0


def test_the_control_without_the_check_reuses_the_token(connected, miro, monkeypatch):
    """Without the defense, an old refresh token is sent: the counter of the other tests works."""
    worker = credential_store.connector_for(connected.profile)
    worker.oauth().refresh(connected.secrets()["refresh_token"])
    Connection.objects.update(
        refresh_lease="11111111-1111-1111-1111-111111111111", refresh_lease_until=timezone.now() - timedelta(seconds=1)
    )
    due(connected)
    monkeypatch.setattr(tokens._Refresh, "_is_alive", lambda self: True)
    with pytest.raises(ConfigError):
        read(connected)
    assert counters(miro)["refresh_reuse"] == 1


def test_while_another_worker_refreshes_the_old_token_is_used(connected, miro):
    Connection.objects.update(
        refresh_lease="11111111-1111-1111-1111-111111111111", refresh_lease_until=timezone.now() + timedelta(minutes=1)
    )
    due(connected)
    assert read(connected)
    assert counters(miro)["refreshes"] == 0


def test_new_credentials_win_over_a_running_refresh(connected, miro, monkeypatch):
    due(connected)
    real = tokens._Refresh._store

    def slow(self, grant):
        credential_store.forget_credentials(connected.profile, actor=None)
        return real(self, grant)

    monkeypatch.setattr(tokens._Refresh, "_store", slow)
    with pytest.raises(ConfigError):
        read(connected)
    connected.refresh_from_db()
    assert (connected.ciphertext, connected.state) == ("", "not_set")


@pytest.mark.usefixtures("real_transactions")
def test_many_threads_and_one_refresh(connected, miro):
    due(connected)
    failed: list[Exception] = []

    def work() -> None:
        try:
            read(connected)
        except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
            failed.append(error)
        finally:
            database.close()

    workers = [threading.Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert failed == []
    assert (counters(miro)["refreshes"], counters(miro)["refresh_reuse"]) == (1, 0)
