"""The last event of the audit chain, kept outside of the database: in a file, and in the Redis or Valkey of the broker.

A database that was restored from a backup does not know what was done after the backup. The checkpoint does: see
`find_mismatch`. It is written after each commit that appended events. A failed write is logged and stops nothing. It is
normal that a location is behind: there may be several hosts, each with its own file, and the broker may have been away.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from glob import glob
from pathlib import Path
from typing import Any, Protocol, cast

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext_noop

from licensehub.audit.actions import Action
from licensehub.audit.chain.offline_verifier import EMPTY
from licensehub.audit.chain.signature import is_believed, is_signed
from licensehub.audit.models import AuditEvent
from licensehub.redis_client import Breaker, RedisAway, connect

logger = logging.getLogger(__name__)

KEY = "licensehub:audit:head"
TIMEOUT = 0.5  # seconds
MAX_LENGTH = 1000  # bytes of a file
_HASH = re.compile("[0-9a-f]{64}")

# KEYS[1]: a checkpoint as JSON. ARGV: the new one, its sequence, and the one that it replaces in any case, or "".
_KEEP = """
local kept = redis.call('GET', KEYS[1])
if kept and kept ~= ARGV[3] then
  local known, head = pcall(cjson.decode, kept)
  if known and type(head) == 'table' and tonumber(head.sequence) and tonumber(head.sequence) >= tonumber(ARGV[2]) then
    return 0
  end
end
redis.call('SET', KEYS[1], ARGV[1])
return 1
"""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The last event of a chain: its number, its hash, and when it happened (None for an empty chain)."""

    sequence: int
    hash: str
    at: datetime | None

    def __str__(self) -> str:
        return f"#{self.sequence} of {self.at:%Y-%m-%d %H:%M:%S} UTC" if self.at else "#0, the beginning"

    def as_text(self) -> str:
        return json.dumps(self.as_data(), sort_keys=True)

    def as_data(self) -> dict[str, Any]:
        """The checkpoint as JSON values, for an event."""
        return {"sequence": self.sequence, "hash": self.hash, "at": self.at.isoformat() if self.at else None}

    @classmethod
    def from_text(cls, text: str) -> Checkpoint:
        """The checkpoint in a text of `as_text`. Raises ValueError for any other text."""
        try:
            return cls.from_data(json.loads(text))
        except RecursionError as error:
            raise ValueError("It is nested too deeply.") from error

    @classmethod
    def from_data(cls, data: Any) -> Checkpoint:
        """The checkpoint in the values of `as_data`. Raises ValueError for others: another may have written them."""
        try:
            at = datetime.fromisoformat(data["at"]) if data["at"] else None
            found = cls(int(data["sequence"]), str(data["hash"]), at)
        except (TypeError, KeyError, OverflowError) as error:
            raise ValueError("This is not the checkpoint of an audit.") from error
        if not (0 <= found.sequence < 2**63 and _HASH.fullmatch(found.hash)) or (at and at.tzinfo is None):
            raise ValueError("No event has such a number, hash or time.")
        return found


class LocationUnavailable(Exception):
    """The file or the broker cannot be read or written now. The text is for the log."""


class CheckpointLocation(Protocol):
    """A place outside of the database that keeps the checkpoint."""

    label: str

    def read(self) -> Checkpoint | None:
        """The checkpoint that is kept; None where there is none. Raises LocationUnavailable."""
        ...

    def keep(self, checkpoint: Checkpoint, *, instead_of: Checkpoint | None) -> None:
        """Keep this checkpoint. A checkpoint with the same or a higher sequence stays, unless it is `instead_of`.

        Raises LocationUnavailable.
        """
        ...


# --- The two locations ------------------------------------------------------------------------------------------------


class CheckpointFile:
    """A file, replaced as a whole. A lock beside it orders the processes of its owner.

    Its owner alone can read it, or also the group where `AUDIT_HEAD_FILES` names the files of several users.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.label = gettext_noop("the file {name}").format(name=path.name)

    def read(self) -> Checkpoint | None:
        """Somebody else may have put a pipe or an endless file there: it is neither waited for nor read to its end."""
        try:
            handle = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK)
            try:
                return _readable(os.read(handle, MAX_LENGTH).decode(), self.label)
            finally:
                os.close(handle)
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise LocationUnavailable(f"{self.label} cannot be read: {error}") from error

    def keep(self, checkpoint: Checkpoint, *, instead_of: Checkpoint | None) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.with_suffix(".lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                kept = self.read()
                if kept is None or kept == instead_of or kept.sequence < checkpoint.sequence:
                    self._replace(checkpoint.as_text())
        except OSError as error:
            raise LocationUnavailable(f"{self.label} cannot be written: {error}") from error

    def _replace(self, text: str) -> None:
        handle, name = tempfile.mkstemp(dir=self._path.parent, prefix=".audit-head-")  # mode 0600
        try:
            with os.fdopen(handle, "w") as new:
                if settings.AUDIT_HEAD_FILES:
                    os.fchmod(handle, 0o640)
                new.write(text)
                new.flush()
                os.fsync(new.fileno())
            Path(name).replace(self._path)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise


class CheckpointKey:
    """A key in the broker's Redis or Valkey, shared by all hosts."""

    label = gettext_noop("the broker")

    def __init__(self, url: str) -> None:
        self._redis = connect(url, timeout=TIMEOUT, decode_responses=True)
        self._script = self._redis.register_script(_KEEP)
        self._breaker = Breaker()

    def read(self) -> Checkpoint | None:
        text = self._ask(lambda: self._redis.get(KEY))
        return _readable(text, self.label) if text else None

    def keep(self, checkpoint: Checkpoint, *, instead_of: Checkpoint | None) -> None:
        replaced = instead_of.as_text() if instead_of else ""
        self._ask(lambda: self._script(keys=[KEY], args=[checkpoint.as_text(), checkpoint.sequence, replaced]))

    def _ask(self, call: Callable[[], Any]) -> str | None:
        try:
            return cast("str | None", self._breaker.ask(call))
        except RedisAway as away:
            raise LocationUnavailable(f"The broker is {away}" if str(away) else "") from away


def _readable(text: str, label: str) -> Checkpoint | None:
    """The checkpoint in this text; None for a damaged text, which the next event replaces."""
    try:
        return Checkpoint.from_text(text)
    except ValueError:
        logger.error("The last event of the audit in %s is damaged, and is ignored", label)
        return None


def locations() -> list[CheckpointLocation]:
    """All that are compared with the database: those of this process, and the files of the other users of the host."""
    files = set(map(Path, glob(settings.AUDIT_HEAD_FILES)))  # noqa: PTH207 - Path.glob takes no absolute pattern
    return [*_own_locations(), *map(CheckpointFile, sorted(files - {Path(settings.AUDIT_HEAD_FILE)}))]


def _own_locations() -> list[CheckpointLocation]:
    return [CheckpointFile(Path(settings.AUDIT_HEAD_FILE)), _checkpoint_key(settings.REDIS_URL)]


@cache
def _checkpoint_key(url: str) -> CheckpointKey:
    """One for each process: it remembers that the broker was away."""
    return CheckpointKey(url)


# --- Keep -------------------------------------------------------------------------------------------------------------


def keep_after_commit() -> None:
    """Keep the new checkpoint after the commit. Call it in the transaction that appends events."""
    transaction.on_commit(_keep_once, robust=True)


def _keep_once() -> None:
    """Keep the checkpoint of the database. A commit with several actions calls this often; only the first writes."""
    checkpoint = checkpoint_of_database()
    if checkpoint != _Last.kept:
        _Last.kept = checkpoint
        keep(checkpoint)


class _Last:
    """The checkpoint that this process kept last."""

    kept: Checkpoint | None = None


def keep(checkpoint: Checkpoint) -> None:
    """Keep this checkpoint in each own location that can be reached and holds an earlier event of the same chain."""
    for location in _own_locations():
        try:
            kept = location.read()
            if kept is None or _belongs(kept):
                location.keep(checkpoint, instead_of=None)
            elif _set_aside(kept):
                location.keep(checkpoint, instead_of=kept)
            # Else this is another database than before: `find_mismatch` reports that, and nothing may hide it here.
        except LocationUnavailable as away:
            if str(away):
                logger.warning("The checkpoint of the audit was not written: %s", away)


def checkpoint_of_database() -> Checkpoint:
    """The last committed event that this connection sees."""
    newest = AuditEvent.objects.order_by("-sequence").values_list("sequence", "hash", "at").first()
    return Checkpoint(*newest) if newest else Checkpoint(0, EMPTY, None)


# --- Compare ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The sign that this database may be a restored backup: `sentence` says why the checkpoint `kept` does not fit.

    `nothing_kept`: no location holds a checkpoint. `unsure`: a location cannot be read now, and may hold one.
    """

    sentence: str = ""
    kept: Checkpoint | None = None
    nothing_kept: bool = False
    unsure: bool = False


def find_mismatch() -> Mismatch | None:
    """Compare the database with the checkpoints that are kept; None when it fits.

    Each location is read before the database: a checkpoint is kept only after its commit.
    """
    known, away = 0, 0
    for location in locations():
        try:
            kept = location.read()
        except LocationUnavailable as reason:
            away += 1
            if str(reason):
                logger.warning("%s", reason)
            continue
        known += kept is not None
        if kept and not _belongs(kept) and not _set_aside(kept):
            return Mismatch(sentence=_what_differs(kept, location.label), kept=kept)
    return None if known else Mismatch(nothing_kept=True, unsure=bool(away))


def _belongs(kept: Checkpoint) -> bool:
    """Whether the database holds this very event. Then its chain continues from it."""
    if not kept.sequence:
        return kept.hash == EMPTY
    event = AuditEvent.objects.filter(sequence=kept.sequence, hash=kept.hash).first()
    return event is not None and is_signed(event)


# --- Set aside --------------------------------------------------------------------------------------------------------


def to_set_aside() -> list[Checkpoint]:
    """The checkpoints that do not fit: those of the locations that can be read, and the one that sending is held for.

    The event of a release names them. Nothing else makes LicenseHub replace a checkpoint by another history.
    """
    found = [kept for location in locations() if (kept := _read_or_none(location))]
    held = AuditEvent.objects.filter(action=Action.SENDING_HELD).first()
    if held and is_believed(held) and "kept" in held.data:
        found.append(Checkpoint.from_data(held.data["kept"]))
    return list(dict.fromkeys(kept for kept in found if not _belongs(kept) and not _set_aside(kept)))


def _read_or_none(location: CheckpointLocation) -> Checkpoint | None:
    try:
        return location.read()
    except LocationUnavailable:
        return None


def _set_aside(kept: Checkpoint) -> bool:
    """Whether an admin has given up this end of the chain, or a later one of the same lost history.

    A row of the database says so only if LicenseHub has signed it, at its place in the chain: who can write the
    database can write such a row, too, with any date.
    """
    if kept.at is None:
        return False
    releases = AuditEvent.objects.filter(action=Action.SENDING_RELEASED, at__gt=kept.at)
    return any(is_believed(release) and _gives_up(release, kept) for release in releases)


def _gives_up(release: AuditEvent, kept: Checkpoint) -> bool:
    """Whether the event names this checkpoint or a later one: the files of other hosts may hold earlier ones."""
    named = [Checkpoint.from_data(data) for data in release.data.get("set_aside", [])]
    return any(
        one == kept or (one.sequence > kept.sequence and bool(one.at and kept.at and one.at >= kept.at))
        for one in named
    )


def without_set_aside(checkpoints: Sequence[Checkpoint]) -> list[Checkpoint]:
    """All of them, but for those that an admin has set aside, and that this database does not have."""
    numbers = {checkpoint.sequence for checkpoint in checkpoints}
    held = dict(AuditEvent.objects.filter(sequence__in=numbers).values_list("sequence", "hash"))
    return [one for one in checkpoints if held.get(one.sequence) == one.hash or not _set_aside(one)]


def contradicted(checkpoints: Sequence[Checkpoint]) -> list[Checkpoint]:
    """Those of which this database holds another event or none, and that nobody has set aside."""
    numbers = {checkpoint.sequence for checkpoint in checkpoints}
    held = dict(AuditEvent.objects.filter(sequence__in=numbers).values_list("sequence", "hash"))
    other = [checkpoint for checkpoint in checkpoints if held.get(checkpoint.sequence) != checkpoint.hash]
    return [checkpoint for checkpoint in other if not _set_aside(checkpoint)]


def _what_differs(kept: Checkpoint, label: str) -> str:
    now = checkpoint_of_database()
    if kept.sequence > now.sequence:
        return gettext_noop(
            "The last event of the audit that {label} knows is {kept}; this database ends with {now}. It looks like "
            "a restored backup. This database does not know what was sent in between."
        ).format(label=label, kept=kept, now=now)
    return gettext_noop(
        "Event {kept} in {label} is another one in this database, which now ends with {now}. It looks like a "
        "restored backup that has been used since. This database does not know what was sent before."
    ).format(kept=kept, label=label, now=now)
