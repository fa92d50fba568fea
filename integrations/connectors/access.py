"""What a session is given to reach a vendor, looked at before anything is sent."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from integrations.connectors.contract import ConfigError


def checked_base(base: str, *, slot: str) -> str:
    """The address without a slash at its end. A token goes over HTTPS only, or stays on this machine."""
    parts = urlsplit(base)
    safe = parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(parts.hostname or ""))
    if safe and parts.hostname and "@" not in parts.netloc and not parts.query and not parts.fragment:
        return base.rstrip("/")
    raise ConfigError(
        "The vendor's address must begin with https:// and hold no user name. Correct it in LicenseHub's settings.",
        slot=slot,
        code="bad_address",
    )


def host_of(url: str) -> str:
    """For sentences to people; an address that names no host is “the address”."""
    return urlsplit(url).hostname or "the address"


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def checked_token(token: str, *, vendor: str, slot: str) -> str:
    """A header takes no line breaks; the library's own error for them would show the token."""
    token = token.strip()
    if token and token.isascii() and token.isprintable() and " " not in token:
        return token
    raise ConfigError(
        f"The stored {vendor} token is empty or holds characters that no token has. Enter it again.",
        slot=slot,
        code="bad_token",
    )
