"""Encrypt all stored credentials again with the newest key, so that an older key can be removed."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.db import transaction

from integrations.credentials import encryption
from integrations.models import Connection, Webhook
from integrations.webhooks.secrets import encrypt_again
from licensehub.audit.actions import Action
from licensehub.audit.log import record
from licensehub.sign_in.factors import second_factor

TRIES = 5


@dataclass
class Rotated:
    """`unreadable` lists the connections with credentials that no key can decrypt."""

    again: int = 0
    already: int = 0
    unreadable: list[str] = field(default_factory=list)


def rotate_credentials() -> Rotated:
    """It can be stopped at any time and run again. It never overwrites credentials that change meanwhile."""
    done = Rotated()
    for connection in Connection.objects.exclude(ciphertext="").select_related("profile"):
        _rotate(connection, done)
    for row in Webhook.objects.all():
        _rotate_webhook(row, done)
    # The secrets of second factors are encrypted with the same keys.
    second_factor.encrypt_again()
    return done


def _rotate(connection: Connection, done: Rotated) -> None:
    for _ in range(TRIES):
        if not connection.ciphertext or encryption.is_newest(connection.ciphertext):
            done.already += 1
            return
        try:
            stored = _store(connection)
        except encryption.CredentialError:
            break
        if stored:
            done.again += 1
            return
        connection.refresh_from_db()
    done.unreadable.append(str(connection))


def _rotate_webhook(row: Webhook, done: Rotated) -> None:
    for _ in range(TRIES):
        if encryption.is_newest(row.ciphertext):
            done.already += 1
            return
        try:
            stored = encrypt_again(row)
        except encryption.CredentialError:
            break
        if stored:
            done.again += 1
            return
        row.refresh_from_db()
    done.unreadable.append(f"webhook {row}")


def _store(connection: Connection) -> bool:
    """False when the credentials have changed since they were read, e.g. by a refresh of the token."""
    fresh = encryption.encrypt(connection.secrets(), place=connection.place)
    with transaction.atomic():
        rows = Connection.objects.filter(pk=connection.pk, ciphertext=connection.ciphertext)
        if rows.update(ciphertext=fresh) != 1:
            return False
        record(Action.KEY_ROTATED, actor=None, target=connection, data={"fingerprint": connection.fingerprint})
    return True


def unreadable_connections() -> list[Connection]:
    """Connections with stored credentials that no configured key can decrypt, or that somebody changed."""
    rows = Connection.objects.exclude(ciphertext="").select_related("profile")
    return [connection for connection in rows if not _is_readable(connection)]


def under_former_keys() -> int:
    """Return how many are not yet encrypted with the newest key."""
    ciphertexts = Connection.objects.exclude(ciphertext="").values_list("ciphertext", flat=True)
    webhooks = Webhook.objects.values_list("ciphertext", flat=True)
    secrets = [*ciphertexts, *webhooks, *second_factor.stored_secrets()]
    return sum(not encryption.is_newest(ciphertext) for ciphertext in secrets)


def _is_readable(connection: Connection) -> bool:
    try:
        connection.secrets()
    except encryption.CredentialError:
        return False
    return True
