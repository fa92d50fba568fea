"""A vendor in memory: implements the connector's contract and keeps the truth, for tests of thousands of steps.

`Vendor` is the organization and what happened to it. Faults are told beforehand: `vendor.outcome` is what becomes of
the next writes. Real HTTP, with all that can go wrong there, is what the sandbox is for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import ClassVar, TypeVar

from integrations.connectors.contract import (
    Address,
    Allocation,
    Capability,
    ConnectorConfig,
    ConnectorError,
    DirectoryPage,
    Finding,
    Guide,
    Member,
    NotGranted,
    OAuthApp,
    OutcomeUnknown,
    Page,
    PermanentError,
    Person,
    Receipt,
    Slot,
    Team,
    TeamsPage,
    Texts,
    TransientError,
    Usage,
    VendorEvent,
)
from integrations.connectors.contract import Field as SlotField

ORGANIZATION = "3074457300000000001"
PATH = "tests.chaos.support.fake_connector.MemoryConnector"

Row = TypeVar("Row")


class Outcome(StrEnum):
    """The outcome of a write."""

    APPLIED = "applied"
    LOST = "applied, and the answer is lost"
    LOST_UNDONE = "the answer is lost, and nothing was done"
    REFUSED = "refused"
    LATER = "not done, come back later"


@dataclass
class Vendor:
    """`transitions`: (id, active, by us). `boundary` is called before and after each call, as (name, after)."""

    members: dict[str, Member] = field(default_factory=dict)
    transitions: list[tuple[str, bool, bool]] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    outcome: Outcome = Outcome.APPLIED
    reads_fail: bool = False
    # Members, people and teams on a page.
    page: int = 1000
    boundary: Callable[[str, bool], None] = lambda name, after: None

    def set(self, external_id: str, *, active: bool, by_us: bool) -> None:
        member = self.members[external_id]
        if member.active != active:
            self.members[external_id] = member._replace(active=active)
            self.transitions.append((external_id, active, by_us))

    def deactivations(self, external_id: str) -> int:
        """Return how often we took the seat of somebody who was active."""
        return self.transitions.count((external_id, False, True))

    def again_after_human(self) -> list[str]:
        """The people whom we deactivated after somebody else had activated them."""
        rescued: set[str] = set()
        found = []
        for external_id, active, by_us in self.transitions:
            if active and not by_us:
                rescued.add(external_id)
            elif not active and by_us and external_id in rescued:
                found.append(external_id)
        return found

    def copy(self) -> Vendor:
        return Vendor(dict(self.members), list(self.transitions), list(self.writes), page=self.page)


def _in_pages(rows: list[Row], cursor: str, size: int) -> Iterator[tuple[list[Row], str]]:
    """The pages from the row at `cursor` on, each with the cursor of the next one."""
    for start in range(int(cursor or 0), max(len(rows), 1), size):
        yield rows[start : start + size], str(start + size) if start + size < len(rows) else ""


def _slot(name: str) -> Slot:
    guide = Guide(steps=(), least="", will=(), will_not=())
    return Slot(name=name, label=name, fields=(SlotField(name="token", label="Token"),), guide=guide)


class MemoryConnector:
    """Implements `Connector`. `vendor` is shared by all of them, as the real one is."""

    kind: ClassVar[str] = "miro_enterprise"
    label: ClassVar[str] = "Memory"
    description: ClassVar[str] = "A vendor in memory."
    slots: ClassVar[tuple[Slot, ...]] = (_slot("rest"), _slot("scim"))
    download_slot: ClassVar[str] = "rest"
    reclaim_slot: ClassVar[str] = "scim"
    capabilities: ClassVar[frozenset[Capability]] = frozenset({Capability.DEACTIVATE, Capability.REACTIVATE})
    activity_means: ClassVar[str] = "The last activity."
    earliest_date: ClassVar[datetime] = datetime(2000, 1, 1, tzinfo=UTC)
    licenses: ClassVar[Mapping[str, str]] = {"full": "Full", "free": "Free"}
    default_licenses: ClassVar[tuple[str, ...]] = ("full",)
    texts: ClassVar[Texts] = Texts()
    addresses: ClassVar[Mapping[str, Address]] = {}
    roles: ClassVar[Mapping[str, str]] = {"organization_internal_user": "Member"}
    deactivated_words: ClassVar[frozenset[str]] = frozenset()
    activated_words: ClassVar[frozenset[str]] = frozenset()
    vendor: ClassVar[Vendor] = Vendor()

    def __init__(self, config: ConnectorConfig) -> None:
        self._organization = config.organization_id

    def oauth(self) -> OAuthApp:
        raise NotImplementedError("The vendor in memory knows no OAuth.")

    def validate(self) -> list[Finding]:
        self._call("validate")
        return [Finding(level="ok", title="Answers", slot=slot.name) for slot in self.slots]

    def allocation(self) -> Allocation:
        self._read("allocation")
        return Allocation(self._organization, "Northwind", "company", {"full": 100})

    def members(self, cursor: str = "") -> Iterator[Page]:
        everybody = list(self.vendor.members.values())
        for members, following in _in_pages(everybody, cursor, self.vendor.page):
            self._read("members")
            yield Page(members=members, cursor=following)

    def people(self, members: Mapping[str, str]) -> Iterator[Member]:
        self._read("people")
        yield from [found for key in members if (found := self.vendor.members.get(key))]

    def directory(self, cursor: str = "") -> Iterator[DirectoryPage]:
        everybody = [Person(key, name=f"Person {key}") for key in self.vendor.members]
        for people, following in _in_pages(everybody, cursor, self.vendor.page):
            self._read("directory")
            yield DirectoryPage(people=people, cursor=following)

    def team_admins(self, cursor: str = "") -> Iterator[TeamsPage]:
        """Each member has a team, and the first one of them has no other admin."""
        keys = list(self.vendor.members)
        teams = [Team(f"Team {key}", frozenset({key} if key == keys[0] else {key, keys[0]})) for key in keys]
        for found, following in _in_pages(teams, cursor, self.vendor.page):
            self._read("team_admins")
            yield TeamsPage(teams=found, cursor=following)

    def events(self, *, since: datetime, until: datetime) -> Iterator[VendorEvent]:
        raise NotGranted("Not allowed to read the log.")

    def is_active(self, external_id: str) -> bool:
        self._read("is_active")
        if external_id not in self.vendor.members:
            raise PermanentError("There is no such person.", status=404)
        return self.vendor.members[external_id].active

    def await_turn(self) -> None:
        self._call("await_turn")

    def deactivate(self, external_id: str) -> Receipt:
        return self._write("deactivate", external_id, active=False)

    def reactivate(self, external_id: str) -> Receipt:
        return self._write("reactivate", external_id, active=True)

    def usage(self) -> Usage:
        return Usage()

    def _write(self, name: str, external_id: str, *, active: bool) -> Receipt:
        """Whatever comes of it, it was sent once."""
        vendor = self.vendor
        vendor.boundary(name, False)
        vendor.writes.append(external_id)
        outcome = vendor.outcome
        if outcome in (Outcome.APPLIED, Outcome.LOST):
            vendor.set(external_id, active=active, by_us=True)
        vendor.boundary(name, True)
        if error := _ERRORS.get(outcome):
            raise error()
        return Receipt(status=200, active=active, request_id=f"request {len(vendor.writes)}")

    def _read(self, name: str) -> None:
        self._call(name)
        if self.vendor.reads_fail:
            raise TransientError("The vendor is away.")

    def _call(self, name: str) -> None:
        self.vendor.boundary(name, False)
        self.vendor.boundary(name, True)


_ERRORS: dict[Outcome, Callable[[], ConnectorError]] = {
    Outcome.LOST: lambda: OutcomeUnknown("The answer broke off.", status=500),
    Outcome.LOST_UNDONE: lambda: OutcomeUnknown("The answer broke off.", status=500),
    Outcome.REFUSED: lambda: PermanentError("This person is the last admin.", status=409),
    Outcome.LATER: lambda: TransientError("Too many requests.", status=429, retry_after=5.0),
}


def people(count: int, *, now: datetime, last_activity: datetime) -> dict[str, Member]:
    """`count` people who were last active then."""
    return {
        str(9000 + number): Member(
            external_id=str(9000 + number),
            email=f"person{number}@northwind.example",
            active=True,
            license="full",
            role="organization_internal_user",
            license_assigned_at=last_activity,
            last_activity_at=last_activity,
        )
        for number in range(count)
    }


class FullConnector(MemoryConnector):
    """A connector with names and teams, which the tests of reclaims do not need."""

    capabilities: ClassVar[frozenset[Capability]] = MemoryConnector.capabilities | {
        Capability.DIRECTORY,
        Capability.LAST_TEAM_ADMIN,
    }
