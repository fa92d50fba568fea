"""A throw-away connector: its vendor is a CSV file in a folder. It is written along docs/adding-a-connector.md."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
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
    Field,
    Finding,
    Guide,
    Member,
    OAuthApp,
    Page,
    PermanentError,
    Person,
    Receipt,
    Slot,
    TeamsPage,
    Texts,
    Usage,
    VendorEvent,
)
from integrations.connectors.parsing import is_plausible

FILE_SLOT = Slot(
    name="file",
    label="CSV file",
    fields=(Field(name="path", label="Path of the file", secret=False),),
    guide=Guide(
        steps=("Put the file into a folder of this machine.",),
        least="Read and write this one file.",
        will=("Read the members.", "Write who is active."),
        will_not=("Delete a line.",),
    ),
    token="path",
    variable="CSV_FILE_PATH",
)


class CsvConnector:
    """Implements `Connector`."""

    kind: ClassVar[str] = "csv_file"
    label: ClassVar[str] = "Paper Office"
    description: ClassVar[str] = "A list of people in a file."
    slots: ClassVar[tuple[Slot, ...]] = (FILE_SLOT,)
    download_slot: ClassVar[str] = FILE_SLOT.name
    reclaim_slot: ClassVar[str] = FILE_SLOT.name
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.DEACTIVATE, Capability.REACTIVATE, Capability.DIRECTORY}
    )
    activity_means: ClassVar[str] = "The day in the column last_activity."
    earliest_date: ClassVar[datetime] = datetime(1990, 1, 1, tzinfo=UTC)
    licenses: ClassVar[Mapping[str, str]] = {"pen": "Pen", "pencil": "Pencil", UNKNOWN: "Unknown"}
    default_licenses: ClassVar[tuple[str, ...]] = ("pen",)
    roles: ClassVar[Mapping[str, str]] = {"clerk": "Clerk", "boss": "Boss", UNKNOWN: "Unknown"}
    texts: ClassVar[Texts] = Texts(vendor="Paper", member_id="Paper number", license="Paper ")
    addresses: ClassVar[Mapping[str, Address]] = {}
    deactivated_words: ClassVar[frozenset[str]] = frozenset()
    activated_words: ClassVar[frozenset[str]] = frozenset()
    reclaim_doers: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, config: ConnectorConfig) -> None:
        self._organization = config.organization_id
        self._secrets = config.secrets.get(FILE_SLOT.name, {})
        self._requests = 0

    def oauth(self) -> OAuthApp:
        """See `Connector.oauth`."""
        raise ConfigError("A file needs no app.", slot=FILE_SLOT.name)

    def validate(self) -> list[Finding]:
        """See `Connector.validate`."""
        try:
            count = len(self._rows())
        except ConnectorError as error:
            return [Finding("error", FILE_SLOT.label, error.message, slot=FILE_SLOT.name)]
        return [Finding("ok", FILE_SLOT.label, f"Paper holds {count} people.", slot=FILE_SLOT.name)]

    def allocation(self) -> Allocation:
        """See `Connector.allocation`."""
        return Allocation(self._organization, "Paper Office Ltd", "file", purchased={"pen": 10})

    def members(self, cursor: str = "") -> Iterator[Page]:
        """See `Connector.members`."""
        yield Page([_member(row) for row in self._rows()], "")

    def people(self, members: Mapping[str, str]) -> Iterator[Member]:
        """See `Connector.people`."""
        yield from (_member(row) for row in self._rows() if row["id"] in members)

    def directory(self, cursor: str = "") -> Iterator[DirectoryPage]:
        """See `Connector.directory`."""
        yield DirectoryPage([Person(row["id"], row["name"]) for row in self._rows()], "")

    def team_admins(self, cursor: str = "") -> Iterator[TeamsPage]:
        """See `Connector.team_admins`."""
        return iter(())

    def events(self, *, since: datetime, until: datetime) -> Iterator[VendorEvent]:
        """See `Connector.events`."""
        return iter(())

    def is_active(self, external_id: str) -> bool:
        """See `Connector.is_active`."""
        return _active(self._row(self._rows(), external_id))

    def await_turn(self) -> None:
        """See `Connector.await_turn`. A file has no limit."""

    def deactivate(self, external_id: str) -> Receipt:
        """See `Connector.deactivate`."""
        return self._write(external_id, "no")

    def reactivate(self, external_id: str) -> Receipt:
        """See `Connector.reactivate`."""
        return self._write(external_id, "yes")

    def usage(self) -> Usage:
        """See `Connector.usage`."""
        return Usage(requests=self._requests)

    def _path(self) -> Path:
        path = Path(self._secrets.get(FILE_SLOT.token, ""))
        if not path.is_file():
            raise ConfigError(f"There is no file {path}.", slot=FILE_SLOT.name)
        return path

    def _rows(self) -> list[dict[str, str]]:
        self._requests += 1
        with self._path().open(newline="") as file:
            return list(csv.DictReader(file))

    def _row(self, rows: list[dict[str, str]], external_id: str) -> dict[str, str]:
        for row in rows:
            if row["id"] == external_id:
                return row
        raise PermanentError(f"The file has no line for {external_id}.")

    def _write(self, external_id: str, active: str) -> Receipt:
        rows = self._rows()
        row = self._row(rows, external_id)
        if row["role"] == "boss":
            raise PermanentError("The boss stays.")
        row["active"] = active
        with self._path().open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(row))
            writer.writeheader()
            writer.writerows(rows)
        return Receipt(status=200, active=active == "yes")


def _active(row: Mapping[str, str]) -> bool:
    return row["active"] == "yes"


def _member(row: Mapping[str, str]) -> Member:
    boss = row["role"] == "boss"
    assigned, wrong_assigned = _plausible("license date", row["assigned"])
    activity, wrong_activity = _plausible("last activity", row["last_activity"])
    return Member(
        external_id=row["id"],
        email=row["email"],
        active=_active(row),
        license=row["license"] or UNKNOWN,
        role=row["role"] or UNKNOWN,
        license_assigned_at=assigned,
        last_activity_at=activity,
        reclaimable=not boss,
        why_not="Paper keeps its boss" if boss else "",
        implausible_dates=", ".join(filter(None, (wrong_activity, wrong_assigned))),
    )


def _plausible(label: str, text: str) -> tuple[datetime | None, str]:
    """The date, and "" unless it cannot be right."""
    if not text:
        return None, ""
    found = datetime.fromisoformat(f"{text}T12:00:00+00:00")
    if is_plausible(found, earliest=CsvConnector.earliest_date, now=datetime.now(UTC)):
        return found, ""
    return None, f"{label} {text}"
