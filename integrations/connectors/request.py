"""One call to a vendor: its limits, its cost, and the checks before anything is sent."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from integrations.connectors.contract import ConfigError, ConnectorError, english

UNAUTHORIZED = frozenset({401})


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one call in seconds, bytes and tries. `total` covers waiting, all tries, and the whole body."""

    connect: float = 5.0
    read: float = 20.0
    total: float = 45.0
    body: int = 10 * 1024 * 1024
    tries: int = 3
    backoff: float = 0.5
    max_backoff: float = 8.0


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Rate:
    """The units that one call takes from the rate budget: `cost` of `limit` units per `window` seconds."""

    bucket: str
    cost: int
    limit: int
    window: float


@dataclass(frozen=True, slots=True)
class Call:
    """`ends_at` is the deadline (monotonic clock). `rejections` are the statuses that mean that the token is dead."""

    method: str
    url: str
    rate: Rate
    ends_at: float
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    form: Mapping[str, str] | None = field(default=None, repr=False)
    rejections: frozenset[int] = UNAUTHORIZED

    def seconds_left(self) -> float:
        """Seconds until the deadline."""
        return self.ends_at - time.monotonic()


@dataclass(eq=False)
class Failure(Exception):
    """One try failed. `sent`: the vendor may have acted on it. `retry`: a retry may succeed after `wait` seconds."""

    error: ConnectorError
    sent: bool
    retry: bool = True
    wait: float = 0.0


def checked_base(base: str, *, slot: str) -> str:
    """The address without a slash at its end. Raises ConfigError unless it is HTTPS or this machine."""
    parts = urlsplit(base)
    safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    if safe and parts.hostname and "@" not in parts.netloc and not parts.query and not parts.fragment:
        return base.rstrip("/")
    raise ConfigError(
        english(
            "The vendor's address must begin with https:// and contain no user name. Correct it in LicenseHub's "
            "settings."
        ),
        slot=slot,
        code="bad_address",
    )


def is_loopback(host: str) -> bool:
    """Whether the host is this machine, by name or by number."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def checked_token(token: str, *, vendor: str, slot: str) -> str:
    """The token, if it fits into a header. The HTTP library's own error for a line break would show the token."""
    token = token.strip()
    if token and token.isascii() and token.isprintable() and " " not in token:
        return token
    raise ConfigError(
        english(
            "The stored {vendor} token is empty, or has characters that a token cannot have. Enter it again."
        ).format(vendor=vendor),
        slot=slot,
        code="bad_token",
    )


def host_of(url: str) -> str:
    """The host for a message; “the address” where the URL has none."""
    return urlsplit(url).hostname or "the address"
