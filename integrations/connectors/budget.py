"""The rate budget: how much may still be asked of a vendor, shared by everybody who uses the same token.

Both budgets count alike. A window is cut into ten slots; what was taken counts until its whole slot has left the
window. So no stretch of `window` seconds ever holds more than `limit`, however the vendor's own windows lie.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import cast

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

logger = logging.getLogger(__name__)

SLOTS = 10
REDIS_TIMEOUT = 1.0  # seconds
REDIS_PAUSE = 30.0  # seconds without asking a Redis that was away
KEY_PREFIX = "licensehub:rate:"

# KEYS[1]: hash of slot number -> units taken, and "hold" -> ms. ARGV: cost, limit, window in ms. Answers ms to wait.
# The server's clock decides, since the workers' clocks differ.
_TAKE = f"""
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local cost, limit, slot = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]) / {SLOTS}
local hold = tonumber(redis.call('HGET', KEYS[1], 'hold') or '0')
if hold > now then return math.ceil(hold - now) end
local current = math.floor(now / slot)
local used, taken = 0, {{}}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local number = tonumber(all[i])
  if number and number >= current - {SLOTS} then
    used = used + tonumber(all[i + 1])
    taken[#taken + 1] = {{number, tonumber(all[i + 1])}}
  else
    redis.call('HDEL', KEYS[1], all[i])
  end
end
if used + cost <= limit then
  redis.call('HINCRBY', KEYS[1], string.format('%d', current), cost)
  redis.call('PEXPIRE', KEYS[1], math.ceil(slot * {SLOTS} * 2))
  return 0
end
table.sort(taken, function(a, b) return a[1] < b[1] end)
local free_at = now
for _, entry in ipairs(taken) do
  used = used - entry[2]
  free_at = (entry[1] + {SLOTS} + 1) * slot
  if used + cost <= limit then break end
end
return math.max(1, math.ceil(free_at - now))
"""

# KEYS[1] as above. ARGV: ms to hold everybody back. A shorter hold never replaces a longer one.
_DRAIN = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local wanted = now + tonumber(ARGV[1])
local hold = math.max(wanted, tonumber(redis.call('HGET', KEYS[1], 'hold') or '0'))
redis.call('HSET', KEYS[1], 'hold', string.format('%d', hold))
local needed = math.ceil(hold - now) + 1000
if redis.call('PTTL', KEYS[1]) < needed then redis.call('PEXPIRE', KEYS[1], needed) end
return 0
"""


def _check(*, cost: int, limit: int, window: float) -> None:
    """Such a call could never be made, or would wait for ever."""
    if not 0 < cost <= limit or window <= 0:
        raise ValueError(f"A cost of {cost} out of {limit} per {window} s can never be taken")


class RedisRateBudget:
    """Counts in Redis or Valkey, for all processes on all hosts. Raises RedisError when it is not reachable."""

    def __init__(self, url: str) -> None:
        self._redis = Redis.from_url(
            url,
            socket_connect_timeout=REDIS_TIMEOUT,
            socket_timeout=REDIS_TIMEOUT,
            retry=Retry(NoBackoff(), 0),
        )
        self._take = self._redis.register_script(_TAKE)
        self._drain = self._redis.register_script(_DRAIN)

    def take(self, bucket: str, *, cost: int, limit: int, window: float) -> float:
        """See `RateBudget.take`; `window` and the answer are in seconds."""
        _check(cost=cost, limit=limit, window=window)
        wait = self._take(keys=[KEY_PREFIX + bucket], args=[cost, limit, math.ceil(window * 1000)])
        return cast("int", wait) / 1000

    def drain(self, bucket: str, *, seconds: float) -> None:
        self._drain(keys=[KEY_PREFIX + bucket], args=[math.ceil(seconds * 1000)])


@dataclass(slots=True)
class _Bucket:
    """Slot number -> units taken, and the moment until which the bucket is held."""

    taken: dict[int, int] = field(default_factory=dict)
    hold: float = 0.0

    def take(self, *, now: float, cost: int, limit: int, slot: float) -> float:
        if self.hold > now:
            return self.hold - now
        current = math.floor(now / slot)
        self.taken = {number: units for number, units in self.taken.items() if number >= current - SLOTS}
        if sum(self.taken.values()) + cost > limit:
            return self._free_at(cost=cost, limit=limit, slot=slot) - now
        self.taken[current] = self.taken.get(current, 0) + cost
        return 0.0

    def _free_at(self, *, cost: int, limit: int, slot: float) -> float:
        """When enough slots have left the window. The oldest leave first."""
        used = sum(self.taken.values())
        for number in sorted(self.taken):
            used -= self.taken[number]
            if used + cost <= limit:
                return (number + SLOTS + 1) * slot
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
        self._away_until = -math.inf
        self._warned = False

    def take(self, bucket: str, *, cost: int, limit: int, window: float) -> float:
        """See `RateBudget.take`."""
        if cost <= limit:
            limit = max(cost, math.floor(limit * self._share))
        if self._is_away():
            return self._local.take(bucket, cost=cost, limit=limit, window=window)
        try:
            wait = self._shared.take(bucket, cost=cost, limit=limit, window=window)
        except RedisError as error:
            self._note_away(error)
            return self._local.take(bucket, cost=cost, limit=limit, window=window)
        self._warned = False
        return wait

    def drain(self, bucket: str, *, seconds: float) -> None:
        # Here, too: Redis may go away before the hold is over.
        self._local.drain(bucket, seconds=seconds)
        if self._is_away():
            return
        try:
            self._shared.drain(bucket, seconds=seconds)
        except RedisError as error:
            self._note_away(error)

    def _is_away(self) -> bool:
        return time.monotonic() < self._away_until

    def _note_away(self, error: RedisError) -> None:
        self._away_until = time.monotonic() + REDIS_PAUSE
        if not self._warned:
            # The kind of error only: its text may hold the address with its password.
            logger.warning(
                "Redis is not reachable (%s): each process keeps its own rate budget until it is back",
                type(error).__name__,
            )
        self._warned = True
