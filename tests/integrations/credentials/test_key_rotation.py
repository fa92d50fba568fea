"""`rotate_credentials_key`, and the system check of the stored credentials."""

from __future__ import annotations

import io

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command

from integrations.credentials import credential_store, encryption, key_rotation
from integrations.models import Connection, IntegrationProfile
from licensehub.audit.models import AuditEvent
from licensehub.checks.stored import check_stored_credentials

CANARY = "canary-token-77aa"


@pytest.fixture
def profile(db):
    return IntegrationProfile.objects.create(name="Northwind", organization_id="1", kind="miro_enterprise")


@pytest.fixture
def stored(profile):
    credential_store.set_credentials(profile, "rest", {"access_token": f"{CANARY}-1"}, actor=None)
    credential_store.set_credentials(profile, "scim", {"token": f"{CANARY}-2"}, actor=None)
    return profile


@pytest.fixture
def new_key(settings, stored):
    """A newer key in front of the one that the credentials were stored under."""
    settings.CREDENTIAL_KEYS = [Fernet.generate_key().decode(), *settings.CREDENTIAL_KEYS]
    return settings.CREDENTIAL_KEYS[0]


def run() -> str:
    out = io.StringIO()
    call_command("rotate_credentials_key", stdout=out)
    return out.getvalue()


def found() -> list[str]:
    return [message.id for message in check_stored_credentials(databases=["default"])]


def test_afterwards_the_old_key_can_be_removed(new_key, settings):
    assert found() == ["licensehub.W003"]
    text = run()
    settings.CREDENTIAL_KEYS = [new_key]
    assert "2 connections were encrypted again" in text
    assert "remove all keys except the first" in text
    assert CANARY not in text
    assert Connection.objects.get(slot="scim").secrets() == {"token": f"{CANARY}-2"}
    assert found() == []
    assert AuditEvent.objects.filter(action="connection.key_rotated").count() == 2


def test_a_second_rotation_changes_nothing(new_key):
    run()
    before = list(Connection.objects.values_list("ciphertext", flat=True))
    assert "0 connections were encrypted again, 2 had" in run()
    assert list(Connection.objects.values_list("ciphertext", flat=True)) == before


def test_without_rotation_the_old_key_is_missed_and_the_check_says_so(new_key, settings):
    settings.CREDENTIAL_KEYS = [new_key]
    assert found() == ["licensehub.E021", "licensehub.E021"]
    with pytest.raises(
        CommandError, match=r"No key can decrypt the credentials of Northwind: OAuth app, Northwind: SCIM"
    ):
        run()


def test_one_that_cannot_be_read_does_not_stop_the_others(new_key, settings):
    broken = Connection.objects.get(slot="rest")
    Connection.objects.filter(pk=broken.pk).update(ciphertext="gAAAAA-nonsense")
    with pytest.raises(CommandError, match="OAuth app"):
        run()
    settings.CREDENTIAL_KEYS = [new_key]
    assert Connection.objects.get(slot="scim").secrets() == {"token": f"{CANARY}-2"}


@pytest.mark.parametrize(
    "spoil", [lambda text: text[:-10], lambda text: text[:20] + "AA" + text[22:], lambda text: "ü"]
)
def test_a_tampered_ciphertext_is_never_a_value(stored, spoil):
    row = Connection.objects.get(slot="scim")
    Connection.objects.filter(pk=row.pk).update(ciphertext=spoil(row.ciphertext))
    row.refresh_from_db()
    with pytest.raises(encryption.CredentialError):
        row.secrets()
    assert found() == ["licensehub.E021"]


def test_swapped_rows_are_never_values(stored):
    first, second = Connection.objects.order_by("slot")
    Connection.objects.filter(pk=first.pk).update(ciphertext=second.ciphertext)
    assert [connection.pk for connection in key_rotation.unreadable_connections()] == [first.pk]


def test_a_token_stored_meanwhile_is_not_overwritten(new_key, stored, monkeypatch):
    """A refresh stores a new pair between reading the row and writing it."""
    real = encryption.encrypt
    raced = []

    def racing(secrets, *, place):
        if not raced and place.endswith("rest"):
            raced.append(place)
            Connection.objects.filter(slot="rest").update(ciphertext=real({"access_token": "newer"}, place=place))
        return real(secrets, place=place)

    monkeypatch.setattr(encryption, "encrypt", racing)
    run()
    assert Connection.objects.get(slot="rest").secrets() == {"access_token": "newer"}


def test_the_check_asks_nothing_without_a_database(new_key):
    assert check_stored_credentials(databases=None) == []
