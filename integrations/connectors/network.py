"""The network settings for calls to vendors: the proxy, and the certificates of the company."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit

from requests.adapters import DEFAULT_CA_BUNDLE_PATH
from urllib3.util.ssl_ import create_urllib3_context

from integrations.connectors.contract import ConfigError, english
from integrations.connectors.request import is_loopback


@dataclass(frozen=True, slots=True)
class Network:
    """`proxy`: an address such as http://user:password@proxy.example:3128. `ca_bundle`: a PEM file; "" means none."""

    proxy: str = ""
    ca_bundle: str = ""

    def proxies_for(self, url: str) -> dict[str, str]:
        """The parameter `proxies` of `requests`. It is empty for an address on this machine, e.g. the sandbox."""
        if not self.proxy or is_loopback(urlsplit(url).hostname or ""):
            return {}
        return {"https": self.proxy, "http": self.proxy}

    @property
    def proxy_label(self) -> str:
        """Host and port, without the password."""
        return urlsplit(self.proxy).netloc.rpartition("@")[2]

    def tls_context(self, *, slot: str) -> ssl.SSLContext | None:
        """A context that trusts public authorities and the company's; None without `ca_bundle`. Raises ConfigError."""
        if not self.ca_bundle:
            return None
        try:
            return _context(self.ca_bundle)
        except OSError as error:  # ssl.SSLError is one
            raise ConfigError(
                english(
                    "The file that VENDOR_CA_BUNDLE names cannot be read as certificates, so nothing was sent. "
                    "Correct it in LicenseHub's settings, and restart."
                ),
                slot=slot,
                code="ca_bundle",
            ) from error


@cache
def _context(ca_bundle: str) -> ssl.SSLContext:
    context = create_urllib3_context()
    context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
    context.load_verify_locations(ca_bundle)
    return context


_network = Network()


def set_network(network: Network) -> None:
    """Called once, when LicenseHub starts."""
    global _network
    _network = network


def current_network() -> Network:
    return _network
