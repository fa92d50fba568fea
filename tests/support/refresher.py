"""One of many processes that use a connection: `python -m tests.support.refresher PROFILE ROUNDS FOLDER INDEX`.

In each round it waits for the signal of the test, makes one call to Miro, and says that it is done.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import django


class NoLimit:
    """4,000 calls in a minute are more than Miro allows; this is not about that."""

    def take(self, bucket: str, *, cost: int, limit: int, window: float) -> float:
        return 0.0

    def drain(self, bucket: str, *, seconds: float) -> None: ...


def main(profile_id: int, rounds: int, folder: Path, index: int) -> None:
    from integrations import credential_store
    from integrations.models import IntegrationProfile

    credential_store._budget = lambda url, share: NoLimit()  # type: ignore[assignment]
    (folder / f"ready-{index}").touch()
    for number in range(rounds):
        while not (folder / f"go-{number}").exists():
            time.sleep(0.002)
        profile = IntegrationProfile.objects.get(pk=profile_id)
        credential_store.connector_for(profile).allocation()
        (folder / f"done-{number}-{index}").touch()


if __name__ == "__main__":
    django.setup()
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
