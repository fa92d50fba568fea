"""Measure a download at Miro's documented limit, and one at a real latency, against the time that is only waiting."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import requests

from benchmarks import environment, limit
from benchmarks.rows import Row, against, at_most

if TYPE_CHECKING:
    from integrations.models import IntegrationProfile

PER_MINUTE = 200
WINDOW = 60.0
# One call reads the organization, and costs as much as a page. With 599 pages it fills three windows.
MEMBERS = 59_900
NEAR = 10_000
LATENCY = 50.0
PAGE = 100
TIMES = 3


def run() -> list[Row]:
    environment.prepare()
    with environment.valkey():
        with environment.served(PAGE) as url:
            profile = environment.connected(url)
        return [*_at_the_limit(profile), *_at_a_latency(profile), *_takes()]


def _at_the_limit(profile: IntegrationProfile) -> list[Row]:
    """The limit: wait for full windows, and then read the last pages as fast as they come."""
    with environment.served(PER_MINUTE * PAGE) as url:
        burst, _ = environment.timed(lambda: limit.bare(url))
    windows = -(-(MEMBERS // PAGE + 1) // PER_MINUTE)
    floor = (windows - 1) * WINDOW + burst
    with environment.served(MEMBERS, per_minute=PER_MINUTE) as url:
        environment.at(url)
        ours, _ = environment.timed(lambda: environment.download(profile))
        refused = requests.get(f"{url}/counted", timeout=60).json()["refused"]
    name = f"{MEMBERS:,} members at {PER_MINUTE * PAGE:,} a minute"
    return [
        against(name, floor, ours, most=1.02, note=f"{windows} windows, share 100 %"),
        at_most("avoidable 429 in it", refused, most=0, unit="answers"),
    ]


def _at_a_latency(profile: IntegrationProfile) -> list[Row]:
    environment.without_rate_limit()
    floor = NEAR / PAGE * LATENCY / 1000
    with environment.served(NEAR, latency=LATENCY) as url:
        environment.at(url)
        first = min(_again(profile) for _ in range(TIMES))
        after = min(_after_churn(profile, url, generation) for generation in range(2, 2 + TIMES))
        alone = min(environment.timed(lambda: deque(limit.pages(url), maxlen=0))[0] for _ in range(TIMES))
    name, note = f"{NEAR:,} members at {LATENCY:.0f} ms", f"best of {TIMES}"
    return [
        against(f"{name}, first", floor, first, most=1.10, note=note),
        against(f"{name}, after 5 % churn", floor, after, most=1.10, note=note),
        Row(f"peer: a bare loop of requests at {LATENCY:.0f} ms", floor, alone, alone / floor, "stores nothing"),
    ]


def _again(profile: IntegrationProfile) -> float:
    environment.execute("TRUNCATE subscriptions_subscription, subscriptions_activitysnapshot CASCADE")
    return environment.timed(lambda: environment.download(profile))[0]


def _after_churn(profile: IntegrationProfile, url: str, generation: int) -> float:
    environment.turn(url, generation)
    return environment.timed(lambda: environment.download(profile))[0]


def _takes() -> list[Row]:
    """The time that one take of the rate budget costs the worker and, as a part of it, the server."""
    from django.conf import settings

    from integrations.connectors.rate_limit import RedisRateBudget

    budget = RedisRateBudget(settings.REDIS_URL)
    budget._redis.config_resetstat()
    took = sorted(
        environment.timed(lambda: budget.take("benchmark", cost=500, limit=10**9, window=60))[0] for _ in range(2000)
    )
    server = budget._redis.info("commandstats")["cmdstat_evalsha"]["usec_per_call"] / 1000
    note = f"in the server {server:.3f} ms"
    return [at_most("one take of the rate budget, median", took[1000] * 1000, most=0.2, note=note, unit="ms")]
