"""A client for a Redis or Valkey that may be away: it waits once, and then does not ask for a while."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TypeVar

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

T = TypeVar("T")

PAUSE = 30.0  # seconds without asking a Redis that was away


class RedisAway(Exception):
    """Redis did not answer. The text is for the log; it is empty while Redis is not asked."""


def connect(url: str, *, timeout: float, decode_responses: bool = False) -> Redis:
    """A client that tries once and waits `timeout` seconds at most. Raises ValueError when `url` is no address."""
    return Redis.from_url(
        url,
        socket_connect_timeout=timeout,
        socket_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
        decode_responses=decode_responses,
    )


class Breaker:
    """Stops asking for `PAUSE` seconds after a Redis did not answer."""

    def __init__(self) -> None:
        self._away_until = -math.inf

    def ask(self, call: Callable[[], T]) -> T:
        """The answer of `call`. Raises RedisAway, during the pause without a call."""
        if time.monotonic() < self._away_until:
            raise RedisAway("")
        try:
            return call()
        except RedisError as error:
            self._away_until = time.monotonic() + PAUSE
            # The kind of error only: its text may hold the address with its password.
            raise RedisAway(f"not reachable ({type(error).__name__})") from error
