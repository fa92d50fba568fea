"""A copy of the database, with the tokens of production, started elsewhere: production must not notice."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command

from integrations import sending
from integrations.connections import oauth_flow
from integrations.connectors.contract import TransientError
from integrations.credentials import credential_store
from integrations.installation import instance
from integrations.models import Connection, Installation, SendingControl
from licensehub.audit.models import AuditEvent
from licensehub.database.clock import database_now
from subscriptions.reclaims import backup_guard
from tests.integrations.connections.test_tokens import counters, read

CHECKED = "This is the database of the new host; the old one is switched off."


def no_file(name: str) -> str:
    raise instance.NoInstanceId(name)


@pytest.fixture
def copied(real_instance, settings, connected, miro) -> Connection:
    """Production has used its database; then a copy of it runs under another id, when a refresh is due."""
    assert instance.is_ours()
    assert Installation.objects.get().instance_id == "production"
    settings.INSTANCE_ID = "a test"
    Connection.objects.update(refresh_at=database_now())
    return connected


def test_a_copy_refreshes_nothing_and_production_goes_on(copied, miro, settings):
    assert read(copied), "it may read while the token is valid"
    assert counters(miro)["refreshes"] == 0
    Connection.objects.update(expires_at=database_now() - timedelta(seconds=1))
    with pytest.raises(TransientError, match="may be a copy"):
        read(copied)
    state = copied.state
    copied.refresh_from_db()
    assert (copied.state, counters(miro)["refreshes"]) == (state, 0), "nothing is wrong with the connection"
    # The original goes on with the same token.
    settings.INSTANCE_ID = "production"
    assert read(copied)
    assert counters(miro)["refreshes"] == 1


def test_control_without_the_id_the_copy_disconnects_production(copied, miro, monkeypatch):
    monkeypatch.setattr(instance, "is_ours", lambda: True)
    production = copied.secrets()["access_token"]
    read(copied)
    assert counters(miro)["refreshes"] == 1
    assert not credential_store.connector_for(copied.profile).oauth().is_alive(production)


def test_a_copy_sends_nothing_until_an_admin_adopts_it(copied, operator):
    assert backup_guard.is_held()
    assert "may be a copy" in sending.control().held_why
    SendingControl.objects.update(held_at=None)
    assert backup_guard.is_held(), "somebody lifted the hold by SQL"
    with pytest.MonkeyPatch.context() as patch, pytest.raises(sending.NotSwitched, match="has no id"):
        patch.setattr(instance.settings, "INSTANCE_ID", "")
        patch.setattr(instance, "_id_in", no_file)
        sending.release(actor=operator, checked=CHECKED)
    assert sending.control().held_at
    sending.release(actor=operator, checked=CHECKED)
    assert not backup_guard.is_held() and instance.is_ours()
    event = AuditEvent.objects.get(action="installation.adopted")
    assert (event.actor_id, event.data) == (operator.pk, {"from": "production", "to": "a test"})


def test_a_copy_that_is_disconnected_revokes_nothing(copied, miro, operator):
    token = copied.secrets()["access_token"]
    app = credential_store.connector_for(copied.profile).oauth()
    assert "not revoked" in oauth_flow.disconnect(copied, actor=operator)
    copied.refresh_from_db()
    assert "access_token" not in copied.secrets()
    assert app.is_alive(token)


def test_the_command_adopts(copied):
    with pytest.raises(CommandError, match="--yes"):
        call_command("adopt_instance")
    call_command("adopt_instance", yes=True)
    assert instance.is_ours()
    assert AuditEvent.objects.get(action="installation.adopted").actor_name == "LicenseHub"


def test_the_id_is_in_a_file_that_is_made_once(settings, tmp_path):
    settings.INSTANCE_ID, settings.INSTANCE_ID_FILE = "", tmp_path / "var" / "instance-id"
    first = instance.own_id()
    instance._id_in.cache_clear()
    assert len(first) == 36 and instance.own_id() == first
    instance._id_in.cache_clear()
    settings.INSTANCE_ID_FILE.write_text("")
    with pytest.raises(instance.NoInstanceId):
        instance.own_id()
    settings.INSTANCE_ID = "from the environment"
    assert instance.own_id() == "from the environment"
