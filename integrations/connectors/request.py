"""One call to a vendor, and what may go wrong with one try of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from integrations.connectors.contract import ConnectorError
from integrations.connectors.response import Answer

UNAUTHORIZED = frozenset({401})
# Of a window.
KEEPS = 1 / 500

# Called by whoever has nothing to do but wait.
Idle = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds, bytes, and tries of one call. `total` holds everything: waiting, all tries, and the whole body."""

    connect: float = 5.0
    read: float = 20.0
    total: float = 45.0
    body: int = 10 * 1024 * 1024
    tries: int = 3
    backoff: float = 0.5
    longest_backoff: float = 8.0


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Rate:
    """What one call takes out of the budget: `cost` of `limit` units per `window` seconds."""

    bucket: str
    cost: int
    limit: int
    window: float

    @property
    def keeps(self) -> float:
        """Seconds from the taking to the sending: a budget counts what was taken for that much longer."""
        return self.window * KEEPS


@dataclass(frozen=True, slots=True)
class Call:
    method: str
    url: str
    rate: Rate
    ends_at: float
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    form: Mapping[str, str] | None = field(default=None, repr=False)
    token: str = field(default="", repr=False)
    rejections: frozenset[int] = UNAUTHORIZED

    def left(self) -> float:
        """Seconds until the deadline."""
        return self.ends_at - time.monotonic()


@dataclass(eq=False)
class Failure(Exception):
    """One try failed. `sent`: the vendor may have acted on it. `again`: another try may go better."""

    error: ConnectorError
    sent: bool
    again: bool = True
    wait: float = 0.0


@dataclass(frozen=True, slots=True)
class Begun:
    """A call with its token, of which another thread makes the first try."""

    call: Call
    answer: Future[Answer] = field(default_factory=Future)
