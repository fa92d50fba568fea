"""The Caddyfile of the containers in a real Caddy, before a web process that records what reaches it."""

from __future__ import annotations

import socket
import ssl
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from threading import Thread

import pytest

from licensehub.embedded.processes import free_port
from tests.deploy.support.caddy import start_caddy, visitor
from tests.deploy.support.host import Host
from tests.support.guards.network import AllowHttp

SECRET = "/license/a-secret-token/"
SPOOFED = dict.fromkeys(("X-Forwarded-For", "X-Forwarded-Host", "Forwarded", "X-Forwarded-Port"), "203.0.113.77")


@dataclass
class Web:
    """The requests that reached it: path, headers, body."""

    seen: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)


class Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True


@contextmanager
def web(path: Path) -> Iterator[Web]:
    """A web process that is not ready, as LicenseHub is while the database is away, and answers all pages."""
    known = Web()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            known.seen.append((self.path, dict(self.headers), body))
            self.send_response(503 if self.path == "/health/ready" else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_GET

        def log_message(self, *args: object) -> None:
            """The client of a socket has no address."""

    with Server(str(path), Handler) as server:
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield known
        server.shutdown()
    path.unlink()


@pytest.fixture
def host(allow_http: AllowHttp) -> Iterator[Host]:
    with tempfile.TemporaryDirectory(prefix="lc-", dir="/tmp") as folder:
        made = Host(Path(folder), http=free_port(), https=free_port())
        allow_http(made.base)
        yield made
        made.stop()


def test_requests_wait_while_web_restarts_and_carry_the_address_that_caddy_saw(host: Host) -> None:
    path = host.root / "web.sock"
    start_caddy(host, path)
    alice = visitor(host, **SPOOFED)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(alice.get, "/admin/")
        time.sleep(1)
        assert not asked.done()
        with web(path) as known:
            assert asked.result().status_code == 200
            # Caddy asks nothing by itself, so LicenseHub says what happened while it is not ready.
            time.sleep(1)
            assert alice.get("/admin/").status_code == 200
    assert {page for page, *_ in known.seen} == {"/admin/"}
    given = known.seen[0][1]
    assert {name: given.get(name) for name in (*SPOOFED, "X-Forwarded-Proto", "Host")} == {
        "X-Forwarded-For": "127.0.0.1",
        "X-Forwarded-Host": f"localhost:{host.https}",
        "Forwarded": None,
        "X-Forwarded-Port": None,
        "X-Forwarded-Proto": "https",
        "Host": f"localhost:{host.https}",
    }


def test_no_log_has_the_link_of_a_person(host: Host) -> None:
    caddy = start_caddy(host, host.root / "web.sock", lb_try_duration="1s")
    answer = visitor(host).session.get(f"{host.base}{SECRET}", headers={"Referer": host.base + SECRET}, timeout=10)
    assert answer.status_code == 502
    host.wait_until(lambda: "dial unix" in caddy.text(), "a line that says why")
    assert "secret" not in caddy.text()


def test_who_sends_slowly_holds_no_thread_of_web(host: Host) -> None:
    path = host.root / "web.sock"
    start_caddy(host, path)
    trusted = ssl.create_default_context(cafile=str(visitor(host).session.verify))
    with (
        web(path) as known,
        socket.create_connection(("localhost", host.https)) as plain,
        trusted.wrap_socket(plain, server_hostname="localhost") as end,
    ):
        end.sendall(f"POST /slow HTTP/1.1\r\nHost: localhost:{host.https}\r\nContent-Length: 4\r\n\r\nab".encode())
        time.sleep(1)
        assert known.seen == []
        end.sendall(b"cd")
        assert end.recv(100).startswith(b"HTTP/1.1 200")
        assert [(page, body) for page, _, body in known.seen] == [("/slow", b"abcd")]
