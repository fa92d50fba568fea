"""A deadline that reaches down to the socket.

requests and urllib3 limit each wait for bytes, never the sum of the waits: a server that sends one byte every few
seconds holds a caller for hours, already in the head of its answer. Here a timer shuts the socket in time.
"""

from __future__ import annotations

import contextlib
import socket
from contextvars import ContextVar
from threading import Lock
from typing import Any, Self
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import ConnectionPool
from urllib3.response import HTTPResponse

from integrations.connectors.deadlines import deadlines
from integrations.connectors.request import Idle


class Watch:
    """Cuts whatever its thread exchanges inside the `with` block when `seconds` are over.

    `connected` says whether anything can have been sent, `expired` whether it was cut off. `idle` is called once all is
    sent.
    """

    def __init__(self, seconds: float, idle: Idle | None = None) -> None:
        self.connected = False
        self.expired = False
        self._seconds = max(seconds, 0.0)
        self._idle = idle
        self._socket: socket.socket | None = None
        self._lock = Lock()

    def __enter__(self) -> Self:
        self._token = _current.set(self)
        self._alarm = deadlines.call_after(self._seconds, self.expire)
        return self

    def __exit__(self, *_: object) -> None:
        self._alarm.cancel()
        _current.reset(self._token)

    def hold(self, sock: socket.socket | None) -> None:
        """This is the socket to shut in time."""
        with self._lock:
            self.connected = True
            self._socket = sock
            if self.expired:
                self._shut()

    def wait(self) -> None:
        """All is sent, and nothing to do until the answer comes."""
        if self._idle:
            self._idle()

    def expire(self) -> None:
        with self._lock:
            self.expired = True
            self._shut()

    def _shut(self) -> None:
        if self._socket is None:
            return
        # It may have been closed meanwhile, which is what is wanted. The plain method: a TLS socket's own one would
        # drop the TLS layer from under the thread that is reading.
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


_current: ContextVar[Watch | None] = ContextVar("_current", default=None)


def _hold(sock: socket.socket | None) -> None:
    if (watching := _current.get()) is not None:
        watching.hold(sock)


def _wait(sock: socket.socket | None) -> None:
    _hold(sock)  # a connection that is used again does not connect
    if (watching := _current.get()) is not None:
        watching.wait()


class _Connection(HTTPConnection):
    def connect(self) -> None:
        super().connect()
        _hold(self.sock)

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]
        _wait(self.sock)
        return super().getresponse()


class _TlsConnection(HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        _hold(self.sock)

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]
        _wait(self.sock)
        return super().getresponse()


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


class WatchedAdapter(HTTPAdapter):
    """requests' adapter over watched connections. It retries nothing: that is the session's decision.

    What requests does anew for each request, and what would come out the same, is done once: it happens between the
    answer of a vendor and the next request, where all else waits.
    """

    def __init__(self) -> None:
        self._pools: dict[tuple[str, str], ConnectionPool] = {}
        super().__init__(max_retries=0)

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, *args: Any, **kwargs: Any
    ) -> ConnectionPool:
        """The connections to the request's host; how they are secured is the same for all requests."""
        where = urlsplit(str(request.url))[:2]
        if where not in self._pools:
            self._pools[where] = super().get_connection_with_tls_context(request, *args, **kwargs)
        return self._pools[where]

    def build_response(self, req: requests.PreparedRequest, resp: HTTPResponse) -> HTTPResponse:  # type: ignore[override]
        """What urllib3 gives: requests would add cookies, an encoding and a history, which nobody asks for."""
        return resp

    def close(self) -> None:
        self._pools.clear()
        super().close()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
