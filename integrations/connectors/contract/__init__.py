"""What a connector is: the only words that the rest of LicenseHub knows about a vendor.

A connector is a folder beside this file and one line in `settings.CONNECTORS`. It knows no model, no Celery and no
sibling; everything it needs is handed to it, everything it learns comes back as the values below.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, NamedTuple, Protocol


class ConnectorError(Exception):
    """Something that the vendor, or the way to it, answered. The text is one or two sentences for a company admin."""

    def __init__(self, message: str, *, status: int | None = None, code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code


class ConfigError(ConnectorError):
    """A human must act before anything can go on: a dead token, a missing scope, the wrong organization."""

    def __init__(self, message: str, *, slot: str = "", status: int | None = None, code: str = "") -> None:
        super().__init__(message, status=status, code=code)
        self.slot = slot


class PermanentError(ConnectorError):
    """Never for this person: the vendor refuses, and would refuse again."""


class TransientError(ConnectorError):
    """Later: nothing was done. `retry_after` is in seconds."""

    def __init__(self, message: str, *, retry_after: float = 0.0, status: int | None = None, code: str = "") -> None:
        super().__init__(message, status=status, code=code)
        self.retry_after = retry_after


class OutcomeUnknown(ConnectorError):
    """A write was sent and its answer is lost: it may have been done. Read before anything else."""


class BadAnswer(ConnectorError):
    """An answer that cannot be trusted as a whole: looping cursor, member without id, another organization."""


class NotGranted(ConnectorError):
    """An optional thing that this connection's scopes do not allow: shown as not checked, never an error."""


class Capability(StrEnum):
    """What a connector can do; screens and rules ask for these, never for its name."""

    DEACTIVATE = "deactivate"
    REACTIVATE = "reactivate"
    DIRECTORY = "directory"
    LAST_TEAM_ADMIN = "last_team_admin"
    AUDIT_LOG = "audit_log"


@dataclass(frozen=True, slots=True)
class Field:
    """One value that a slot needs. A secret one is never shown again."""

    name: str
    label: str
    secret: bool = True
    required: bool = True


@dataclass(frozen=True, slots=True)
class Guide:
    """What stands beside a slot's form: where its values are found, the least that must be allowed, and what for."""

    steps: tuple[str, ...]
    least: str
    will: tuple[str, ...]
    will_not: tuple[str, ...]
    link: str = ""


@dataclass(frozen=True, slots=True)
class Slot:
    """One connection that a connector needs, e.g. Miro's REST token, kept as `token`.

    With `oauth`, the fields are an app's, and a person at the vendor grants the token (RFC 6749, section 4.1).
    """

    name: str
    label: str
    fields: tuple[Field, ...]
    guide: Guide
    token: str = "token"  # noqa: S105 - the name under which it is kept
    oauth: bool = False


# The code of a finding that says nothing about the connection: the vendor could not be asked now.
LATER = "later"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check of a connection. `level` is ok, warning, error or not_checked.

    `steps` are the next step, one by one; `code` is a word for programs.
    """

    level: str
    title: str
    detail: str = ""
    next_step: str = ""
    slot: str = ""
    steps: tuple[str, ...] = ()
    code: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """The tokens that a vendor issued (RFC 6749, section 5.1). Without `expires_in` (seconds), until revoked."""

    access_token: str = field(repr=False)
    refresh_token: str = field(default="", repr=False)
    expires_in: float | None = None


@dataclass(frozen=True, slots=True)
class Granted:
    """What a token is for, in the vendor's words; empty where it does not tell."""

    organization_id: str
    organization_name: str
    team: str
    user: str
    scopes: tuple[str, ...]


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


@dataclass(frozen=True, slots=True)
class Allocation:
    """How many licenses were bought, per license type, as far as the vendor tells."""

    organization_id: str
    organization_name: str
    plan: str
    purchased: Mapping[str, int]


class Member(NamedTuple):
    """One person's seat, now. `license` and `role` are the vendor's words; dates are UTC; None means never.

    A tuple, since a download makes a hundred thousand of them and hands them on to the database as they are.
    """

    external_id: str
    email: str
    active: bool
    license: str
    role: str
    license_assigned_at: datetime | None = None
    last_activity_at: datetime | None = None
    reclaimable: bool = True
    why_not: str = ""


@dataclass(frozen=True, slots=True)
class Person:
    """A person's names from the vendor's directory."""

    external_id: str
    name: str = ""
    department: str = ""
    cost_center: str = ""


@dataclass(frozen=True, slots=True)
class VendorEvent:
    """One entry of the vendor's own log, in its words; what it does not tell is "".

    `at` is UTC. `by` is the name or the e-mail address of who did it, `by_kind` what kind of doer that is (Miro's
    createdBy.type). `person_id` and `person` are the object that the event is about: mostly a person, for some events
    something else, e.g. a board.
    """

    at: datetime
    event: str
    by: str
    by_kind: str
    person_id: str
    person: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Members of one answer, and the cursor to go on with; an empty cursor is the end."""

    members: Sequence[Member]
    cursor: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the vendor answered to a write."""

    status: int
    active: bool | None
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """What was asked of the vendor: requests sent, tries included, and what they cost in the vendor's own units."""

    requests: int = 0
    credits: int = 0


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
