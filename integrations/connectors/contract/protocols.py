"""What a connector implements, and what it is given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Protocol

from integrations.connectors.contract.values import (
    Allocation,
    Capability,
    Finding,
    Grant,
    Granted,
    Member,
    Page,
    Person,
    Receipt,
    Slot,
    Usage,
    VendorEvent,
)


class OAuthApp(Protocol):
    """The vendor's side of *Connect*. Secrets go in POST bodies only."""

    def authorize_url(self, *, redirect_uri: str, state: str) -> str:
        """Where the browser is sent to (RFC 6749, section 4.1.1)."""
        ...

    def exchange(self, code: str, *, redirect_uri: str) -> Grant:
        """Raises ConfigError (refused), TransientError (not done), OutcomeUnknown."""
        ...

    def refresh(self, refresh_token: str) -> Grant:
        """A new pair; the former is of no more use. Raises as `exchange`."""
        ...

    def revoke(self, access_token: str) -> None:
        """Raises as `exchange`. A token that is dead already is fine."""
        ...

    def is_alive(self, access_token: str) -> bool:
        """Does the vendor still accept it? Raises TransientError or BadAnswer when it cannot be told."""
        ...

    def granted(self, access_token: str) -> Granted:
        """Raises as reading calls do."""
        ...

    def refusals(self, granted: Granted, *, organization_id: str) -> list[Finding]:
        """Why such a token must not be used for this organization (empty: for any); empty when it may."""
        ...


class TokenSource(Protocol):
    def __call__(self, slot: str, *, rejected: str = "") -> str:
        """The slot's token, good now; after the vendor `rejected` one, a newer if there is any, else the same.

        Raises ConfigError when a human must connect again, TransientError when it can be told later.
        """
        ...


class RateBudget(Protocol):
    """A budget of requests, shared by everybody who uses the same token."""

    def take(self, bucket: str, *, cost: int, limit: int, window: float) -> float:
        """Take `cost` out of `limit` per `window` seconds; 0.0 when taken, else the seconds to wait and ask again."""
        ...

    def drain(self, bucket: str, *, seconds: float) -> None:
        """The vendor said that nothing is left: hold everybody back for `seconds`."""
        ...


@dataclass(frozen=True, slots=True)
class ConnectorConfig:
    """What a connector is given: which organization, the secrets per slot, the addresses, and the shared budget.

    `tokens` knows the tokens that change while the connector lives; without it, those of `secrets` are good for ever.
    `account` names who shares the vendor's rate limits, e.g. the profile.
    """

    organization_id: str
    secrets: Mapping[str, Mapping[str, str]] = field(repr=False)
    addresses: Mapping[str, str]
    budget: RateBudget
    tokens: TokenSource | None = None
    account: str = ""


class Connector(Protocol):
    kind: ClassVar[str]
    label: ClassVar[str]
    description: ClassVar[str]
    slots: ClassVar[tuple[Slot, ...]]
    # Through which of them members are read, and through which names are read and seats are taken back.
    download_slot: ClassVar[str]
    reclaim_slot: ClassVar[str]
    capabilities: ClassVar[frozenset[Capability]]
    activity_means: ClassVar[str]
    licenses: ClassVar[Mapping[str, str]]
    roles: ClassVar[Mapping[str, str]]
    # What the vendor's log calls it when somebody is deactivated, or activated again; empty without AUDIT_LOG.
    deactivated_words: ClassVar[frozenset[str]]
    activated_words: ClassVar[frozenset[str]]
    # And what kind of doer it calls programs that use the reclaim slot, as we do: `VendorEvent.by_kind`.
    reclaim_doers: ClassVar[frozenset[str]]

    def __init__(self, config: ConnectorConfig) -> None: ...

    def oauth(self) -> OAuthApp:
        """The app of the slot with `oauth`. Raises ConfigError while its fields are not set."""
        ...

    def validate(self) -> list[Finding]:
        """Real, harmless calls on every slot; never raises a ConnectorError."""
        ...

    def allocation(self) -> Allocation:
        """Licenses bought. Raises BadAnswer when the vendor answers for another organization."""
        ...

    def members(self, cursor: str = "") -> Iterator[Page]:
        """All members page by page, going on from `cursor`. Raises BadAnswer on a looping cursor."""
        ...

    def people(self, members: Mapping[str, str]) -> Iterator[Member]:
        """These people now (external id -> e-mail). Who is not found, is not yielded."""
        ...

    def directory(self) -> Iterator[Person]:
        """Names of everybody whom the vendor's directory knows."""
        ...

    def sole_team_admins(self) -> Mapping[str, tuple[str, ...]]:
        """External id -> names of the teams whose only active admin this person is. With LAST_TEAM_ADMIN.

        Raises NotGranted without the scope, BadAnswer on a looping cursor.
        """
        ...

    def events(self, *, since: datetime, until: datetime) -> Iterator[VendorEvent]:
        """The vendor's own log from `since` up to, not including, `until`, the oldest first. With AUDIT_LOG.

        Vendors keep it for a limited time, Miro for 90 days. Raises NotGranted without the scope, BadAnswer on a
        looping cursor or an event without a date.
        """
        ...

    def is_active(self, external_id: str) -> bool:
        """Read back one person. Raises PermanentError when the vendor does not know them, BadAnswer for nonsense."""
        ...

    def await_turn(self) -> None:
        """Wait until the vendor's limit has room for one change and for reading it back, and take it.

        The next change goes out at once: whoever announces one waits before that, not between the word and the act.
        Raises TransientError when it would take longer than a call may, ConfigError.
        """
        ...

    def deactivate(self, external_id: str) -> Receipt:
        """Raises PermanentError (refused), TransientError (not done), OutcomeUnknown (maybe done), ConfigError."""
        ...

    def reactivate(self, external_id: str) -> Receipt:
        """Raises as `deactivate`."""
        ...

    def usage(self) -> Usage:
        """What was asked since this connector was made."""
        ...
