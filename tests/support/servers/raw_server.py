"""A server below HTTP: it sends whatever bytes a test wants, for as long as the other side bears it."""

from __future__ import annotations

import contextlib
import itertools
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from tests.support.guards.network import allow

DRIP_SECONDS = 0.1


@dataclass
class RawServer:
    """`greets` are sent at once, `answers` after each line of the caller. `drips`: with a pause before each of them."""

    greets: Callable[[], Iterable[bytes]] = tuple
    answers: Callable[[bytes], Iterable[bytes]] = lambda line: ()
    drips: bool = False
    tls: ssl.SSLContext | None = None
    sent: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        allow(self.port)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while not self.stopping.is_set():
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._take, args=(connection,), daemon=True).start()

    def _take(self, plain: socket.socket) -> None:
        with contextlib.suppress(OSError), plain:
            connection = self.tls.wrap_socket(plain, server_side=True) if self.tls else plain
            self._send(connection, self.greets())
            for line in connection.makefile("rb"):
                self._send(connection, self.answers(line))

    def _send(self, connection: socket.socket, parts: Iterable[bytes]) -> None:
        for part in parts:
            if self.stopping.is_set() or (self.drips and self.stopping.wait(DRIP_SECONDS)):
                return
            connection.sendall(part)
            self.sent += len(part)

    def stop(self) -> None:
        self.stopping.set()
        self.socket.close()


def endless(part: bytes) -> Iterator[bytes]:
    return itertools.repeat(part)


@contextlib.contextmanager
def deaf_port() -> Iterator[int]:
    """A port that answers no connection, as behind a firewall that drops packets."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = int(listener.getsockname()[1])
        allow(port)
        for _ in range(4):  # they fill the queue of the listener
            caller = stack.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(("127.0.0.1", port))
        yield port
