"""The protocol that a connector implements, and those of the objects that it is given."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Protocol

from integrations.connectors.contract.texts import Texts
from integrations.connectors.contract.values import (
    Address,
    Allocation,
    Capability,
    DirectoryPage,
    Finding,
    Grant,
    Granted,
    Member,
    Page,
    Receipt,
    Slot,
    TeamsPage,
    Usage,
    VendorEvent,
)


class OAuthApp(Protocol):
    """The vendor's side of *Connect*. Secrets go in POST bodies only."""

    def authorize_url(self, *, redirect_uri: str, state: str) -> str:
        """The URL for the browser (RFC 6749, section 4.1.1)."""
        ...

    def exchange(self, code: str, *, redirect_uri: str) -> Grant:
        """Raises ConfigError (refused), TransientError (not done), OutcomeUnknown."""
        ...

    def refresh(self, refresh_token: str) -> Grant:
        """A new pair; the old one is no longer valid. Raises as `exchange`."""
        ...

    def revoke(self, access_token: str) -> None:
        """Raises as `exchange`. A token that is already dead is no error."""
        ...

    def is_alive(self, access_token: str) -> bool:
        """Whether the vendor still accepts it. Raises TransientError or BadAnswer when that is not known."""
        ...

    def granted(self, access_token: str) -> Granted:
        """Raises as reading calls do."""
        ...

    def refusals(self, granted: Granted, *, organization_id: str) -> list[Finding]:
        """The findings that forbid such a token for this organization; empty when it may be used.

        With "" there is no organization yet, and the findings hold for any.
        """
        ...


class TokenSource(Protocol):
    def __call__(self, slot: str, *, rejected: str = "") -> str:
        """The slot's valid token. With `rejected`, a newer token than that one if there is one, else the same.

        Raises ConfigError when a human must connect again, TransientError when a later call may succeed.
        """
        ...


class RateBudget(Protocol):
    """A budget of requests, shared by all processes that use the same token."""

    def take(self, bucket: str, *, cost: int, limit: int, window: float) -> float:
        """Take `cost` out of `limit` per `window` seconds; 0.0 when taken, else the seconds until the next try."""
        ...

    def drain(self, bucket: str, *, seconds: float) -> None:
        """The vendor answered that nothing is left: nobody may take from the bucket for `seconds`."""
        ...


class Memory(Protocol):
    """The facts that calls through a slot found out about the vendor, kept for the next connector of this profile."""

    def recall(self, slot: str, name: str) -> str:
        """The value under this name; "" when there is none."""
        ...

    def keep(self, slot: str, name: str, value: str) -> None:
        """Store a value. It never raises: the caller has just changed something at the vendor, and must record that."""
        ...


@dataclass(frozen=True, slots=True)
class ConnectorConfig:
    """The input of a connector: the organization, the secrets per slot, the addresses, and the shared budget.

    `tokens` gives tokens that change while the connector exists; without it, the tokens of `secrets` are used.
    `account` names the owner of the vendor's rate limits, e.g. the profile. `memory` keeps the facts that calls found
    out, e.g. the form of a value that the vendor reads; without it, each connector finds them out again. A call that
    has to wait longer than `longest_wait` seconds for the vendor's limit raises TransientError with `retry_after`.
    """

    organization_id: str
    secrets: Mapping[str, Mapping[str, str]] = field(repr=False)
    addresses: Mapping[str, str]
    budget: RateBudget
    tokens: TokenSource | None = None
    account: str = ""
    memory: Memory | None = None
    longest_wait: float = math.inf


class Connector(Protocol):
    kind: ClassVar[str]
    label: ClassVar[str]
    description: ClassVar[str]
    slots: ClassVar[tuple[Slot, ...]]
    # The slot that reads members, and the slot that reads names and takes seats back.
    download_slot: ClassVar[str]
    reclaim_slot: ClassVar[str]
    capabilities: ClassVar[frozenset[Capability]]
    activity_means: ClassVar[str]
    # The earliest date that a member can have, e.g. the day when the vendor opened. An older one is unknown: `Member`.
    earliest_date: ClassVar[datetime]
    licenses: ClassVar[Mapping[str, str]]
    roles: ClassVar[Mapping[str, str]]
    # The licenses that a new rule covers.
    default_licenses: ClassVar[tuple[str, ...]]
    texts: ClassVar[Texts]
    # The addresses of its calls, by the names that `ConnectorConfig.addresses` uses.
    addresses: ClassVar[Mapping[str, Address]]
    # The vendor's event names for a deactivation and an activation; empty without AUDIT_LOG.
    deactivated_words: ClassVar[frozenset[str]]
    activated_words: ClassVar[frozenset[str]]
    # The `VendorEvent.by_kind` of programs that use the reclaim slot, as LicenseHub does.
    reclaim_doers: ClassVar[frozenset[str]]

    def __init__(self, config: ConnectorConfig) -> None: ...

    def oauth(self) -> OAuthApp:
        """The app of the slot with `oauth`. Raises ConfigError while its fields are not set."""
        ...

    def validate(self) -> list[Finding]:
        """Real calls on every slot that change nothing. Never raises a ConnectorError."""
        ...

    def allocation(self) -> Allocation:
        """The licenses bought. Raises BadAnswer when the vendor answers for another organization."""
        ...

    def members(self, cursor: str = "") -> Iterator[Page]:
        """All members page by page, from `cursor` on. Raises BadAnswer on a looping cursor."""
        ...

    def people(self, members: Mapping[str, str]) -> Iterator[Member]:
        """The current state of these people (external id -> e-mail). People who are not found are left out."""
        ...

    def directory(self, cursor: str = "") -> Iterator[DirectoryPage]:
        """The names of all people in the vendor's directory, page by page, from `cursor` on.

        Raises BadAnswer when the pages repeat or do not end.
        """
        ...

    def team_admins(self, cursor: str = "") -> Iterator[TeamsPage]:
        """All teams with their admins, some at a time, from `cursor` on. With LAST_TEAM_ADMIN.

        Raises NotGranted without the scope, BadAnswer on a looping cursor.
        """
        ...

    def events(self, *, since: datetime, until: datetime) -> Iterator[VendorEvent]:
        """The vendor's own log from `since` up to, not including, `until`, the oldest first. With AUDIT_LOG.

        Vendors keep it for a limited time. Raises NotGranted without the scope, BadAnswer on a
        looping cursor or an event without a date.
        """
        ...

    def is_active(self, external_id: str) -> bool:
        """Read one person. Raises PermanentError when the vendor does not know them, BadAnswer for a useless answer."""
        ...

    def await_turn(self) -> None:
        """Wait until the rate limit has room for one change and for reading it back, and reserve that room.

        The next change is then sent at once: the caller waits before it records its intent, not between the intent and
        the call. Raises TransientError when the wait would be longer than a call may take, ConfigError.
        """
        ...

    def deactivate(self, external_id: str) -> Receipt:
        """Raises PermanentError (refused), TransientError (not done), OutcomeUnknown (maybe done), ConfigError."""
        ...

    def reactivate(self, external_id: str) -> Receipt:
        """Raises as `deactivate`."""
        ...

    def usage(self) -> Usage:
        """The requests since this connector was made."""
        ...
