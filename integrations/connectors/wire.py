"""A deadline that reaches down to the socket.

requests and urllib3 limit each wait for bytes, never the sum of the waits: a server that sends one byte every few
seconds holds a caller for hours, already in the head of its answer. Here a timer shuts the socket in time.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from contextvars import ContextVar
from threading import Lock
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.response import HTTPResponse

from integrations.connectors.call import Idle
from integrations.connectors.deadlines import deadlines


class Watch:
    """Watches one exchange. `connected` says whether anything can have been sent, `expired` whether we cut it off."""

    def __init__(self, idle: Idle | None = None) -> None:
        self.connected = False
        self.expired = False
        self._idle = idle
        self._socket: socket.socket | None = None
        self._lock = Lock()

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


@contextlib.contextmanager
def watch(seconds: float, idle: Idle | None = None) -> Iterator[Watch]:
    """Cut whatever this thread exchanges inside the block when `seconds` are over. `idle`: once all is sent."""
    watching = Watch(idle)
    token = _current.set(watching)
    alarm = deadlines.call_after(max(seconds, 0.0), watching.expire)
    try:
        yield watching
    finally:
        alarm.cancel()
        _current.reset(token)


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
    """requests' adapter over watched connections. It retries nothing: that is the session's decision."""

    def __init__(self) -> None:
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
