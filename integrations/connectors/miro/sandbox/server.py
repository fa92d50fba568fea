"""Serves the sandbox over plain HTTP on 127.0.0.1: `start()` for tests, `manage.py miro_sandbox` for people."""

from __future__ import annotations

import json
import re
import select
import socket
import threading
import time
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from integrations.connectors.miro.sandbox.behavior.fault_storm import FaultStorm
from integrations.connectors.miro.sandbox.behavior.faults import Fault, Faults, refuse, spoil
from integrations.connectors.miro.sandbox.behavior.manual_changes import ManualChanges
from integrations.connectors.miro.sandbox.oauth.endpoints import PATHS, OAuth
from integrations.connectors.miro.sandbox.scim.endpoints import MAX_BODY, Scim
from integrations.connectors.miro.sandbox.state.store import Store
from integrations.connectors.miro.sandbox.state.world import World

from .control_plane import ControlPlane
from .messages import CONTROL_ROOT, SCIM_ROOT, Answer, Json, Request, SandboxError, rest_error, scim_error
from .rest import Rest

HOST = "127.0.0.1"
SECRET_IN_QUERY = re.compile(r"((?:^|&)[^=&]*(?:token|secret|code)[^=&]*=)[^&]*", re.IGNORECASE)


class Sandbox:
    """A running sandbox."""

    def __init__(self, world: World, port: int) -> None:
        self.world = world
        self.faults, self.storm = Faults(), FaultStorm()
        self.stopping = threading.Event()
        self.manual_changes = ManualChanges(world, self.stopping)
        self._rest, self._scim = Rest(world), Scim(world)
        self._oauth = OAuth(world)
        self._control = ControlPlane(self, self._oauth)
        try:
            self._server = _Server(self, port)
        except (OSError, OverflowError) as error:
            raise SandboxError(f"Port {port} of {HOST} cannot be used: {str(error).rstrip('.')}.") from error
        self.url = f"http://{HOST}:{self._server.server_address[1]}"
        self.control_url = self.url + CONTROL_ROOT.rstrip("/")
        self._scim.base = self.url + SCIM_ROOT
        self._thread = threading.Thread(target=self._serve, name="miro-sandbox", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        self._server.serve_forever(poll_interval=0.05)

    def urls(self) -> dict[str, str]:
        return {
            "api_url": self.url,
            "authorize_url": f"{self.url}/oauth/authorize",
            "scim_url": self.url + SCIM_ROOT,
            "organization_id": self.world.organization_id,
            **self.world.secrets,
        }

    def stop(self) -> None:
        """End the server and all connections: a client must not continue with a sandbox that is stopped."""
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._server.end_connections()
        self._thread.join()
        self.manual_changes.stop()
        self.world.close()

    # --- One request -------------------------------------------------------------------------------------------------
    def answer(self, request: Request, connection: socket.socket) -> Answer:
        if request.path.startswith(CONTROL_ROOT):
            return self._control.answer(request)
        entry = self.world.begin_request(_entry(request))
        request = replace(request, n=entry["n"])
        self.stopping.wait(self.world.toggles.latency_ms / 1000)
        fault = self._pick(request)
        answer = self._before(fault, request, connection) if fault else None
        if answer is None:
            answer = self._carry_out(request, entry)
            late = None if fault else self._pick(request, answer)
            fault, answer = (late, spoil(late, request, answer)) if late else (fault, answer)
        self._add_retry_after(answer)
        status = None if answer.cut else answer.status
        self.world.end_request(entry, status=status, fault=fault.kind if fault else None, applied=answer.applied)
        if fault and fault.kind == "hang_after":
            self.stopping.wait(fault.seconds)
        return answer

    def _pick(self, request: Request, answer: Answer | None = None) -> Fault | None:
        return self.faults.pick(request, answer) or self.storm.pick(request, answer)

    def _before(self, fault: Fault, request: Request, connection: socket.socket) -> Answer | None:
        answer = refuse(fault, request)
        if answer is None:  # hang: without `late`, the request of a client that has left is not carried out
            self.stopping.wait(fault.seconds)
            if self.stopping.is_set() or (_is_gone(connection) and not fault.late):
                return Answer(0, cut=True)
        elif fault.kind == "rate_limited":
            answer.headers["X-RateLimit-Remaining"] = "0"
            answer.headers["X-RateLimit-Reset"] = str(int(time.time() + fault.seconds))
        return answer

    def _carry_out(self, request: Request, entry: Json) -> Answer:
        with self.world.lock:
            answer = self._api(request).answer(request)
            self.world.end_request(entry, applied=answer.applied)
            return answer

    def _api(self, request: Request) -> Scim | Rest | OAuth:
        if request.path in PATHS:
            return self._oauth
        return self._scim if request.api == "scim" else self._rest

    def _add_retry_after(self, answer: Answer) -> None:
        """Miro does not document Retry-After, but some gateways send it."""
        if answer.status == 429 and self.world.toggles.retry_after:
            reset = int(answer.headers.get("X-RateLimit-Reset", time.time() + 30))
            answer.headers["Retry-After"] = str(max(1, reset - int(time.time())))


def _entry(request: Request) -> Json:
    return {
        "method": request.method,
        "path": request.path,
        "query": SECRET_IN_QUERY.sub(r"\1[redacted]", request.raw_query),
        "status": None,
        "api": request.api,
        "fault": None,
        "applied": False,
        "member": request.member if request.method == "PATCH" else None,
    }


def _is_gone(connection: socket.socket) -> bool:
    readable, _, _ = select.select([connection], [], [], 0)
    try:
        return bool(readable) and connection.recv(1, socket.MSG_PEEK) == b""
    except OSError:
        return True


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, sandbox: Sandbox, port: int) -> None:
        self.sandbox = sandbox
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__((HOST, port), _Handler)

    def server_bind(self) -> None:
        """Bind without a look-up of the host name, which may take seconds and is not needed."""
        socket.socket.setsockopt(self.socket, socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = HOST, self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def end_connections(self) -> None:
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Connections that break while the sandbox stops are not reported."""
        if not self.sandbox.stopping.is_set():
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "MiroSandbox", ""
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def _serve(self) -> None:
        with suppress(ConnectionError):
            self._respond(self._answer())

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def _answer(self) -> Answer:
        request = self._request(b"")
        length = self.headers.get("Content-Length") or "0"
        if "Transfer-Encoding" in self.headers or not length.isdigit():
            return self._unread(request, 411, "A Content-Length is needed")
        if int(length) > MAX_BODY:
            return self._unread(request, 413, f"The payload is larger than {MAX_BODY} bytes")
        return self.server.sandbox.answer(self._request(self.rfile.read(int(length))), self.connection)

    def _unread(self, request: Request, status: int, message: str) -> Answer:
        """The body stays unread, so the connection cannot be used again."""
        self.close_connection = True
        if request.api == "scim":
            return scim_error(status, message).answer
        return rest_error(status, "payloadTooLarge" if status == 413 else "lengthRequired", message).answer

    def _request(self, body: bytes) -> Request:
        path, _, query = self.path.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        values = dict(parse_qsl(query, keep_blank_values=True))
        return Request(self.command, path, values, query, headers, body)

    def _respond(self, answer: Answer) -> None:
        if answer.cut:
            self.close_connection = True
            return
        payload = answer.payload()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != 204:  # a 204 must not have them: RFC 9110, section 8.6
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(payload)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(payload)
        self.wfile.flush()

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The Date header, shifted by a toggle."""
        skew = self.server.sandbox.world.toggles.date_skew_seconds
        return super().date_time_string((time.time() if timestamp is None else timestamp) + skew)

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: the journal of requests is at /_sandbox/requests, without tokens."""


def start(
    *, members: int, seed: int = 1, port: int = 0, state: Path | None = None, now: datetime | None = None
) -> Sandbox:
    """A sandbox in a daemon thread. `members` and `seed` apply to a new `state` only."""
    if members < 1:
        raise SandboxError("An organization has at least one member.")
    store = Store(state)
    try:
        return Sandbox(World(store, members=members, seed=seed, now=now), port)
    except SandboxError:
        store.close()
        raise


def first_line(sandbox: Sandbox) -> str:
    return json.dumps(sandbox.urls())
