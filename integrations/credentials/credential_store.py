"""Set and delete the credentials of connections, and build a profile's connector."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Any

from django.conf import settings
from django.db import transaction

from integrations.connections.connection_memory import StoredMemory
from integrations.connections.tokens import StoredTokens, secrets_of
from integrations.connectors.contract import Connector, ConnectorConfig, english
from integrations.connectors.rate_limit import SharedRateBudget
from integrations.connectors.registry import addresses_of, connector_class
from integrations.credentials import encryption
from integrations.models import Connection, ConnectionState, IntegrationProfile, place_of
from integrations.scopes.account_scopes import deny_outside
from licensehub.audit.actions import Action
from licensehub.audit.log import Actor, record
from licensehub.database.clock import database_now

NOTHING_SET: dict[str, Any] = {
    "ciphertext": "",
    "fingerprint": "",
    "credentials_set_at": None,
    "state": ConnectionState.NOT_SET,
    "error": "",
    "unanswered_since": None,
    "granted": {},
    "learned": {},
    "expires_at": None,
    "refresh_at": None,
    "refresh_lease": None,
    "refresh_lease_until": None,
}


def set_credentials(profile: IntegrationProfile, slot: str, secrets: Mapping[str, str], *, actor: Actor) -> Connection:
    """Encrypt and store one slot's credentials, and replace the former ones. The audit gets only the fingerprint.

    An OAuth app is stored without a token, and a person connects it afterwards. When only the secret of a connected
    app is replaced, its token stays. Raises CredentialError.
    """
    deny_outside(actor, profile.pk)
    with transaction.atomic():
        # Archiving changes this row first and then erases the credentials, so nothing can be stored after it.
        if IntegrationProfile.objects.select_for_update().get(pk=profile.pk).is_archived:
            raise encryption.CredentialError(
                english("“{profile}” is archived, so nothing was stored. Add a new profile instead.").format(
                    profile=profile
                )
            )
        rows = Connection.objects.select_for_update().select_related("profile")
        former = rows.filter(profile=profile, slot=slot).first()
        kept = _same_app(former, secrets) if former else {}
        values = {**NOTHING_SET, **_new_values(profile, slot, {**kept, **secrets})}
        if kept and former:
            values |= {name: getattr(former, name) for name in ("granted", "expires_at", "refresh_at")}
        values["fingerprint"] = encryption.fingerprint(secrets)
        connection, _ = Connection.objects.update_or_create(profile=profile, slot=slot, defaults=values)
        _forget_findings(profile.pk)
        record(Action.CREDENTIALS_SET, actor=actor, target=connection, data={"fingerprint": connection.fingerprint})
    return connection


def _new_values(profile: IntegrationProfile, slot: str, secrets: Mapping[str, str]) -> dict[str, object]:
    now = database_now()
    complete = profile.slot(slot).token in secrets
    return {
        "ciphertext": encryption.encrypt(secrets, place=place_of(profile_id=profile.pk, slot=slot)),
        "credentials_set_at": now,
        "state": ConnectionState.UNTESTED if complete else ConnectionState.NOT_SET,
        "state_changed_at": now,
    }


def _same_app(former: Connection, secrets: Mapping[str, str]) -> dict[str, str]:
    """The tokens to keep: those of an OAuth app when only its secret is replaced, else none."""
    slot = former.slot_definition
    if not slot.oauth or not former.ciphertext or slot.token in secrets:
        return {}
    if former.refresh_lease:
        raise encryption.CredentialError(english("The access token is being refreshed now. Store again in a minute."))
    known = former.secrets()
    same = known.get(slot.fields[0].name) == secrets.get(slot.fields[0].name)
    return {name: known[name] for name in (slot.token, "refresh_token") if name in known} if same else {}


def forget_credentials(profile: IntegrationProfile, *, actor: Actor) -> int:
    """Delete the credentials of all slots of the profile. Returns how many slots had any."""
    erased = 0
    with transaction.atomic():
        for connection in Connection.objects.select_for_update().filter(profile=profile).exclude(ciphertext=""):
            erase(connection, Action.CREDENTIALS_REMOVED, actor=actor)
            erased += 1
    return erased


def erase(connection: Connection, action: Action, *, actor: Actor) -> None:
    """Delete the credentials of one connection; its row stays. Call it in a transaction."""
    values = {**NOTHING_SET, "state_changed_at": database_now()}
    Connection.objects.filter(pk=connection.pk).update(**values)
    _forget_findings(connection.profile_id)
    record(action, actor=actor, target=connection, data={"fingerprint": connection.fingerprint})


def _forget_findings(profile_id: int) -> None:
    """Delete the findings: they are about the former credentials."""
    IntegrationProfile.objects.filter(pk=profile_id).update(findings=[], validated_at=None, validated_by=None)


def connector_for(profile: IntegrationProfile, *, longest_wait: float = math.inf) -> Connector:
    """The profile's connector, ready to call. Raises ConfigError when a secret cannot be decrypted.

    `longest_wait` (seconds) is for the vendor's limit: see `ConnectorConfig`.
    """
    rows = Connection.objects.filter(profile=profile).select_related("profile")
    tokens = StoredTokens(profile.pk)
    connector = connector_class(profile.kind)(
        ConnectorConfig(
            organization_id=profile.organization_id,
            secrets={row.slot: secrets_of(row) for row in rows},
            addresses=addresses_of(profile.kind),
            budget=_budget(settings.REDIS_URL, settings.RATE_SHARE / 100),
            tokens=tokens,
            account=f"profile {profile.pk}",
            memory=StoredMemory(profile.pk),
            longest_wait=longest_wait,
        )
    )
    tokens.connector = connector
    return connector


@cache
def _budget(url: str, share: float) -> SharedRateBudget:
    return SharedRateBudget(url, share=share)
