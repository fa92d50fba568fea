"""The rate budget: a sliding window for the requests to a vendor, shared by all processes that use the same token.

The budget in Redis and the local one count in the same way. A window has 1,000 slots. Taken units count until their
slot, and three slots more, have left the window. So no period of `window` seconds ever holds more than `limit`,
wherever the vendor's own windows begin, and even if a request is sent a little after its units are taken. This costs
at most 0.4 % of the limit.

Taken units are kept in a list, the oldest first. A take reads only the two ends of the list.
"""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from threading import Lock
from typing import cast

from redis.exceptions import RedisError

from integrations.connectors.contract import RateBudget, TransientError, english
from integrations.connectors.request import Rate
from licensehub import stopping
from licensehub.redis_client import Breaker, RedisAway, connect

logger = logging.getLogger(__name__)

SLOTS = 1000
# Slots that a taken unit counts: those of the window; its own, since it may be taken at the end of that; and three
# more, since its request may be sent that much later.
COUNTED = SLOTS + 4
REDIS_TIMEOUT = 1.0  # seconds
# Limits of a hold in seconds: a wrong header must not stop everything for a day.
MAX_HOLD = 3600.0
MIN_HOLD = 1.0
KEY_PREFIX = "licensehub:rate:"

# KEYS[1]: list of "slot:units:total", the oldest first; `total` is the sum of all units ever taken, including these.
# KEYS[2] exists while the bucket is held. KEYS[3]: "limit:window in ms" of the last take, for `rate_used`.
# ARGV: cost, limit, window in ms. Returns ms to wait.
# The clock of the Redis server decides, since the clocks of the workers differ.
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
  redis.call('SET', KEYS[3], ARGV[2] .. ':' .. ARGV[3], 'PX', math.ceil(slot * {COUNTED} * 2))
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

# KEYS[1]: exists while the bucket is held. ARGV: ms to hold. A shorter hold never replaces a longer one.
_DRAIN = """
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], 1, 'PX', ARGV[1]) end
return 0
"""


def _check(*, cost: int, limit: int, window: float) -> None:
    """Raises ValueError for a call that would wait forever."""
    if not 0 < cost <= limit or window <= 0:
        raise ValueError(f"A cost of {cost} out of {limit} per {window} s can never be taken")


class RedisRateBudget:
    """Counts in Redis or Valkey, for all processes on all hosts. Raises RedisError when the server is not reachable."""

    def __init__(self, url: str) -> None:
        self._redis = connect(url, timeout=REDIS_TIMEOUT)
        self._take = self._redis.register_script(_TAKE)
        self._drain = self._redis.register_script(_DRAIN)

    def take(self, bucket: str, *, cost: int, limit: int, window: float) -> float:
        """See `RateBudget.take`; `window` and the answer are in seconds."""
        _check(cost=cost, limit=limit, window=window)
        keys = [_taken_key(bucket), _hold_key(bucket), f"{_taken_key(bucket)}:limit"]
        wait = self._take(keys=keys, args=[cost, limit, math.ceil(window * 1000)])
        return cast("int", wait) / 1000

    def drain(self, bucket: str, *, seconds: float) -> None:
        if seconds > 0:
            self._drain(keys=[_hold_key(bucket)], args=[math.ceil(seconds * 1000)])

    def forget(self, bucket: str) -> None:
        self._redis.delete(_taken_key(bucket), _hold_key(bucket))


def _taken_key(bucket: str) -> str:
    """The braces keep all keys of a bucket on the same node of a cluster."""
    return f"{KEY_PREFIX}{{{bucket}}}"


def _hold_key(bucket: str) -> str:
    return f"{_taken_key(bucket)}:hold"


def rate_used(url: str) -> list[tuple[str, int, int]]:
    """Bucket, units taken in its window, and its limit, for each bucket that was used lately. Raises RedisAway."""
    end = ":limit"
    try:
        with connect(url, timeout=REDIS_TIMEOUT, decode_responses=True) as client:
            names = sorted(client.scan_iter(match=f"{KEY_PREFIX}*{end}"))
            seconds, micros = cast("tuple[int, int]", client.time())
            now = seconds * 1000 + micros // 1000
            found = []
            for name in names:
                limit, _, window = str(client.get(name) or "").partition(":")
                taken = cast("list[str]", client.lrange(name.removesuffix(end), 0, -1))
                if limit and window:
                    current = math.floor(now / (int(window) / SLOTS))
                    counts = (entry.split(":") for entry in taken)
                    used = sum(int(units) for slot, units, _ in counts if int(slot) + COUNTED > current)
                    found.append((name.removeprefix(KEY_PREFIX).removesuffix(end).strip("{}"), used, int(limit)))
            return found
    except (RedisError, OSError) as error:
        raise RedisAway(f"not reachable ({type(error).__name__})") from error
    except ValueError as error:
        raise RedisAway("not readable: it has numbers that are not LicenseHub's") from error


@dataclass(slots=True)
class _Bucket:
    """`taken`: (slot number, units), the oldest first; `used`: their sum; `hold`: no take before this moment."""

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
        number, units = self.taken.pop() if self.taken and self.taken[-1][0] >= current else (current, 0)
        self.taken.append((number, units + cost))
        self.used += cost
        return 0.0

    def _free_at(self, *, cost: int, limit: int, slot: float) -> float:
        """The moment when enough slots have left the window."""
        used = self.used
        for number, units in self.taken:
            used -= units
            if used + cost <= limit:
                return (number + COUNTED) * slot
        raise AssertionError("an empty bucket has room for every cost that _check allows")


class LocalRateBudget:
    """Counts in this process only. Safe between threads."""

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
    """Counts in Redis while it answers, else in this process only: commands must work without a broker.

    `share` (0 to 1) of each limit is used, but at least the cost of one call. Without Redis, several processes together
    may send more than the vendor allows; its 429 then holds each of them back. The same holds for a wait that
    LicenseHub never wrote: somebody who can write to Redis must not stop all sends. Raises ValueError when `url` is not
    a Redis address.
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
        if wait <= max(MAX_HOLD, 2 * window):
            return wait
        logger.error("Redis holds calls for %.0f s, which LicenseHub never does, so its numbers are removed", wait)
        with suppress(RedisAway):
            self._breaker.ask(lambda: self._shared.forget(bucket))
        return self._local.take(bucket, cost=cost, limit=limit, window=window)

    def drain(self, bucket: str, *, seconds: float) -> None:
        # Locally as well: Redis may become unreachable before the hold ends.
        self._local.drain(bucket, seconds=seconds)
        try:
            self._breaker.ask(lambda: self._shared.drain(bucket, seconds=seconds))
        except RedisAway as away:
            self._warn_once(away)

    def _warn_once(self, away: RedisAway) -> None:
        if str(away) and not self._warned:
            logger.warning("Redis is %s: each process keeps its own rate budget until it is back", away)
            self._warned = True


class RateLimiter:
    """Waits for the rate budget before each request of one session, and obeys the vendor's answers.

    No call waits longer than `longest_wait` seconds.
    """

    def __init__(self, budget: RateBudget, *, vendor: str, longest_wait: float = math.inf) -> None:
        self._budget = budget
        self._vendor = vendor
        self._longest_wait = longest_wait
        self._reserved: set[str] = set()

    def wait(self, rate: Rate, *, ends_at: float) -> None:
        """Take the units of one call, unless they are reserved.

        Raises TransientError if that takes longer than `longest_wait`, or lasts past `ends_at`.
        """
        if rate.bucket in self._reserved:
            self._reserved.discard(rate.bucket)
            return
        ends_at = min(ends_at, time.monotonic() + self._longest_wait)
        while (seconds := self._budget.take(rate.bucket, cost=rate.cost, limit=rate.limit, window=rate.window)) > 0:
            if time.monotonic() + seconds >= ends_at or not stopping.sleep(seconds):
                raise TransientError(
                    english("{vendor}'s rate limit is used up for the next {seconds:.0f} seconds.").format(
                        vendor=self._vendor, seconds=seconds
                    ),
                    retry_after=seconds,
                    code="rate_limited",
                )

    def reserve(self, rate: Rate, *, ends_at: float) -> None:
        """Take the units of the next call in this bucket now. Raises as `wait`."""
        if rate.bucket not in self._reserved:
            self.wait(rate, ends_at=ends_at)
            self._reserved.add(rate.bucket)

    def hold(self, rate: Rate, *, status: int, headers: Mapping[str, str]) -> float:
        """Hold the bucket for all processes if this answer says that nothing is left. The seconds, or 0.0."""
        seconds = hold_seconds(status=status, headers=headers, window=rate.window)
        if seconds > 0:
            self._reserved.discard(rate.bucket)
            self._budget.drain(rate.bucket, seconds=seconds)
        return seconds


def hold_seconds(*, status: int, headers: Mapping[str, str], window: float) -> float:
    """Return how long to send nothing more after this answer; 0.0 for no wait. Unreadable headers are ignored.

    X-RateLimit-Remaining and X-RateLimit-Reset (UNIX seconds) are widespread headers without an RFC. A 429 means that
    nothing is left. `window` is the wait when no header gives one.
    """
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        seconds = retry_after(headers)
        return seconds if seconds is not None else _until_reset(headers, default=window)
    remaining = _number(headers.get("X-RateLimit-Remaining", ""))
    return _until_reset(headers, default=window) if remaining is not None and remaining <= 0 else 0.0


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds from `Retry-After`, which is a number or a date (RFC 9110, section 10.2.3)."""
    text = headers.get("Retry-After", "")
    seconds = _number(text)
    if seconds is None and (moment := _date(text)) is not None:
        seconds = moment - _now(headers)
    return None if seconds is None else _limited(seconds)


def _until_reset(headers: Mapping[str, str], *, default: float) -> float:
    reset = _number(headers.get("X-RateLimit-Reset", ""))
    return default if reset is None else _limited(reset - _now(headers))


def _now(headers: Mapping[str, str]) -> float:
    """The vendor's clock if the answer has its date: it may differ from ours."""
    date = _date(headers.get("Date", ""))
    return time.time() if date is None else date


def _limited(seconds: float) -> float:
    return min(max(seconds, MIN_HOLD), MAX_HOLD)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _date(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
