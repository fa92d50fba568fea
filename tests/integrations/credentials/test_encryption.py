"""Stored secrets are encrypted, bound to their place, rotatable, and never usable after a change."""

from __future__ import annotations

import pytest
from cryptography.fernet import Fernet

from integrations.credentials import credential_store, encryption
from integrations.credentials.encryption import CredentialError
from integrations.models import Connection, IntegrationProfile
from licensehub.audit.models import AuditEvent

CANARY = "canary-token-6f1d"
PLACE = "profile 1, slot rest"


@pytest.fixture
def profile(db):
    return IntegrationProfile.objects.create(name="Northwind", organization_id="1", kind="miro_enterprise")


def test_round_trip_and_no_plain_text():
    ciphertext = encryption.encrypt({"token": CANARY}, place=PLACE)

    assert CANARY not in ciphertext
    assert encryption.decrypt(ciphertext, place=PLACE) == {"token": CANARY}


def test_a_ciphertext_moved_to_another_place_cannot_be_decrypted():
    ciphertext = encryption.encrypt({"token": CANARY}, place=PLACE)

    with pytest.raises(CredentialError, match="another connection"):
        encryption.decrypt(ciphertext, place="profile 2, slot rest")


def test_a_changed_ciphertext_is_never_a_value():
    ciphertext = encryption.encrypt({"token": CANARY}, place=PLACE)

    with pytest.raises(CredentialError, match="cannot be decrypted"):
        encryption.decrypt(ciphertext[:-6] + "AAAAA=", place=PLACE)


def test_the_former_key_still_decrypts(settings):
    ciphertext = encryption.encrypt({"token": CANARY}, place=PLACE)
    former = settings.CREDENTIAL_KEYS
    settings.CREDENTIAL_KEYS = [Fernet.generate_key().decode(), *former]
    assert encryption.decrypt(ciphertext, place=PLACE) == {"token": CANARY}

    settings.CREDENTIAL_KEYS = settings.CREDENTIAL_KEYS[:1]
    with pytest.raises(CredentialError, match="CREDENTIAL_KEYS lacks the key"):
        encryption.decrypt(ciphertext, place=PLACE)


def test_without_a_key_nothing_is_stored(settings, profile):
    settings.CREDENTIAL_KEYS = []

    with pytest.raises(CredentialError, match="make install"):
        credential_store.set_credentials(profile, "rest", {"access_token": CANARY}, actor=None)

    assert not Connection.objects.exists()


def test_the_database_and_the_audit_hold_no_secret(profile, alice):
    made = credential_store.set_credentials(profile, "rest", {"access_token": CANARY}, actor=alice)

    assert made.secrets() == {"access_token": CANARY}
    assert CANARY not in str(list(Connection.objects.values()))
    assert CANARY not in str(list(AuditEvent.objects.values()))
    assert AuditEvent.objects.get().data == {"fingerprint": made.fingerprint}


def test_setting_again_replaces(profile):
    first = credential_store.set_credentials(profile, "rest", {"access_token": "one"}, actor=None)
    second = credential_store.set_credentials(profile, "rest", {"access_token": "two"}, actor=None)

    assert Connection.objects.count() == 1
    assert first.fingerprint != second.fingerprint
    assert Connection.objects.get().secrets() == {"access_token": "two"}
