"""Acts on connections: set credentials, note that one fails or works again, and build a profile's connector."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from integrations import credentials
from integrations.connectors.budget import SharedRateBudget
from integrations.connectors.contract import ConfigError, Connector, ConnectorConfig
from integrations.connectors.registry import connector_class
from integrations.models import Connection, ConnectionState, IntegrationProfile, place_of
from licensehub.audit.actions import Action
from licensehub.audit.log import Actor, record


def set_credentials(profile: IntegrationProfile, slot: str, secrets: Mapping[str, str], *, actor: Actor) -> Connection:
    """Encrypt and store one slot's credentials, in place of the former ones. The audit gets the fingerprint only."""
    values = {
        "ciphertext": credentials.encrypt(secrets, place=place_of(profile_id=profile.pk, slot=slot)),
        "fingerprint": credentials.fingerprint(secrets),
        "credentials_set_at": timezone.now(),
        "state": ConnectionState.UNTESTED,
        "state_changed_at": timezone.now(),
        "error": "",
    }
    with transaction.atomic():
        connection, _ = Connection.objects.update_or_create(profile=profile, slot=slot, defaults=values)
        record(
            Action.CREDENTIALS_SET,
            actor=actor,
            target=connection,
            data={"fingerprint": connection.fingerprint},
        )
    return connection


def mark_failed(profile: IntegrationProfile, error: ConfigError) -> None:
    """Put the connection that `error` names (all of them when it names none) into Error, once per cause."""
    connections = Connection.objects.filter(profile=profile).exclude(state=ConnectionState.ERROR, error=error.message)
    if error.slot:
        connections = connections.filter(slot=error.slot)
    with transaction.atomic():
        for connection in connections.select_for_update():
            _set_state(connection, ConnectionState.ERROR, error.message)
            record(Action.CONNECTION_FAILED, actor=None, target=connection, data={"error": error.message})


def mark_working(profile: IntegrationProfile, slot: str) -> None:
    """A call through this slot was answered."""
    connections = Connection.objects.filter(profile=profile, slot=slot).exclude(state=ConnectionState.WORKING)
    with transaction.atomic():
        for connection in connections.select_for_update():
            was_error = connection.state == ConnectionState.ERROR
            _set_state(connection, ConnectionState.WORKING, "")
            if was_error:
                record(Action.CONNECTION_RECOVERED, actor=None, target=connection)


def _set_state(connection: Connection, state: ConnectionState, error: str) -> None:
    Connection.objects.filter(pk=connection.pk).update(state=state, error=error, state_changed_at=timezone.now())


def broken_connections(profile: IntegrationProfile) -> list[Connection]:
    return list(Connection.objects.filter(profile=profile, state=ConnectionState.ERROR).select_related("profile"))


def connector_for(profile: IntegrationProfile) -> Connector:
    """The profile's connector, ready to call. Raises ConfigError when a secret cannot be decrypted."""
    secrets = {}
    for connection in Connection.objects.filter(profile=profile).select_related("profile"):
        try:
            secrets[connection.slot] = connection.secrets()
        except credentials.CredentialError as error:
            raise ConfigError(str(error), slot=connection.slot) from error
    return connector_class(profile.kind)(
        ConnectorConfig(
            organization_id=profile.organization_id,
            secrets=secrets,
            addresses=settings.CONNECTOR_ADDRESSES[profile.kind],
            budget=_budget(settings.REDIS_URL),
        )
    )


@cache
def _budget(url: str) -> SharedRateBudget:
    return SharedRateBudget(url)
