"""The connector for Miro Enterprise: members by REST, changes and names by SCIM."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import cached_property
from typing import ClassVar

from integrations.connectors.contract import (
    UNKNOWN,
    Address,
    Allocation,
    Capability,
    ConfigError,
    ConnectorConfig,
    ConnectorError,
    DirectoryPage,
    Finding,
    Member,
    Page,
    Receipt,
    Slot,
    TeamsPage,
    Texts,
    Usage,
    VendorEvent,
    english,
)
from integrations.connectors.http import DEFAULT_LIMITS, ApiSession, Limits, Token
from integrations.connectors.miro.context import TokenContext
from integrations.connectors.miro.errors import REST, SCIM, explain_rest, explain_scim
from integrations.connectors.miro.oauth import MiroOAuth, explain_oauth
from integrations.connectors.miro.parse import EARLIEST_DATE
from integrations.connectors.miro.rest import audit_log, teams
from integrations.connectors.miro.rest.client import LEVEL_1, MiroRest, rate
from integrations.connectors.miro.scim import MiroScim
from integrations.connectors.miro.slots import REST_SLOT, SCIM_SLOT
from integrations.connectors.miro.texts import TEXTS
from integrations.connectors.miro.validate import findings
from integrations.connectors.response import Answer
from integrations.connectors.scim import MEDIA_TYPE

JSON_TYPE = "application/json"


class MiroConnector:
    """Implements `Connector`. Nothing is opened before the first call; a missing token raises ConfigError then."""

    kind: ClassVar[str] = "miro_enterprise"
    label: ClassVar[str] = "Miro Enterprise"
    description: ClassVar[str] = english(
        "Visual collaboration boards. Finds seats that nobody uses by their last activity, and takes them back "
        "through SCIM."
    )
    slots: ClassVar[tuple[Slot, ...]] = (REST_SLOT, SCIM_SLOT)
    download_slot: ClassVar[str] = REST_SLOT.name
    reclaim_slot: ClassVar[str] = SCIM_SLOT.name
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {
            Capability.DEACTIVATE,
            Capability.REACTIVATE,
            Capability.DIRECTORY,
            Capability.LAST_TEAM_ADMIN,
            Capability.AUDIT_LOG,
        }
    )
    deactivated_words: ClassVar[frozenset[str]] = audit_log.DEACTIVATED
    activated_words: ClassVar[frozenset[str]] = audit_log.ACTIVATED
    reclaim_doers: ClassVar[frozenset[str]] = audit_log.PROVISIONERS
    activity_means: ClassVar[str] = english(
        "The day the person last opened a board of the organization, as Miro reports it."
    )
    earliest_date: ClassVar[datetime] = EARLIEST_DATE
    licenses: ClassVar[Mapping[str, str]] = {
        "full": "Full",
        "advanced": "Advanced",
        "standard": "Standard",
        "basic": "Basic",
        "occasional": "Occasional",
        "free": "Free",
        "free_restricted": "Free Restricted",
        "full_trial": "Full (Trial)",
        UNKNOWN: english("Unknown"),
    }
    default_licenses: ClassVar[tuple[str, ...]] = ("full", "advanced", "standard", "basic")
    texts: ClassVar[Texts] = TEXTS
    addresses: ClassVar[Mapping[str, Address]] = {
        "api": Address("MIRO_API_URL", "https://api.miro.com"),
        "authorize": Address("MIRO_AUTHORIZE_URL", "https://miro.com/oauth/authorize"),
        "scim": Address("MIRO_SCIM_URL", "https://miro.com/api/v1/scim"),
    }
    roles: ClassVar[Mapping[str, str]] = {
        "organization_internal_admin": english("Company admin"),
        "organization_internal_user": english("Member"),
        "organization_external_user": english("External user"),
        "organization_team_guest_user": english("Team guest"),
        UNKNOWN: english("Unknown"),
    }

    def __init__(self, config: ConnectorConfig, *, limits: Limits = DEFAULT_LIMITS) -> None:
        self._config = config
        self._limits = limits
        self._sessions: list[ApiSession] = []
        self._rest_client: MiroRest | None = None

    def oauth(self) -> MiroOAuth:
        app = self._config.secrets.get(REST, {})
        if not (app.get("client_id") and app.get("client_secret")):
            raise ConfigError(english("Store the app's client ID and client secret first."), slot=REST, code="no_app")
        return MiroOAuth(
            self._session(
                REST, base=self._config.addresses["api"], token=None, media_type=JSON_TYPE, explain=explain_oauth
            ),
            authorize=self._config.addresses["authorize"],
            client_id=app["client_id"],
            client_secret=app["client_secret"],
            rate=rate(self._account(REST_SLOT), cost=LEVEL_1),
            context=self._context_of,
        )

    def _context_of(self, token: str) -> TokenContext:
        return self._rest_with(lambda rejected: token).token_context()

    def validate(self) -> list[Finding]:
        return findings(rest=lambda: self._rest, scim=lambda: self._scim, organization_id=self._config.organization_id)

    def allocation(self) -> Allocation:
        return self._rest.allocation()

    def members(self, cursor: str = "") -> Iterator[Page]:
        return self._rest.members(cursor)

    def people(self, members: Mapping[str, str]) -> Iterator[Member]:
        return self._rest.people(members)

    def directory(self, cursor: str = "") -> Iterator[DirectoryPage]:
        return self._scim.directory(cursor)

    def team_admins(self, cursor: str = "") -> Iterator[TeamsPage]:
        return teams.team_admins(self._rest, cursor)

    def events(self, *, since: datetime, until: datetime) -> Iterator[VendorEvent]:
        return audit_log.events(self._rest, since=since, until=until)

    def is_active(self, external_id: str) -> bool:
        return self._scim.is_active(external_id)

    def await_turn(self) -> None:
        self._scim.await_turn()

    def deactivate(self, external_id: str) -> Receipt:
        return self._scim.set_active(external_id, active=False)

    def reactivate(self, external_id: str) -> Receipt:
        return self._scim.set_active(external_id, active=True)

    @property
    def _rest(self) -> MiroRest:
        if self._rest_client is None:
            self._rest_client = self._rest_with(self._token(REST_SLOT))
        return self._rest_client

    def _rest_with(self, token: Token) -> MiroRest:
        session = self._session(
            REST, base=self._config.addresses["api"], token=token, media_type=JSON_TYPE, explain=explain_rest
        )
        return MiroRest(session, organization_id=self._config.organization_id, account=self._account(REST_SLOT))

    @cached_property
    def _scim(self) -> MiroScim:
        session = self._session(
            SCIM,
            base=self._config.addresses["scim"],
            token=self._token(SCIM_SLOT),
            media_type=MEDIA_TYPE,
            explain=explain_scim,
        )
        return MiroScim(session, account=self._account(SCIM_SLOT), memory=self._config.memory)

    def _session(
        self,
        slot: str,
        *,
        base: str,
        token: Token | None,
        media_type: str,
        explain: Callable[[Answer], ConnectorError],
    ) -> ApiSession:
        made = ApiSession(
            vendor="Miro",
            slot=slot,
            base=base,
            token=token,
            budget=self._config.budget,
            explain=explain,
            media_type=media_type,
            limits=self._limits,
            longest_wait=self._config.longest_wait,
        )
        self._sessions.append(made)
        return made

    def usage(self) -> Usage:
        """REST calls cost credits; SCIM has none."""
        return Usage(
            requests=sum(session.requests for session in self._sessions),
            credits=self._rest_client.credits if self._rest_client else 0,
        )

    def _token(self, slot: Slot) -> Token:
        """The function that gives the slot's token for each call."""
        tokens = self._config.tokens
        if tokens is None:
            return lambda rejected: self._secret(slot)
        return lambda rejected: tokens(slot.name, rejected=rejected)

    def _secret(self, slot: Slot) -> str:
        """The stored token of a slot. Raises ConfigError with the slot when there is none."""
        value = self._config.secrets.get(slot.name, {}).get(slot.token, "")
        if value:
            return value
        raise ConfigError(
            english(
                "The connection “{label}” to Miro has no token yet. Set it on the page of the integration profile."
            ).format(label=slot.label),
            slot=slot.name,
            code="no_token",
        )

    def _account(self, slot: Slot) -> str:
        """The name of a rate bucket: of the profile, else of the token. A token is random: its hash reveals nothing."""
        kept = self._config.secrets.get(slot.name, {})
        named = self._config.account or "\n".join(kept.values())
        return hashlib.sha256(named.encode()).hexdigest()[:16]
