"""Names of other machines, looked up by the resolver of this one, for a limited time.

The resolver waits for as long as /etc/resolv.conf says, once for each DNS server and search domain, and nothing can end
it. So a thread of its own asks, and stays behind when the time is over.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from concurrent.futures import Future
from threading import Thread
from typing import Any, Final

# (family, kind, protocol, canonical name, address), as `socket.getaddrinfo` has them
Row = tuple[int, int, int, str, tuple[Any, ...]]

MAX_ASKING: Final = 16  # threads of one process: with more names, the DNS server is gone

_asking: list[Thread] = []


def rows_of(host: str, port: int, *, seconds: float, kind: int = socket.SOCK_STREAM) -> Sequence[Row]:
    """The numbers of this name. Raises OSError, TimeoutError after so many seconds; UnicodeError for an odd name."""
    # A fork leaves the threads of its parent behind, so they are counted by who lives.
    _asking[:] = [one for one in _asking if one.is_alive()]
    if len(_asking) >= MAX_ASKING:
        raise TimeoutError("The resolver of this machine answers no more names.")
    found: Future[Sequence[Row]] = Future()
    thread = Thread(target=_ask, args=(found, host, port, kind), name="look-up", daemon=True)
    _asking.append(thread)
    thread.start()
    return found.result(max(seconds, 0.0))


def _ask(found: Future[Sequence[Row]], host: str, port: int, kind: int) -> None:
    try:
        found.set_result(socket.getaddrinfo(host, port, type=kind))
    except (OSError, UnicodeError) as error:
        found.set_exception(error)
