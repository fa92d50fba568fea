"""Gives valid tokens. One worker at a time refreshes an OAuth pair, after 80 % of its lifetime.

A lease column, not a lock, keeps other workers away. The lease is committed before the refresh token is sent, so a
worker that finds an expired lease knows that a refresh may have happened. A refresh ends both old tokens at the vendor.
An old access token that still works therefore proves that no refresh happened, and the refresh token may be sent again.
In every other case it is not sent again: the connection goes into Error, and a person connects again.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from django.db import transaction
from django.db.models import QuerySet

from integrations.connections.connection_state import mark_failed
from integrations.connectors.contract import (
    ConfigError,
    Connector,
    ConnectorError,
    Grant,
    OAuthApp,
    OutcomeUnknown,
    TransientError,
    english,
)
from integrations.credentials import encryption
from integrations.installation import instance
from integrations.models import Connection, ConnectionState
from licensehub.audit.actions import Action
from licensehub.audit.log import record
from licensehub.database.clock import database_now

# Longer than the total deadline of one call, see connectors.http.Limits.
LEASE = timedelta(seconds=90)
LIFE_USED = 0.8
# A token is cached for this long before its row is read again.
TOKEN_CACHE_SECONDS = 5.0
RETRY_DELAY = timedelta(seconds=60)
POLL = 0.1  # seconds
WAIT = 60.0  # seconds

ANSWER_LOST = english("The vendor's answer to a refresh was lost, and the old token no longer works.")
RECONNECT = english("Open the connection's page and choose Reconnect.")


@dataclass
class StoredTokens:
    """Implements `TokenSource` over a profile's connections. `connector` is asked for its OAuth app."""

    profile_id: int
    connector: Connector | None = None
    _known: dict[str, tuple[float, Connection, str]] = field(default_factory=dict, repr=False)

    def __call__(self, slot: str, *, rejected: str = "") -> str:
        """See `TokenSource`."""
        known = self._known.get(slot)
        if known and not rejected and time.monotonic() - known[0] < TOKEN_CACHE_SECONDS and not is_due(known[1]):
            return known[2]
        row = self._row(slot)
        refreshes = row.slot_definition.oauth and row.refresh_at
        app = self.connector.oauth() if self.connector and refreshes else None
        token = token_of(row, app, rejected=rejected)
        row.refresh_from_db()
        self._known[slot] = (time.monotonic(), row, token)
        return token

    def _row(self, slot: str) -> Connection:
        try:
            return Connection.objects.select_related("profile").get(profile_id=self.profile_id, slot=slot)
        except Connection.DoesNotExist:
            raise ConfigError(english("This connection is not set up yet."), slot=slot, code="no_token") from None


def is_due(connection: Connection) -> bool:
    return connection.refresh_at is not None and connection.refresh_at <= database_now()


def secrets_of(connection: Connection) -> dict[str, str]:
    """The decrypted values; empty while nothing is set. Raises ConfigError when they cannot be read."""
    if not connection.ciphertext:
        return {}
    try:
        return connection.secrets()
    except encryption.CredentialError as error:
        raise ConfigError(str(error), slot=connection.slot, code="unreadable") from error


def grant_values(grant: Grant) -> dict[str, object]:
    """The columns of a Connection that change with a new pair."""
    if not grant.refresh_token or not grant.expires_in:
        return {"expires_at": None, "refresh_at": None}
    now = database_now()
    return {
        "expires_at": now + timedelta(seconds=grant.expires_in),
        "refresh_at": now + timedelta(seconds=grant.expires_in * LIFE_USED),
    }


def with_grant(app_secrets: Mapping[str, str], grant: Grant, *, token_name: str) -> dict[str, str]:
    """The app's values and the new pair."""
    kept = without_tokens(app_secrets, token_name=token_name)
    pair = {token_name: grant.access_token, "refresh_token": grant.refresh_token}
    return kept | {name: value for name, value in pair.items() if value}


def without_tokens(secrets: Mapping[str, str], *, token_name: str) -> dict[str, str]:
    return {name: value for name, value in secrets.items() if name not in (token_name, "refresh_token")}


def token_of(connection: Connection, app: OAuthApp | None, *, rejected: str = "") -> str:
    """See `TokenSource`. Refreshes when that is due, or when the vendor rejected a token that has not expired."""
    secrets = secrets_of(connection)
    token = secrets.get(connection.slot_definition.token, "")
    if not token:
        raise _must_connect(connection)
    replaced = bool(rejected) and token != rejected
    # In Error, a refresh was tried already: another one for each call would be a loop.
    wanted = is_due(connection) or (bool(rejected) and connection.state != ConnectionState.ERROR)
    if app is None or replaced or not wanted or not secrets.get("refresh_token"):
        return token
    if not instance.is_ours():
        # The vendor would end the pair of the instance that this database was copied from.
        if rejected or not connection.expires_at or connection.expires_at <= database_now():
            raise TransientError(instance.NOT_REFRESHED, code="copy")
        return token
    return _Refresh(connection, app, secrets, must=bool(rejected)).run()


def _must_connect(connection: Connection) -> ConfigError:
    slot = connection.slot_definition
    next_step = english("Open its page and connect.") if slot.oauth else english("Open its page and enter it.")
    message = connection.error or english("“{label}” is not set up yet. {next_step}").format(
        label=slot.label, next_step=next_step
    )
    return ConfigError(message, slot=connection.slot, code="no_token")


@dataclass
class _Refresh:
    """One attempt to get new tokens for a connection. `must`: the old token no longer works."""

    connection: Connection
    app: OAuthApp
    secrets: dict[str, str] = field(repr=False)
    must: bool
    lease: uuid.UUID = field(default_factory=uuid.uuid4)

    @property
    def _token(self) -> str:
        return self.secrets[self.connection.slot_definition.token]

    def run(self) -> str:
        if self._take_lease(refresh_lease=None):
            return self._send()
        current = Connection.objects.select_related("profile").get(pk=self.connection.pk)
        if current.ciphertext != self.connection.ciphertext:
            return token_of(current, self.app)
        if current.refresh_lease is None:
            return self.run()
        if current.refresh_lease_until and current.refresh_lease_until > database_now():
            return self._wait_for_other()
        return self._after_lost(current.refresh_lease)

    def _take_lease(self, *, refresh_lease: uuid.UUID | None) -> bool:
        """Commit the intent before anything is sent. False when another worker has changed the row meanwhile."""
        rows = Connection.objects.filter(
            pk=self.connection.pk, ciphertext=self.connection.ciphertext, refresh_lease=refresh_lease
        )
        return rows.update(refresh_lease=self.lease, refresh_lease_until=database_now() + LEASE) == 1

    def _wait_for_other(self) -> str:
        """Another worker refreshes. The old token works until the vendor replaces it."""
        expires_at = self.connection.expires_at
        if not self.must and expires_at and expires_at > database_now():
            return self._token
        until = time.monotonic() + WAIT
        while time.monotonic() < until:
            time.sleep(POLL)
            current = Connection.objects.select_related("profile").get(pk=self.connection.pk)
            if current.ciphertext != self.connection.ciphertext:
                return token_of(current, self.app)
            if current.refresh_lease is None:
                break
        raise TransientError(english("Another process is refreshing the access token."), code="refresh")

    def _after_lost(self, former: uuid.UUID) -> str:
        """The worker that took the lease died or lost the answer. Check the old token before anything is sent."""
        if not self._take_lease(refresh_lease=former):
            return self.run()
        if self._is_alive():
            return self._send()
        raise self._give_up(ANSWER_LOST)

    def _is_alive(self) -> bool:
        """Whether the old token works. TransientError when that is not known; then the next worker checks again."""
        try:
            return self.app.is_alive(self._token)
        except ConnectorError as error:
            self._mine().update(refresh_lease_until=database_now())
            raise TransientError(error.message, code="refresh") from error

    def _send(self) -> str:
        try:
            grant = self.app.refresh(self.secrets["refresh_token"])
        except TransientError as error:
            return self._later(error, refresh_lease=None, refresh_lease_until=None)
        except OutcomeUnknown as error:
            return self._lost(error)
        except ConnectorError as error:
            raise self._give_up(
                english("The access token could not be renewed. {message}").format(message=error.message)
            ) from error
        return self._store(grant)

    def _lost(self, error: OutcomeUnknown) -> str:
        """The answer is lost, and the vendor may still replace the pair. The next worker finds an expired lease."""
        if not self._is_alive():
            raise self._give_up(ANSWER_LOST) from error
        return self._later(TransientError(error.message, code="refresh"), refresh_lease_until=database_now())

    def _later(self, error: TransientError, **values: object) -> str:
        """There is no new pair. The old token is used while it is valid; the next try is a minute later or more."""
        self._mine().update(refresh_at=database_now() + RETRY_DELAY, **values)
        expires_at = self.connection.expires_at
        if self.must or not expires_at or expires_at <= database_now():
            raise error
        return self._token

    def _store(self, grant: Grant) -> str:
        """Store the pair before it is used. When somebody has set other credentials meanwhile, those are used."""
        name = self.connection.slot_definition.token
        kept = {"refresh_token": self.secrets["refresh_token"]} if not grant.refresh_token else {}
        secrets = {**with_grant(self.secrets, grant, token_name=name), **kept}
        with transaction.atomic():
            stored = self._mine().update(
                ciphertext=encryption.encrypt(secrets, place=self.connection.place),
                refresh_lease=None,
                refresh_lease_until=None,
                **grant_values(grant),
            )
            if stored:
                record(Action.TOKEN_REFRESHED, actor=None, target=self.connection)
        if not stored:
            return token_of(Connection.objects.select_related("profile").get(pk=self.connection.pk), None)
        return grant.access_token

    def _give_up(self, reason: str) -> ConfigError:
        """Delete the dead pair, so that no worker sends it again. The app's values stay."""
        kept = without_tokens(self.secrets, token_name=self.connection.slot_definition.token)
        stored = self._mine().update(
            ciphertext=encryption.encrypt(kept, place=self.connection.place),
            refresh_lease=None,
            refresh_lease_until=None,
            expires_at=None,
            refresh_at=None,
        )
        error = ConfigError(f"{reason} {RECONNECT}", slot=self.connection.slot, code="reconnect")
        if stored:
            mark_failed(self.connection.profile, error)
        return error

    def _mine(self) -> QuerySet[Connection]:
        return Connection.objects.filter(pk=self.connection.pk, refresh_lease=self.lease)
