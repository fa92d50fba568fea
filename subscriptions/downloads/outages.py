"""Call the vendor again after an outage, or after the delay that it asks for.

A delay that is longer than the rest of this part ends the part. This task waits for a short delay, as for the vendor's
rate limit, and then the next part begins at once. After a longer delay, the sweep begins the next part.

While there is work for other profiles, nobody waits: the part ends, and the next one begins after the delay.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from integrations.connectors.contract import TransientError
from licensehub import stopping
from subscriptions.downloads import lease
from subscriptions.downloads.parts import PartOver, Work
from subscriptions.models import DownloadRun

# The longest time in seconds that one download waits in total for one page.
MAX_TOTAL_WAIT = 600.0
# A delay up to this (seconds) is waited for at the end of a part. It covers the window of a rate limit. With the part
# and one call, it stays below the limit of a task.
MAX_LAST_WAIT = 65.0
# The delays in seconds if the vendor names none, e.g. because it is down. After the last one the download gives up.
OUTAGE_DELAYS = (1.0, 5.0, 15.0)
# Seconds after which the lease of the run is renewed while it waits; well below DownloadRun.LEASE.
RENEW_DELAY = 20.0

T = TypeVar("T")


def with_retries(work: Work, function: Callable[[], T]) -> T:
    """Call until it succeeds. The run counts its waits and its outages since its last page, in all of its parts.

    Raises TransientError when the wait would be too long, or after too many outages; PartOver when this part is too
    short for the wait.
    """
    run = work.run
    while True:
        try:
            return function()
        except TransientError as error:
            delay = error.retry_after
            if stopping.is_requested():
                raise PartOver(resume_in=delay or 0.0) from error
            if not delay:
                delay = OUTAGE_DELAYS[run.outages] if run.outages < len(OUTAGE_DELAYS) else 0.0
                run.outages += 1
            if not delay or run.waited + delay > MAX_TOTAL_WAIT:
                raise
            run.waited += delay
            is_last = delay > work.part.seconds_left
            if (is_last and delay > MAX_LAST_WAIT) or work.part.ends_before(delay):
                raise PartOver(resume_in=delay) from error
            _wait(run, delay)
            if is_last:
                raise PartOver from error


def _wait(run: DownloadRun, seconds: float) -> None:
    """Raises PartOver if the worker is to stop."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        lease.renew(run, waited=run.waited, outages=run.outages)
        if not stopping.sleep(min(left, RENEW_DELAY)):
            raise PartOver(resume_in=until - time.monotonic())
