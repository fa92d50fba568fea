"""A tiny HTTP server that answers what a test tells it to, also the things that no good server does."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DRIP_SECONDS = 0.05


@dataclass
class Seen:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    port: int


@dataclass
class Reply:
    """`manner`: whole; short (less than announced); cut (no answer at all); drip, drip_head (byte by byte)."""

    status: int = 200
    data: Any = None
    raw: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    manner: str = "whole"

    @property
    def payload(self) -> bytes:
        return self.raw if self.raw is not None else json.dumps(self.data).encode()


class ScriptedServer:
    """Gives `replies` in their order, the last one for ever; or whatever `respond` says."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.replies: list[Reply] = []
        self.respond: Callable[[Seen], Reply] | None = None
        self.seen: list[Seen] = []
        # Bytes sent one by one: they measure time by a clock that stands still when the machine does.
        self.dripped = 0
        self.stopping = threading.Event()
        self._connections: list[tuple[threading.Thread, socket.socket]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._server.server_port}"

    def next_reply(self, seen: Seen) -> Reply:
        self.seen.append(seen)
        if self.respond is not None:
            return self.respond(seen)
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]

    def stop(self) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        # An answer that nobody waits for takes no memory and no time of the next test.
        for thread, connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        script = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Else each answer waits 40 ms for an acknowledgment.
            disable_nagle_algorithm = True

            def setup(self) -> None:
                script._connections.append((threading.current_thread(), self.request))
                super().setup()

            def answer(self) -> None:
                length = int(self.headers.get("Content-Length", "0"))
                seen = Seen(
                    self.command, self.path, dict(self.headers), self.rfile.read(length), self.client_address[1]
                )
                self.give(script.next_reply(seen))

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

            def give(self, reply: Reply) -> None:
                if reply.manner == "cut":
                    self.close_connection = True
                    return
                if reply.manner == "drip_head":
                    self.drip(b"HTTP/1.1 200 OK\r\nX-Long: " + b"a" * 2000)
                    return
                self.head(reply)
                if reply.manner == "drip":
                    self.drip(reply.payload)
                elif reply.manner == "short":
                    self.wfile.write(reply.payload[: len(reply.payload) // 2])
                    self.close_connection = True
                elif reply.status != 204:
                    self.wfile.write(reply.payload)

            def head(self, reply: Reply) -> None:
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                if reply.status != 204 and "Transfer-Encoding" not in reply.headers:
                    self.send_header("Content-Length", str(len(reply.payload)))
                self.end_headers()

            def drip(self, payload: bytes) -> None:
                self.close_connection = True
                for number in range(len(payload)):
                    if script.stopping.wait(DRIP_SECONDS):
                        return
                    try:
                        self.wfile.write(payload[number : number + 1])
                        self.wfile.flush()
                        script.dripped += 1
                    except OSError:
                        return  # the client has had enough, which is what is tested

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing: the tests look at `seen`."""

        return Handler
