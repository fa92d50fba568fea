"""The network address of a request: the one that the last trusted proxy saw.

Everything to the left of it in `X-Forwarded-For` was written by whoever sent the request, so it is not read.
https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/X-Forwarded-For#selecting_an_ip_address
"""

from __future__ import annotations

import ipaddress
from typing import Final

from django.conf import settings
from django.http import HttpRequest

# A provider gives each customer at least this many bits, so their addresses count as one.
IPV6_PREFIX: Final = 64


def address_of(request: HttpRequest) -> str | None:
    """The address as text; None for a Unix socket."""
    hops = [hop.strip() for hop in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if hop.strip()]
    behind = 0 < settings.PROXY_COUNT <= len(hops)
    found = _parsed(hops[-settings.PROXY_COUNT]) if behind else None
    found = found or _parsed(request.META.get("REMOTE_ADDR", ""))
    return str(found) if found else None


def counted_address(request: HttpRequest) -> str | None:
    """The address under which wrong passwords are counted: of IPv6 the network."""
    address = address_of(request)
    if address is None or ":" not in address:
        return address
    return str(ipaddress.ip_network(f"{address}/{IPV6_PREFIX}", strict=False).network_address)


def _parsed(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Also `203.0.113.9:4711`, which some load balancers write."""
    if text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ipaddress.ip_address(text.strip("[]").partition("%")[0])
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, ipaddress.IPv6Address) else found
