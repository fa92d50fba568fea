"""Many processes that use a connection: `python -m tests.support.vendor.refresher PROFILE ROUNDS FOLDER PROCESSES`.

In each round each of them waits for the signal of the test, makes one call to Miro, and says that it is done. The
application is loaded once, and forked.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from pathlib import Path

import django


class NoLimit:
    """4,000 calls in a minute are more than Miro allows; this is not about that."""

    def take(self, bucket: str, *, cost: int, limit: int, window: float) -> float:
        return 0.0

    def drain(self, bucket: str, *, seconds: float) -> None: ...


def main(profile_id: int, rounds: int, folder: Path, index: int) -> None:
    from integrations.credentials import credential_store
    from integrations.models import IntegrationProfile

    credential_store._budget = lambda url, share: NoLimit()  # type: ignore[assignment]  # in this process only
    (folder / f"ready-{index}").touch()
    for number in range(rounds):
        while not (folder / f"go-{number}").exists():
            time.sleep(0.01)
        profile = IntegrationProfile.objects.get(pk=profile_id)
        credential_store.connector_for(profile).allocation()
        (folder / f"done-{number}-{index}").touch()


def fork(profile_id: int, rounds: int, folder: Path, processes: int) -> int:
    """Returns how many of them failed. They end with this process."""
    children = []
    for index in range(processes):
        child = os.fork()
        if not child:
            try:
                main(profile_id, rounds, folder, index)
            except BaseException:  # noqa: BLE001 - the fork must not go on as its parent does
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        children.append(child)

    def end_children(*_: object) -> None:
        for child in children:
            os.kill(child, signal.SIGTERM)

    signal.signal(signal.SIGTERM, end_children)
    return sum(os.waitpid(child, 0)[1] != 0 for child in children)


if __name__ == "__main__":
    django.setup()
    from integrations.connectors.miro import connector  # noqa: F401 - loaded before the forks

    sys.exit(fork(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])))
