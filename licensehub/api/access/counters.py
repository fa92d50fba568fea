"""Counters of one minute, and what happened in the last day: in Redis for all processes, and here while it is away."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from functools import cache
from threading import Lock
from typing import Final

from django.conf import settings

from licensehub.redis_client import Breaker, RedisAway, connect

WINDOW: Final = 60  # seconds
TIMEOUT: Final = 0.25  # seconds
KEY: Final = "licensehub:api:"
REMEMBERED: Final = 86_400  # seconds
MAX_KNOWN: Final = 10_000


class Counters:
    def __init__(self, url: str) -> None:
        self._redis = connect(url, timeout=TIMEOUT, decode_responses=True)
        self._breaker = Breaker()
        self._local: Counter[str] = Counter()
        self._minute = 0
        self._lock = Lock()
        # Name -> when it is forgotten.
        self._known: dict[str, float] = {}

    def add(self, name: str) -> int:
        """Count one more in this minute. Returns how many that makes."""
        minute = int(time.time()) // WINDOW
        key = f"{KEY}{name}:{minute}"

        def ask() -> int:
            pipe = self._redis.pipeline()
            pipe.incr(key)
            pipe.expire(key, 2 * WINDOW)
            return int(pipe.execute()[0])

        try:
            return self._breaker.ask(ask)
        except RedisAway:
            return self._add_here(key, minute)

    def number(self, name: str) -> int:
        """Return the count of this minute."""
        minute = int(time.time()) // WINDOW
        key = f"{KEY}{name}:{minute}"
        try:
            return int(self._breaker.ask(lambda: self._redis.get(key)) or 0)
        except (RedisAway, ValueError):  # also for a text that is no number, which somebody else wrote
            with self._lock:
                return self._local[key] if self._minute == minute else 0

    def remember(self, name: str) -> None:
        """Note that this happened, for a day. It asks Redis twice a day for each name and process."""
        now = time.monotonic()
        if self._known.get(name, 0.0) > now + REMEMBERED / 2:
            return
        with self._lock:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            self._known[name] = now + REMEMBERED
        with suppress(RedisAway):
            self._breaker.ask(lambda: self._redis.set(f"{KEY}{name}", 1, ex=REMEMBERED))

    def remembers(self, name: str) -> bool:
        """Whether it happened in the last day, in any process; while Redis is away, in this one."""
        if self._known.get(name, 0.0) > time.monotonic():
            return True
        try:
            return bool(self._breaker.ask(lambda: self._redis.exists(f"{KEY}{name}")))
        except RedisAway:
            return False

    def _add_here(self, key: str, minute: int) -> int:
        with self._lock:
            if self._minute != minute:
                self._local.clear()
                self._minute = minute
            self._local[key] += 1
            return self._local[key]


@cache
def counters() -> Counters:
    return Counters(settings.REDIS_URL)


def seconds_left() -> int:
    """Return the seconds until the counters begin again."""
    return WINDOW - int(time.time()) % WINDOW
