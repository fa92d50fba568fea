"""The limit on the passwords that this machine checks at the same time.

A check takes a processor about half a second, on purpose. Without a limit, guessers would take all processors and
all threads of the web server. The slots are locks on files: all processes of the machine share them, and the system
frees those of a process that dies.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from django.conf import settings

# Seconds between two looks at the slots, and until a person is asked to try again.
POLL: Final = 0.05
MAX_WAIT: Final = 3.0


class Busy(Exception):
    """All slots are taken. Nothing was checked."""


@contextmanager
def slot(*, known: bool) -> Iterator[None]:
    """Hold a slot while a password is checked. Raises Busy.

    Few people wait, since each that waits holds a thread. Known browsers have slots of their own, so guessers
    cannot take those.
    """
    kind = "known" if known else "any"
    with ExitStack() as held:
        if not _take(held, f"{kind}-waiting", settings.PASSWORD_CHECKS_WAITING):
            raise Busy
        end = time.monotonic() + MAX_WAIT
        while not _take(held, f"{kind}-check", settings.PASSWORD_CHECKS):
            if time.monotonic() > end:
                raise Busy
            time.sleep(POLL)
        yield


def _take(held: ExitStack, name: str, count: int) -> bool:
    """Lock one of `count` files until `held` ends."""
    settings.RUNTIME_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
    for number in range(count):
        file = os.open(settings.RUNTIME_DIR / f"password-{name}-{number}", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            continue
        held.callback(os.close, file)
        return True
    return False
