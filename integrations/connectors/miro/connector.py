"""The connector for Miro Enterprise: members by REST, changes and names by SCIM."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import ClassVar

from integrations.connectors.contract import (
    Allocation,
    Capability,
    ConfigError,
    ConnectorConfig,
    ConnectorError,
    Field,
    Finding,
    Member,
    Page,
    Person,
    Receipt,
    Slot,
)
from integrations.connectors.http import DEFAULT_LIMITS, Answer, ApiSession, Limits
from integrations.connectors.miro.errors import REST, SCIM, explain_rest, explain_scim
from integrations.connectors.miro.rest import MiroRest
from integrations.connectors.miro.scim import MiroScim
from integrations.connectors.miro.validate import findings
from integrations.connectors.scim import MEDIA_TYPE

REST_SLOT = Slot(name=REST, label="OAuth app", fields=(Field(name="access_token", label="Access token"),))
SCIM_SLOT = Slot(name=SCIM, label="SCIM API token", fields=(Field(name="token", label="Token"),))


class MiroConnector:
    """Implements `Connector`. Costs nothing until the first call; a missing token is a ConfigError then."""

    kind: ClassVar[str] = "miro_enterprise"
    label: ClassVar[str] = "Miro Enterprise"
    slots: ClassVar[tuple[Slot, ...]] = (REST_SLOT, SCIM_SLOT)
    download_slot: ClassVar[str] = REST_SLOT.name
    reclaim_slot: ClassVar[str] = SCIM_SLOT.name
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.DEACTIVATE, Capability.REACTIVATE, Capability.DIRECTORY}
    )
    activity_means: ClassVar[str] = "The day the person last opened a board of the organization, as Miro reports it."
    licenses: ClassVar[Mapping[str, str]] = {
        "full": "Full",
        "advanced": "Advanced",
        "standard": "Standard",
        "basic": "Basic",
        "occasional": "Occasional",
        "free": "Free",
        "free_restricted": "Free Restricted",
        "full_trial": "Full (Trial)",
        "unknown": "Unknown",
    }
    roles: ClassVar[Mapping[str, str]] = {
        "organization_internal_admin": "Company admin",
        "organization_internal_user": "Member",
        "organization_external_user": "External user",
        "organization_team_guest_user": "Team guest",
        "unknown": "Unknown",
    }

    def __init__(self, config: ConnectorConfig, *, limits: Limits = DEFAULT_LIMITS) -> None:
        self._config = config
        self._limits = limits

    def validate(self) -> list[Finding]:
        """See `Connector.validate`."""
        return findings(rest=lambda: self._rest, scim=lambda: self._scim, organization_id=self._config.organization_id)

    def allocation(self) -> Allocation:
        """See `Connector.allocation`."""
        return self._rest.allocation()

    def members(self, cursor: str = "") -> Iterator[Page]:
        """See `Connector.members`."""
        return self._rest.members(cursor)

    def people(self, members: Mapping[str, str]) -> Iterator[Member]:
        """See `Connector.people`."""
        return self._rest.people(members)

    def directory(self) -> Iterator[Person]:
        """See `Connector.directory`."""
        return self._scim.directory()

    def is_active(self, external_id: str) -> bool:
        """See `Connector.is_active`."""
        return self._scim.is_active(external_id)

    def deactivate(self, external_id: str) -> Receipt:
        """See `Connector.deactivate`."""
        return self._scim.set_active(external_id, active=False)

    def reactivate(self, external_id: str) -> Receipt:
        """See `Connector.reactivate`."""
        return self._scim.set_active(external_id, active=True)

    @cached_property
    def _rest(self) -> MiroRest:
        token = self._secret(REST_SLOT)
        session = self._session(
            REST, base=self._config.addresses["api"], token=token, media_type="application/json", explain=explain_rest
        )
        return MiroRest(session, organization_id=self._config.organization_id, fingerprint=_fingerprint(token))

    @cached_property
    def _scim(self) -> MiroScim:
        token = self._secret(SCIM_SLOT)
        session = self._session(
            SCIM, base=self._config.addresses["scim"], token=token, media_type=MEDIA_TYPE, explain=explain_scim
        )
        return MiroScim(session, fingerprint=_fingerprint(token))

    def _session(
        self,
        slot: str,
        *,
        base: str,
        token: str,
        media_type: str,
        explain: Callable[[Answer], ConnectorError],
    ) -> ApiSession:
        return ApiSession(
            vendor="Miro",
            slot=slot,
            base=base,
            token=token,
            budget=self._config.budget,
            explain=explain,
            media_type=media_type,
            limits=self._limits,
        )

    def _secret(self, slot: Slot) -> str:
        """The one secret of a slot. Raises ConfigError naming the slot when it is not there."""
        value = self._config.secrets.get(slot.name, {}).get(slot.fields[0].name, "")
        if value:
            return value
        raise ConfigError(
            f"The connection “{slot.label}” to Miro has no token yet. Enter it on the page of the integration profile.",
            slot=slot.name,
            code="no_token",
        )


def _fingerprint(token: str) -> str:
    """Names a rate bucket. A token is long and random, so its hash tells nothing about it."""
    return hashlib.sha256(token.encode()).hexdigest()[:16]
