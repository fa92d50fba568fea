"""TCP connections that belong to an exchange, and end with it."""

from __future__ import annotations

import socket
import time

from licensehub.outbound.deadlines import current
from licensehub.outbound.names import rows_of


def connect(host: str, port: int, *, seconds: float) -> socket.socket:
    """A connection to the first number of this name that takes one. Raises OSError.

    The standard library waits as long for each number, and a name can have hundreds of them. Here they share the time
    that the exchange has left, and none of them takes longer than `seconds`.
    """
    deadline = current()
    ends_at = time.monotonic() + (seconds if deadline is None else deadline.left())
    found = rows_of(host, port, seconds=min(seconds, ends_at - time.monotonic()))
    problem: OSError = TimeoutError("timed out")
    for number, (family, kind, protocol, _, address) in enumerate(found):
        share = (ends_at - time.monotonic()) / (len(found) - number)
        if share <= 0:
            break
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(min(seconds, share))
            sock.connect(address)
        except OSError as error:
            sock.close()
            problem = error
            continue
        sock.settimeout(seconds)
        if deadline is not None:
            deadline.watch_connecting(sock)
        return sock
    raise problem
