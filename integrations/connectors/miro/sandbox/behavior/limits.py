"""Rate limits in fixed windows of the sandbox's clock.

REST: credits per minute, https://developers.miro.com/reference/rate-limiting
SCIM: requests per 30 seconds, https://developers.miro.com/reference/rate-limits
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from datetime import datetime

CREDITS_PER_MINUTE = 100_000
CREDITS = {1: 50, 2: 100, 3: 500, 4: 2000}
SCIM_CALLS = {"GET": 200, "PATCH": 100, "PUT": 100}


@dataclass(frozen=True, slots=True)
class Spent:
    """The budget after one request; `refused`: it was not enough."""

    refused: bool
    limit: int
    remaining: int
    reset: int  # epoch seconds of the real clock, since clients wait by that

    def headers(self) -> dict[str, str]:
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset),
        }


class Limits:
    def __init__(self) -> None:
        self._used: dict[str, tuple[int, int]] = {}

    def rest(self, level: int, now: datetime) -> Spent:
        return self._spend("rest", CREDITS[level], CREDITS_PER_MINUTE, 60, now)

    def scim(self, bucket: str, now: datetime) -> Spent:
        return self._spend(bucket, 1, SCIM_CALLS[bucket.split()[0]], 30, now)

    def _spend(self, bucket: str, cost: int, limit: int, seconds: int, now: datetime) -> Spent:
        window, into = divmod(now.timestamp(), seconds)
        started, used = self._used.get(bucket, (int(window), 0))
        used = used if started == int(window) else 0
        refused = used + cost > limit
        used += 0 if refused else cost
        self._used[bucket] = (int(window), used)
        return Spent(refused, limit, limit - used, math.ceil(time.time() + seconds - into))
