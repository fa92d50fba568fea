"""One HTTP exchange with a deadline that reaches down to the socket.

requests and urllib3 limit each wait for bytes, not the sum of the waits: a server that sends one byte every few seconds
would hold a caller for hours, even while it sends the headers. Here a timer shuts the socket at the deadline.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import json
import os
import socket
import ssl
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from threading import Condition, Lock, Thread
from typing import Any, Self
from urllib.parse import urlencode

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.response import HTTPResponse

from integrations.connectors.contract import BadAnswer, ConfigError, TransientError, english
from integrations.connectors.network import current_network
from integrations.connectors.request import Call, Failure, Limits, host_of
from integrations.connectors.response import Answer


@dataclass(slots=True)
class Timer:
    """Calls `fire` once, unless it is canceled before."""

    fire: Callable[[], None] | None

    def cancel(self) -> None:
        self.fire = None


@dataclass
class TimerThread:
    """One thread for the timers of all calls. It starts with the first timer. Safe between threads."""

    _waiting: list[tuple[float, int, Timer]] = field(default_factory=list)
    _changed: Condition = field(default_factory=Condition)
    _thread: Thread | None = None
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def call_after(self, seconds: float, fire: Callable[[], None]) -> Timer:
        """`fire` is called in the timer thread in `seconds`, unless the timer is canceled before."""
        timer = Timer(fire)
        at = time.monotonic() + seconds
        with self._changed:
            self._drop_canceled()
            heapq.heappush(self._waiting, (at, next(self._numbers), timer))
            if self._thread is None:
                self._thread = Thread(target=self._run, name="deadlines", daemon=True)
                self._thread.start()
            elif self._waiting[0][0] == at:
                self._changed.notify()
        return timer

    def _drop_canceled(self) -> None:
        while self._waiting and self._waiting[0][2].fire is None:
            heapq.heappop(self._waiting)

    def _run(self) -> None:
        while True:
            if fire := self._next():
                fire()

    def _next(self) -> Callable[[], None] | None:
        """Wait until the first timer is due or an earlier one is added. Returns the function to call now, or None."""
        with self._changed:
            self._drop_canceled()
            left = self._waiting[0][0] - time.monotonic() if self._waiting else None
            if left is None or left > 0:
                self._changed.wait(left)
                return None
            return heapq.heappop(self._waiting)[2].fire


timers = TimerThread()


def _restart_timers() -> None:
    """A forked process has no timer thread, and the lock may have been held during the fork."""
    timers.__init__()  # type: ignore[misc]  # a new lock and no thread, in the same object


os.register_at_fork(after_in_child=_restart_timers)


class Deadline:
    """Shuts the socket that its thread uses inside the `with` block when `seconds` are over.

    `connected` says whether anything can have been sent, `expired` whether the socket was shut.
    """

    def __init__(self, seconds: float) -> None:
        self.connected = False
        self.expired = False
        self._seconds = max(seconds, 0.0)
        self._socket: socket.socket | None = None
        self._handle: socket.socket | None = None
        self._lock = Lock()

    def __enter__(self) -> Self:
        self._token = _current.set(self)
        self._timer = timers.call_after(self._seconds, self.expire)
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._close_handle()
        _current.reset(self._token)

    def watch_connecting(self, sock: socket.socket) -> None:
        """Set the socket to shut at the deadline. It reaches the vendor or a proxy; nothing was sent to the vendor.

        TLS takes the socket over, so the deadline shuts it by a handle of its own.
        """
        self._close_handle()
        with self._lock:
            self._socket = self._handle = sock.dup()
            if self.expired:
                self._shut()

    def _close_handle(self) -> None:
        with self._lock:
            if self._handle is not None:
                self._handle.close()
                self._handle = None

    def watch(self, sock: socket.socket | None) -> None:
        """Set the socket to shut at the deadline. From now on, something may have been sent."""
        with self._lock:
            self.connected = True
            self._socket = sock
            if self.expired:
                self._shut()

    def expire(self) -> None:
        with self._lock:
            self.expired = True
            self._shut()

    def _shut(self) -> None:
        if self._socket is None:
            return
        # The socket may be closed already. The plain method: the method of a TLS socket would remove the TLS layer
        # while the other thread reads through it.
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


_current: ContextVar[Deadline | None] = ContextVar("_current", default=None)


def _watch(sock: socket.socket | None) -> None:
    if (deadline := _current.get()) is not None:
        deadline.watch(sock)


class _Connection(HTTPConnection):
    def connect(self) -> None:
        super().connect()
        _watch(self.sock)

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # urllib3 has another return type
        _watch(self.sock)  # a kept connection does not connect again
        return super().getresponse()


class _TlsConnection(HTTPSConnection):
    def connect(self) -> None:
        super().connect()
        _watch(self.sock)

    def _new_conn(self) -> socket.socket:
        """The TCP connection, to the proxy if there is one. The proxy's answer and TLS follow, and may be slow, too."""
        sock = super()._new_conn()
        if (deadline := _current.get()) is not None:
            deadline.watch_connecting(sock)
        return sock

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # urllib3 has another return type
        _watch(self.sock)
        return super().getresponse()


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


POOLS = {"http": _Pool, "https": _TlsPool}


class _WatchedAdapter(HTTPAdapter):
    """requests' adapter over connections that report their socket. It does not retry: the API session does."""

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


class _PlainSession(requests.Session):
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


class Transport:
    """Sends calls of one session and reads their answers. Reads reuse their connection."""

    def __init__(self, *, vendor: str, slot: str, media_type: str, limits: Limits) -> None:
        self._vendor = vendor
        self._slot = slot
        self._media_type = media_type
        self._limits = limits
        self._network = current_network()
        headers = {"Accept": media_type, "Accept-Encoding": "gzip", "User-Agent": "LicenseHub"}
        self._http = _PlainSession(headers, self._network.tls_context(slot=slot))

    def close(self) -> None:
        """Close the kept connections."""
        self._http.close()

    def send(self, call: Call, token: str) -> Answer:
        """The complete answer, whatever its status. Raises Failure, or ConfigError when nothing may be sent there."""
        with Deadline(call.seconds_left()) as deadline:
            try:
                with self._request(call, token) as response:
                    body = self._read(response)
            except (requests.RequestException, HTTPError, OSError) as error:
                # `from None`: the library's exception holds the request, and so the token.
                raise self._broken(error, call, deadline) from None
            if deadline.expired:
                # The end of a body without a length looks the same as our own cut.
                raise self._too_slow(sent=True)
        return Answer(response.status_code, response.headers, body)

    def _request(self, call: Call, token: str) -> requests.Response:
        """The status and the headers; the body is still to be read. Raises as requests, urllib3 and sockets do."""
        left = max(call.seconds_left(), 0.001)
        headers, payload = {}, None
        if token:
            headers["Authorization"] = f"Bearer {token}"  # RFC 6750: in no URL, so in no log and no exception
        if call.form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            payload = urlencode(call.form).encode()
        elif call.body is not None:
            headers["Content-Type"] = self._media_type
            payload = json.dumps(call.body).encode()
        return self._http.request(
            call.method,
            call.url,
            headers=headers,
            data=payload,
            proxies=self._network.proxies_for(call.url),
            timeout=(min(self._limits.connect, left), min(self._limits.read, left)),
            allow_redirects=False,
            stream=True,
        )

    def _read(self, response: requests.Response) -> bytes:
        """The decompressed body, at most as large as allowed: a small compressed body may unpack to a huge one."""
        body: bytes = response.raw.read(self._limits.body + 1, decode_content=True)
        if len(body) > self._limits.body:
            text = english("{vendor}'s answer is larger than {body:,} bytes and was not read to its end.").format(
                vendor=self._vendor, body=self._limits.body
            )
            error = BadAnswer(text, status=response.status_code, code="too_large")
            raise Failure(error, sent=True, retry=False)
        return body

    def _broken(self, error: Exception, call: Call, deadline: Deadline) -> Exception:
        """The error for an exchange that broke off. Nothing is sent before the connection is made."""
        if deadline.expired or isinstance(error, requests.Timeout) or "timed out" in str(error):
            return self._too_slow(sent=deadline.connected)
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            return self._untrusted(call)
        if not deadline.connected:
            proxy = self._network.proxies_for(call.url)
            text = english("{host} cannot be reached from this machine. LicenseHub tries again by itself.")
            if proxy:
                text = english(
                    "{host} cannot be reached through the proxy {proxy} (VENDOR_PROXY). LicenseHub tries again by "
                    "itself."
                )
            text = text.format(host=host_of(call.url), proxy=self._network.proxy_label)
        else:
            text = english("{vendor}'s answer broke off.").format(vendor=self._vendor)
        return Failure(TransientError(text, code=type(error).__name__), sent=deadline.connected)

    def _untrusted(self, call: Call) -> ConfigError:
        text = english(
            "The TLS certificate of {host} cannot be trusted, so nothing was sent. Ask the people who "
            "run the network of this machine. If the company has its own certificates, name them in VENDOR_CA_BUNDLE."
        ).format(host=host_of(call.url))
        return ConfigError(text, slot=self._slot, code="certificate")

    def _too_slow(self, *, sent: bool) -> Failure:
        text = english("{vendor} did not answer in time. LicenseHub tries again by itself.").format(vendor=self._vendor)
        return Failure(TransientError(text, code="timeout"), sent=sent)
