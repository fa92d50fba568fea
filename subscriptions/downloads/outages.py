"""Call the vendor again after an outage, or after the delay that it asks for."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from integrations.connectors.contract import TransientError
from subscriptions.downloads import lease
from subscriptions.models import DownloadRun

# The longest time in seconds that one download waits in total.
MAX_TOTAL_WAIT = 600.0
# The delays in seconds if the vendor names none, e.g. because it is down. After the last one the download gives up.
OUTAGE_DELAYS = (1.0, 5.0, 15.0)
# Seconds after which the lease of the run is renewed while it waits; well below DownloadRun.LEASE.
RENEW_DELAY = 20.0

T = TypeVar("T")


@dataclass
class Retries:
    """The time that one download may still wait, and the outages that it had."""

    run: DownloadRun
    seconds_left: float = field(default_factory=lambda: MAX_TOTAL_WAIT)
    outages: int = 0

    def call(self, function: Callable[[], T]) -> T:
        """Call until it succeeds. Raises TransientError when the wait would be too long, or after too many outages."""
        while True:
            try:
                return function()
            except TransientError as error:
                delay = error.retry_after
                if not delay:
                    delay = OUTAGE_DELAYS[self.outages] if self.outages < len(OUTAGE_DELAYS) else 0.0
                    self.outages += 1
                if not delay or delay > self.seconds_left:
                    raise
                self.seconds_left -= delay
                _wait(self.run, delay)


def _wait(run: DownloadRun, seconds: float) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        lease.renew(run)
        time.sleep(min(left, RENEW_DELAY))
