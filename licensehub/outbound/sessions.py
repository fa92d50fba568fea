"""Sessions that follow no redirect and read nothing of the environment, over connections that report their socket."""

from __future__ import annotations

import socket
import ssl
from http.cookiejar import DefaultCookiePolicy
from io import BytesIO
from typing import Any, Final

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError
from urllib3.response import HTTPResponse

from licensehub.outbound.connecting import connect
from licensehub.outbound.deadlines import Deadline, current

CONNECT_SECONDS: Final = 10.0


def _watch(sock: socket.socket | None) -> None:
    if (deadline := current()) is not None:
        deadline.watch(sock)


class _BoundedConnection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        """The TCP connection, to the proxy if there is one. The proxy's answer and TLS follow, and may be slow, too."""
        try:
            sock = connect(self.host, self.port, seconds=float(self.timeout or CONNECT_SECONDS))
        except TimeoutError as error:
            raise ConnectTimeoutError(self, f"Connection to {self.host} timed out.") from error
        except OSError as error:
            raise NewConnectionError(self, f"No connection to {self.host}: {error}") from error
        for level, option, value in self.socket_options or ():
            sock.setsockopt(level, option, value)
        return sock


class WatchedConnection(_BoundedConnection):
    def connect(self) -> None:
        super().connect()
        _watch(self.sock)

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # urllib3 has another return type
        _watch(self.sock)  # a kept connection does not connect again
        return super().getresponse()


class WatchedTlsConnection(_BoundedConnection, HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        _watch(self.sock)

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # urllib3 has another return type
        _watch(self.sock)
        return super().getresponse()


class WatchedPool(HTTPConnectionPool):
    ConnectionCls = WatchedConnection


class WatchedTlsPool(HTTPSConnectionPool):
    ConnectionCls = WatchedTlsConnection


POOLS = {"http": WatchedPool, "https": WatchedTlsPool}


class _WatchedAdapter(HTTPAdapter):
    """requests' adapter over connections that report their socket. It does not retry: its caller does."""

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        self._tls = tls
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, ssl_context=self._tls)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> ProxyManager:
        manager: ProxyManager = super().proxy_manager_for(
            proxy, **kwargs, ssl_context=self._tls, proxy_ssl_context=self._tls
        )
        manager.pool_classes_by_scheme = POOLS
        return manager


class PlainSession(requests.Session):
    """A session without redirects, without cookies, and without proxies, .netrc or CA bundles of the environment."""

    def __init__(self, headers: dict[str, str], tls: ssl.SSLContext | None) -> None:
        super().__init__()
        self.trust_env = False
        self.headers.clear()
        self.headers.update(headers)
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        for scheme in ("https://", "http://"):
            self.mount(scheme, _WatchedAdapter(tls))

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None: requests would read the whole body of a redirect, however large, even if it does not follow it."""


class BoundedSession(PlainSession):
    """Each exchange ends: after `seconds`, and with the first `longest` bytes of the answer and one more.

    It follows no redirect. Proxies and certificates are those of the host. Raises requests' exceptions only.
    """

    def __init__(self, headers: dict[str, str], *, seconds: float, longest: int) -> None:
        super().__init__(headers, None)
        self.trust_env = True
        self._seconds, self._longest = seconds, longest

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **kwargs: Any) -> requests.Response:
        kwargs |= {"timeout": (self._seconds / 2, self._seconds), "allow_redirects": False, "stream": True}
        with Deadline(self._seconds) as deadline, super().request(method, url, *args, **kwargs) as response:
            try:
                content = response.raw.read(self._longest + 1, decode_content=True)
            except (HTTPError, OSError) as error:
                raise requests.ConnectionError(f"The answer broke off ({type(error).__name__}).") from None
            if deadline.expired:
                raise requests.Timeout("The answer took too long.")
        response.raw = BytesIO(content)
        return response
