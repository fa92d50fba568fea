"""The values that a connector takes and gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

# The license or role of a member when the vendor does not say it; a connector translates the vendor's own word to it.
UNKNOWN = "unknown"
UNKNOWN_WORDS = ("", UNKNOWN)


class Capability(StrEnum):
    """The abilities that a connector can have. Screens and rules check these, never its name."""

    DEACTIVATE = "deactivate"
    REACTIVATE = "reactivate"
    DIRECTORY = "directory"
    LAST_TEAM_ADMIN = "last_team_admin"
    AUDIT_LOG = "audit_log"


@dataclass(frozen=True, slots=True)
class Field:
    """One value that a slot needs. A secret value is never shown again."""

    name: str
    label: str
    secret: bool = True
    required: bool = True


@dataclass(frozen=True, slots=True)
class Guide:
    """The help beside a slot's form: where to find its values, the least permissions, and what they are used for."""

    steps: tuple[str, ...]
    least: str
    will: tuple[str, ...]
    will_not: tuple[str, ...]
    link: str = ""


@dataclass(frozen=True, slots=True)
class Address:
    """One address of the vendor: the environment variable that changes it, and the vendor's own."""

    variable: str
    default: str


@dataclass(frozen=True, slots=True)
class Slot:
    """One connection that a connector needs, e.g. an API token, kept under the name `token`.

    With `oauth`, the fields are an app's, and a person at the vendor grants the token (RFC 6749, section 4.1).
    """

    name: str
    label: str
    fields: tuple[Field, ...]
    guide: Guide
    token: str = "token"  # noqa: S105 - the name under which it is kept
    oauth: bool = False
    # The environment variable that `manage.py connect_vendor` reads the token from, unless it is given another.
    variable: str = ""


# The code of a finding that says nothing about the connection, since the vendor did not answer.
LATER = "later"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check of a connection. `level` is ok, warning, error or not_checked.

    `steps` split the next step into parts; `code` is for programs.
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
    """The tokens that a vendor issued (RFC 6749, section 5.1). Without `expires_in` (seconds), they do not expire."""

    access_token: str = field(repr=False)
    refresh_token: str = field(default="", repr=False)
    expires_in: float | None = None


@dataclass(frozen=True, slots=True)
class Granted:
    """The organization, person and scopes of a token, as the vendor reports them; empty where it does not."""

    organization_id: str
    organization_name: str
    team: str
    user: str
    scopes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Allocation:
    """The number of licenses that were bought, per license type, as far as the vendor says."""

    organization_id: str
    organization_name: str
    plan: str
    purchased: Mapping[str, int]


class Member(NamedTuple):
    """One person's current seat. `license` and `role` are the vendor's words; dates are UTC; None means never.

    A date before the connector's `earliest_date` or later than tomorrow cannot be right: it is unknown, which is not
    never. `integrations.connectors.parsing.is_plausible` decides.

    A tuple, since a download makes a hundred thousand of them and gives them to the database unchanged.
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
    # Further roles that let this person administer a part of the organization, sorted, each in the vendor's words.
    # No line breaks. A role that LicenseHub does not know is given as it comes.
    admin_roles: tuple[str, ...] = ()
    # The dates that cannot be right, as the vendor gave them: `last activity 1970-01-01`. Such a date is None above.
    implausible_dates: str = ""


@dataclass(frozen=True, slots=True)
class Person:
    """A person's entry in the vendor's directory. An unknown value is "".

    `manager` is the name of the manager, `manager_id` is the directory's reference to them, mostly the id of another
    entry. `language` is the preferred one, e.g. `de-DE`, or several as in Accept-Language.
    """

    external_id: str
    name: str = ""
    given_name: str = ""
    department: str = ""
    cost_center: str = ""
    division: str = ""
    employee_number: str = ""
    manager: str = ""
    manager_id: str = ""
    language: str = ""


@dataclass(frozen=True, slots=True)
class DirectoryPage:
    """The people of one answer, and the cursor of the next page; "" at the end."""

    people: Sequence[Person]
    cursor: str


@dataclass(frozen=True, slots=True)
class Team:
    """A team and the ids of its admins, deactivated people included."""

    name: str
    admins: frozenset[str]


@dataclass(frozen=True, slots=True)
class TeamsPage:
    """Some teams, and the cursor of the next ones; "" at the end."""

    teams: Sequence[Team]
    cursor: str


@dataclass(frozen=True, slots=True)
class VendorEvent:
    """One entry of the vendor's own log, in its words; "" where it does not say.

    `at` is UTC. `by` is the name or the e-mail address of the author, `by_kind` the kind of author in the
    vendor's words. `person_id` and `person` are the object of the event: mostly a person, for some events
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
    """The members of one answer, and the cursor of the next page; "" at the end."""

    members: Sequence[Member]
    cursor: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """The vendor's answer to a write."""

    status: int
    active: bool | None
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """Requests sent to the vendor, retries included, and what they cost in the vendor's units."""

    requests: int = 0
    credits: int = 0
