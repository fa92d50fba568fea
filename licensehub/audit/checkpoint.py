"""The head of the audit chain, kept outside of the database: in a file, and in Redis or Valkey beside the broker.

A database that was restored from a backup knows nothing of what was done since. What is kept here does: see `doubt`.
Kept after each commit that appended events. What cannot be written is logged and breaks no act; a place that is
behind is normal, since there may be several hosts, each with its file, and a broker that was away for a while.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Protocol, cast

from django.conf import settings
from django.db import transaction
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from licensehub.audit.actions import Action
from licensehub.audit.models import AuditEvent

logger = logging.getLogger(__name__)

KEY = "licensehub:audit:head"
TIMEOUT = 0.5  # seconds
PAUSE = 30.0  # seconds without asking a Redis that was away
EMPTY = "0" * 64
# On whom *Released* is recorded: asked for by an index of the audit, which may be long.
SENDING = {"target_type": "integrations.sendingcontrol", "target_id": 1}

# KEYS[1]: a head as JSON. ARGV: the new one, its sequence, the one that may be replaced even if it is higher, or "".
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
class Head:
    """The last event of a chain: its number, its signature, and when it happened (None for an empty chain)."""

    sequence: int
    hash: str
    at: datetime | None

    def __str__(self) -> str:
        return f"#{self.sequence} of {self.at:%Y-%m-%d %H:%M:%S} UTC" if self.at else "#0, the beginning"

    def as_text(self) -> str:
        at = self.at.isoformat() if self.at else None
        return json.dumps({"sequence": self.sequence, "hash": self.hash, "at": at}, sort_keys=True)

    @classmethod
    def of_text(cls, text: str) -> Head:
        """Raises ValueError for anything else than `as_text` gives."""
        try:
            found = json.loads(text)
            at = datetime.fromisoformat(found["at"]) if found["at"] else None
            return cls(int(found["sequence"]), str(found["hash"]), at)
        except (TypeError, KeyError) as error:
            raise ValueError("This is no head of an audit chain.") from error


class PlaceAway(Exception):
    """A place outside of the database that cannot be read now. The text is for the log."""


class Place(Protocol):
    """Where a head is kept."""

    label: str

    def read(self) -> Head | None:
        """What is kept; None where there is nothing. Raises PlaceAway."""
        ...

    def keep(self, head: Head, *, instead_of: Head | None) -> None:
        """Keep it, unless something higher is kept other than `instead_of`. Raises PlaceAway."""
        ...


# --- The two places ---------------------------------------------------------------------------------------------------


class HeadFile:
    """A file, replaced as a whole and readable by its owner only. A lock beside it orders the processes of a host."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.label = f"the file {path.name}"

    def read(self) -> Head | None:
        try:
            return _readable(self._path.read_text(), self.label)
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise PlaceAway(f"{self.label} cannot be read: {error}") from error

    def keep(self, head: Head, *, instead_of: Head | None) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.with_suffix(".lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                kept = self.read()
                if kept is None or kept == instead_of or kept.sequence < head.sequence:
                    self._replace(head.as_text())
        except OSError as error:
            raise PlaceAway(f"{self.label} cannot be written: {error}") from error

    def _replace(self, text: str) -> None:
        handle, name = tempfile.mkstemp(dir=self._path.parent, prefix=".audit-head-")  # mode 0600
        try:
            with os.fdopen(handle, "w") as new:
                new.write(text)
                new.flush()
                os.fsync(new.fileno())
            Path(name).replace(self._path)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise


class RedisKey:
    """A key in the broker's Redis or Valkey, shared by all hosts. One that is away is not asked again for a while."""

    label = "the broker"

    def __init__(self, url: str) -> None:
        self._redis = Redis.from_url(
            url,
            socket_connect_timeout=TIMEOUT,
            socket_timeout=TIMEOUT,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        )
        self._script = self._redis.register_script(_KEEP)
        self._away_until = 0.0

    def read(self) -> Head | None:
        text = self._ask(lambda: self._redis.get(KEY))
        return _readable(text, self.label) if text else None

    def keep(self, head: Head, *, instead_of: Head | None) -> None:
        replaced = instead_of.as_text() if instead_of else ""
        self._ask(lambda: self._script(keys=[KEY], args=[head.as_text(), head.sequence, replaced]))

    def _ask(self, call: Callable[[], Any]) -> str | None:
        if time.monotonic() < self._away_until:
            raise PlaceAway("")
        try:
            return cast("str | None", call())
        except RedisError as error:
            self._away_until = time.monotonic() + PAUSE
            # The kind of error only: its text may hold the address with its password.
            raise PlaceAway(f"The broker is not reachable ({type(error).__name__})") from error


def _readable(text: str, label: str) -> Head | None:
    """Damaged is as good as nothing, and is replaced by the next event."""
    try:
        return Head.of_text(text)
    except ValueError:
        logger.error("What is kept of the audit in %s is damaged, and does not count", label)
        return None


def places() -> list[Place]:
    return [HeadFile(Path(settings.AUDIT_HEAD_FILE)), _redis_key(settings.REDIS_URL)]


@cache
def _redis_key(url: str) -> RedisKey:
    """One for each process, which remembers for how long a dead broker is left alone."""
    return RedisKey(url)


# --- Keep -------------------------------------------------------------------------------------------------------------


def keep_after_commit() -> None:
    """In the transaction that appends events: once they are committed, keep the new head."""
    transaction.on_commit(_keep_once, robust=True)


def _keep_once() -> None:
    """Several acts in one commit ask for it several times: all but the first find that it is done."""
    head = head_of_database()
    if head != _Last.kept:
        _Last.kept = head
        keep(head)


class _Last:
    """What this process kept last."""

    kept: Head | None = None


def keep(head: Head) -> None:
    """Keep this head in every place that can be reached and whose chain it goes on with."""
    for place in places():
        try:
            kept = place.read()
            if kept is None or _belongs(kept):
                place.keep(head, instead_of=None)
            elif _set_aside(kept):
                place.keep(head, instead_of=kept)
            # Else the database is another one than before: that is told by `doubt`, and must not be covered up here.
        except PlaceAway as away:
            if str(away):
                logger.warning("The head of the audit was not kept: %s", away)


def head_of_database() -> Head:
    """The last event that is committed, as far as this connection may see."""
    newest = AuditEvent.objects.order_by("-sequence").values_list("sequence", "hmac", "at").first()
    return Head(*newest) if newest else Head(0, EMPTY, None)


# --- Compare ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Why this database may be a restored backup. `nothing_kept`: no place knows any head.

    `unsure` means that a place which may know one cannot be read now. Else `sentence` says what does not fit.
    """

    sentence: str = ""
    nothing_kept: bool = False
    unsure: bool = False


def find_mismatch() -> Mismatch | None:
    """Compare the database with what is kept of it; None when it fits.

    Each place is read before the database: what was kept was committed before.
    """
    known, away = 0, 0
    for place in places():
        try:
            kept = place.read()
        except PlaceAway as reason:
            away += 1
            if str(reason):
                logger.warning("%s", reason)
            continue
        known += kept is not None
        if kept and not _belongs(kept) and not _set_aside(kept):
            return Mismatch(sentence=_what_differs(kept, place.label))
    return None if known else Mismatch(nothing_kept=True, unsure=bool(away))


def _belongs(kept: Head) -> bool:
    """Whether the database holds this very event. One that has grown past it has gone on from it."""
    if not kept.sequence:
        return kept.hash == EMPTY
    return AuditEvent.objects.filter(sequence=kept.sequence, hmac=kept.hash).exists()


def _set_aside(kept: Head) -> bool:
    """An admin has confirmed a restored backup since then; other hosts' files learn it here."""
    if kept.at is None:
        return False
    return AuditEvent.objects.filter(**SENDING, action=Action.SENDING_RELEASED, at__gt=kept.at).exists()


def _what_differs(kept: Head, label: str) -> str:
    now = head_of_database()
    if kept.sequence > now.sequence:
        return (
            f"The last event of the audit that {label} knows is {kept}; this database ends with {now}. It looks like "
            "a restored backup: what was sent in between is not known here."
        )
    return (
        f"Event {kept}, as {label} knows it, is another one in this database, which has gone on to {now}. It looks "
        "like a restored backup that has been used since: what was sent before is not known here."
    )
