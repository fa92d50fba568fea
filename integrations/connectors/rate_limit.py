"""The rate budget: how much may still be asked of a vendor, shared by everybody who uses the same token.

Both budgets count alike. A window is cut into 1,000 slots; what was taken counts until its whole slot, and some after
it, have left the window. So no stretch of `window` seconds ever holds more than `limit`, however the vendor's own
windows lie, also where one call is sent, or comes to the vendor, a little later than another. It costs at most 0.4 % of
the limit.

What was taken stands in a line, the oldest in front: a take looks at the two ends, however many there are in between.
"""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import cast

from licensehub.redis_client import Breaker, RedisAway, connect

logger = logging.getLogger(__name__)

SLOTS = 1000
# Slots that a taken unit counts: those of the window, its own, since it may lie at its end, two since its call may be
# sent that much later (`Rate.keeps`), and one to spare.
COUNTED = SLOTS + 4
REDIS_TIMEOUT = 1.0  # seconds
KEY_PREFIX = "licensehub:rate:"

# KEYS[1]: list of "slot:units:total", the oldest first; `total` is what was ever taken, with these units. KEYS[2]: is
# there while the bucket is held. ARGV: cost, limit, window in ms. Answers ms to wait.
# The server's clock decides, since the workers' clocks differ.
_TAKE = f"""
local held = redis.call('PTTL', KEYS[2])
if held > 0 then return held end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local cost, limit, slot = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]) / {SLOTS}
local function entry(at)
  local found = redis.call('LINDEX', KEYS[1], at)
  if not found then return nil end
  local number, units, total = string.match(found, '^(%d+):(%d+):(%d+)$')
  return {{number = tonumber(number), units = tonumber(units), total = tonumber(total)}}
end
local current = math.floor(now / slot)
local first = entry(0)
while first and first.number + {COUNTED} <= current do
  redis.call('LPOP', KEYS[1])
  first = entry(0)
end
local last = first and entry(-1) or {{number = current, units = 0, total = 0}}
local room = limit - (first and last.total - first.total + first.units or 0)
if cost <= room then
  local taken = '%d:%d:%d'
  if first and last.number >= current then
    redis.call('LSET', KEYS[1], -1, string.format(taken, last.number, last.units + cost, last.total + cost))
  else
    redis.call('RPUSH', KEYS[1], string.format(taken, current, cost, last.total + cost))
  end
  redis.call('PEXPIRE', KEYS[1], math.ceil(slot * {COUNTED} * 2))
  return 0
end
local at = 0
while first and cost > room + first.units do
  room = room + first.units
  at = at + 1
  first = entry(at)
end
local leaves = first and first.number or last.number
return math.max(1, math.ceil((leaves + {COUNTED}) * slot - now))
"""

# KEYS[1]: what holds the bucket. ARGV: ms to hold everybody back. A shorter hold never replaces a longer one.
_DRAIN = """
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], 1, 'PX', ARGV[1]) end
return 0
"""


def _check(*, cost: int, limit: int, window: float) -> None:
    """Such a call could never be made, or would wait for ever."""
    if not 0 < cost <= limit or window <= 0:
        raise ValueError(f"A cost of {cost} out of {limit} per {window} s can never be taken")


class RedisRateBudget:
    """Counts in Redis or Valkey, for all processes on all hosts. Raises RedisError when it is not reachable."""

    def __init__(self, url: str) -> None:
        self._redis = connect(url, timeout=REDIS_TIMEOUT)
        self._take = self._redis.register_script(_TAKE)
        self._drain = self._redis.register_script(_DRAIN)

    def take(self, bucket: str, *, cost: int, limit: int, window: float) -> float:
        """See `RateBudget.take`; `window` and the answer are in seconds."""
        _check(cost=cost, limit=limit, window=window)
        keys = [_taken_key(bucket), _hold_key(bucket)]
        wait = self._take(keys=keys, args=[cost, limit, math.ceil(window * 1000)])
        return cast("int", wait) / 1000

    def drain(self, bucket: str, *, seconds: float) -> None:
        if seconds > 0:
            self._drain(keys=[_hold_key(bucket)], args=[math.ceil(seconds * 1000)])


def _taken_key(bucket: str) -> str:
    """In braces, so that both keys of a bucket live on one node of a cluster."""
    return f"{KEY_PREFIX}{{{bucket}}}"


def _hold_key(bucket: str) -> str:
    return f"{_taken_key(bucket)}:hold"


@dataclass(slots=True)
class _Bucket:
    """(slot number, units) in a line, the oldest first, their sum, and the moment until which the bucket is held."""

    taken: deque[tuple[int, int]] = field(default_factory=deque)
    used: int = 0
    hold: float = 0.0

    def take(self, *, now: float, cost: int, limit: int, slot: float) -> float:
        if self.hold > now:
            return self.hold - now
        current = math.floor(now / slot)
        while self.taken and self.taken[0][0] + COUNTED <= current:
            self.used -= self.taken.popleft()[1]
        if self.used + cost > limit:
            return self._free_at(cost=cost, limit=limit, slot=slot) - now
        self._add(current, cost)
        return 0.0

    def _add(self, current: int, cost: int) -> None:
        number, units = self.taken.pop() if self.taken and self.taken[-1][0] >= current else (current, 0)
        self.taken.append((number, units + cost))
        self.used += cost

    def _free_at(self, *, cost: int, limit: int, slot: float) -> float:
        """When enough slots have left the window. The oldest leave first."""
        used = self.used
        for number, units in self.taken:
            used -= units
            if used + cost <= limit:
                return (number + COUNTED) * slot
        raise AssertionError("an empty bucket has room for every cost that _check lets in")


class LocalRateBudget:
    """Counts in this process alone; safe between threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._buckets: dict[str, _Bucket] = {}

    def take(self, bucket: str, *, cost: int, limit: int, window: float) -> float:
        """See `RateBudget.take`."""
        _check(cost=cost, limit=limit, window=window)
        with self._lock:
            state = self._buckets.setdefault(bucket, _Bucket())
            return state.take(now=self._clock(), cost=cost, limit=limit, slot=window / SLOTS)

    def drain(self, bucket: str, *, seconds: float) -> None:
        with self._lock:
            state = self._buckets.setdefault(bucket, _Bucket())
            state.hold = max(state.hold, self._clock() + seconds)


class SharedRateBudget:
    """Redis where it answers, else this process alone: commands must work with no broker running.

    `share` (0 to 1) of each limit is used, and never less than one call costs. A burst may use all of the share at
    once; since no stretch of a window ever holds more, the vendor's own windows cannot either, wherever they begin.
    Without Redis, several processes together may ask more than the vendor allows; its 429 then holds each of them back.
    Raises ValueError when `url` is no Redis address.
    """

    def __init__(self, url: str, *, share: float = 1.0) -> None:
        self._share = share
        self._shared = RedisRateBudget(url)
        self._local = LocalRateBudget()
        self._breaker = Breaker()
        self._warned = False

    def take(self, bucket: str, *, cost: int, limit: int, window: float) -> float:
        """See `RateBudget.take`."""
        if cost <= limit:
            limit = max(cost, math.floor(limit * self._share))
        try:
            wait = self._breaker.ask(lambda: self._shared.take(bucket, cost=cost, limit=limit, window=window))
        except RedisAway as away:
            self._warn_once(away)
            return self._local.take(bucket, cost=cost, limit=limit, window=window)
        self._warned = False
        return wait

    def drain(self, bucket: str, *, seconds: float) -> None:
        # Here, too: Redis may go away before the hold is over.
        self._local.drain(bucket, seconds=seconds)
        try:
            self._breaker.ask(lambda: self._shared.drain(bucket, seconds=seconds))
        except RedisAway as away:
            self._warn_once(away)

    def _warn_once(self, away: RedisAway) -> None:
        if str(away) and not self._warned:
            logger.warning("Redis is %s: each process keeps its own rate budget until it is back", away)
            self._warned = True
