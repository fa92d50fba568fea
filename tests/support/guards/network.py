"""No test talks to anybody but servers that it started itself: everything else fails at once."""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import requests.adapters

if TYPE_CHECKING:
    from collections.abc import Iterator

_allowed_ports: set[int] = set()
_connect = socket.socket.connect
_connect_ex = socket.socket.connect_ex
_send = requests.adapters.HTTPAdapter.send


def allow(port: int) -> None:
    """For servers that live longer than one test; tests use the fixture `allow_http`."""
    _allowed_ports.add(port)


def pytest_configure() -> None:
    """From the first moment on, in each process of the run."""
    for name, guarded in (("connect", _guarded_connect), ("connect_ex", _guarded_connect_ex)):
        setattr(socket.socket, name, guarded)
    requests.adapters.HTTPAdapter.send = _guarded_send  # type: ignore[method-assign]  # in all tests


def _guarded_connect(self: socket.socket, address: Any) -> None:
    _refuse_unplanned(self, address)
    _connect(self, address)


def _guarded_connect_ex(self: socket.socket, address: Any) -> int:
    _refuse_unplanned(self, address)
    return _connect_ex(self, address)


def _guarded_send(self: Any, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
    """Refuse before the name is looked up, with the address in the message."""
    parts = urlsplit(request.url or "")
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    if not _is_allowed(parts.hostname or "", port):
        # pytest.fail is no Exception, so that no `except` of the code under test can swallow it.
        pytest.fail(f"Unplanned HTTP: {request.method} {parts.scheme}://{parts.netloc}{parts.path}")
    return _send(self, request, *args, **kwargs)


def _refuse_unplanned(connecting: socket.socket, address: Any) -> None:
    if connecting.family == socket.AF_UNIX:
        return
    if not _is_allowed(str(address[0]), int(address[1])):
        # Nobody else will: the caller expects an OSError.
        connecting.close()
        pytest.fail(f"Unplanned connection to {address[0]}:{address[1]}")


def _is_allowed(host: str, port: int) -> bool:
    return port in _allowed_ports and _is_loopback(host)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class AllowHttp:
    """`allow_http(url)` lets the test talk to its own server, which is on the loopback."""

    def __init__(self) -> None:
        self.ports: set[int] = set()

    def __call__(self, url: str) -> None:
        port = urlsplit(url).port or 80
        self.ports.add(port)
        allow(port)


@pytest.fixture
def allow_http() -> Iterator[AllowHttp]:
    """Ends with the test."""
    allowing = AllowHttp()
    yield allowing
    _allowed_ports.difference_update(allowing.ports)
