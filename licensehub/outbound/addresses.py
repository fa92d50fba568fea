"""Which addresses a person may have LicenseHub call: https, named by an operator, and outside of private networks.

A name is looked up once, and the call goes to one of the numbers that were checked (see `pinned`). A second look-up
could give another number: https://owasp.org/www-community/attacks/Server_Side_Request_Forgery
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

import idna

from licensehub.outbound.names import rows_of

Ip = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MAX_URL: Final = 2000
LOOK_UP_SECONDS: Final = 5.0
# A name whose last part is a number is an IPv4 address in the eyes of a resolver: 2130706433, 127.1, 0x7f.0.0.1.
# https://url.spec.whatwg.org/#ends-in-a-number-checker
NUMBER: Final = re.compile(r"(?:\d+|0[xX][0-9a-fA-F]*)")
# Azure answers at the first with the secrets of a virtual machine, Oracle Cloud at one of the others. Python's
# `is_global` has not all of them.
METADATA: Final = tuple(ip_network(one) for one in ("168.63.129.16/32", "192.0.0.0/24"))
# IPv6 networks whose numbers carry an IPv4 number in their last 32 bits (RFC 6052, RFC 8215, RFC 4291).
CARRIERS: Final = tuple(ip_network(one) for one in ("64:ff9b::/96", "64:ff9b:1::/48", "::/96"))


class Reason(StrEnum):
    """The reasons for which an address may not be called."""

    NOT_HTTPS = "not_https"
    MALFORMED = "malformed"
    HAS_PASSWORD = "has_password"  # noqa: S105 - the name of a reason
    NOT_LISTED = "not_listed"
    NO_SUCH_NAME = "no_such_name"
    PRIVATE = "private"


class NotAllowed(Exception):
    """The address may not be called. `host` is the name in question, "" if there is none."""

    def __init__(self, reason: Reason, host: str = "") -> None:
        super().__init__(f"{reason}: {host}")
        self.reason = reason
        self.host = host


@dataclass(frozen=True, slots=True)
class Policy:
    """`hosts`: names in ASCII, or `*.example.com` for all names below it. `networks`: not public, and allowed."""

    hosts: tuple[str, ...] = ()
    networks: tuple[Network, ...] = ()

    def lists(self, host: str) -> bool:
        """Whether an operator has named this host. A pattern covers no number."""
        below = () if _number_of(host) else tuple(one[1:] for one in self.hosts if one.startswith("*."))
        return host in self.hosts or host.endswith(below)


@dataclass(frozen=True, slots=True)
class Address:
    """A checked address. `host` is in ASCII and lower case. `target` is the path with the query: it may be secret."""

    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """The value of the header Host."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == 443 else f"{host}:{self.port}"


def parse(url: str, policy: Policy) -> Address:
    """The address, if its form and its host are allowed. Raises NotAllowed."""
    if len(url) > MAX_URL or not url.isprintable() or " " in url or "\\" in url:
        raise NotAllowed(Reason.MALFORMED)
    try:
        parts = urlsplit(url)
        port = 443 if parts.port is None else parts.port
    except ValueError:
        raise NotAllowed(Reason.MALFORMED) from None
    if parts.scheme != "https":
        raise NotAllowed(Reason.NOT_HTTPS)
    if "@" in parts.netloc:
        raise NotAllowed(Reason.HAS_PASSWORD)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if parts.fragment or not target.isascii() or not port:
        raise NotAllowed(Reason.MALFORMED)
    host = normalized_host(parts.hostname or "")
    if not policy.lists(host):
        raise NotAllowed(Reason.NOT_LISTED, host)
    return Address(host, port, target)


def normalized_host(host: str) -> str:
    """The name in ASCII and lower case, or a number in its usual form. Raises NotAllowed.

    Letters that look like others (`ⓔxample`, full-width digits) are mapped before anything is compared (UTS 46).
    """
    if number := _number_of(host):
        return str(number)
    try:
        name = idna.encode(host.removesuffix("."), uts46=True).decode().lower()
    except idna.IDNAError:
        raise NotAllowed(Reason.MALFORMED, host) from None
    if number := _number_of(name):
        return str(number)
    if NUMBER.fullmatch(name.rpartition(".")[2]) or not re.fullmatch(r"[a-z0-9.-]+", name):
        raise NotAllowed(Reason.MALFORMED, host)
    return name


def _number_of(host: str) -> Ip | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def look_up(host: str, port: int) -> list[str]:
    """The numbers of this name, by the resolver of this machine. Raises OSError."""
    return [str(row[4][0]) for row in rows_of(host, port, seconds=LOOK_UP_SECONDS)]


def resolve(address: Address, policy: Policy) -> list[str]:
    """The numbers of this host, each of them allowed. Raises NotAllowed, also if only one of them is not allowed."""
    try:
        numbers = list(dict.fromkeys(look_up(address.host, address.port)))
    except (OSError, UnicodeError):
        numbers = []
    if not numbers:
        raise NotAllowed(Reason.NO_SUCH_NAME, address.host)
    if not all(may_reach(number, policy.networks) for number in numbers):
        raise NotAllowed(Reason.PRIVATE, address.host)
    return numbers


def may_reach(number: str, networks: Iterable[Network]) -> bool:
    """Whether this number is public, or in one of these networks. So must be the IPv4 number that it may carry."""
    try:
        found = ip_address(number)
    except ValueError:
        return False
    named = tuple(networks)
    return all(_is_public(one) or any(one in network for network in named) for one in _meant_by(found))


def _is_public(number: Ip) -> bool:
    return number.is_global and not number.is_multicast and not any(number in one for one in METADATA)


def _meant_by(number: Ip) -> list[Ip]:
    """The number, or those in its place: a mapped one is IPv4, and a tunnel leads to the IPv4 number in it."""
    if isinstance(number, IPv4Address):
        return [number]
    if number.ipv4_mapped:
        return [number.ipv4_mapped]
    carried: list[Ip] = [IPv4Address(int(number) & 0xFFFFFFFF)] if any(number in one for one in CARRIERS) else []
    carried += [number.sixtofour] if number.sixtofour else []
    carried += list(number.teredo or ())
    return [number, *carried]
