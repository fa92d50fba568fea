"""Download 100,000 members without latency, into an empty database, and again after 5 % were active."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks import environment, limit, peers
from benchmarks.rows import Row, against

MEMBERS = 100_000
TIMES = 3
MAX_RATIO = 1.5
EMPTY = (
    "TRUNCATE subscriptions_subscription, subscriptions_evaluation, subscriptions_activitysnapshot, "
    "subscriptions_downloadrun, subscriptions_downloadedmember CASCADE"
)
Times = dict[str, list[tuple[float, float]]]


def run(members: int = MEMBERS) -> list[Row]:
    """The best of several rounds. Each round measures the limit and ours, since the machine may be busy in any."""
    environment.prepare()
    environment.without_rate_limit()
    with environment.valkey(), environment.served(members) as url:
        times = _measure(url, members)
        return [*_rows(times, members), *_peers(url, _best(times["limit"], 0))]


def _measure(url: str, members: int) -> Times:
    profile = environment.connected(url)
    times: Times = {name: [] for name in ("bare", "limit", "first", "limit again", "again")}

    def take(name: str, act: Callable[[], object]) -> None:
        times[name].append(environment.timed(act))

    for number in range(TIMES):
        environment.turn(url, 1)
        environment.execute(EMPTY)
        take("bare", lambda: limit.bare(url))
        take("limit", lambda: limit.limit(url))
        take("first", lambda: _expect(environment.download(profile).new, members))
        environment.turn(url, 2 + number)
        environment.execute("VACUUM ANALYZE subscriptions_subscription")
        take("limit again", lambda: limit.limit(url))
        take("again", lambda: environment.download(profile))
    return times


def _expect(found: int, wanted: int) -> None:
    if found != wanted:
        raise RuntimeError(f"{found:,} members were written, not {wanted:,}.")


def _best(times: list[tuple[float, float]], which: int) -> float:
    return min(pair[which] for pair in times)


def _rows(times: Times, members: int) -> list[Row]:
    rows = []
    for ours, floor, words in (("first", "limit", "first"), ("again", "limit again", "after 5 % churn")):
        for which, kind in ((0, "wall"), (1, "client CPU")):
            name = f"download of {members:,}, {words}, {kind}"
            rows.append(against(name, _best(times[floor], which), _best(times[ours], which), most=MAX_RATIO))
    bare, floor_wall = _best(times["bare"], 0), _best(times["limit"], 0)
    rows.append(against("bare fetch of the pages, to L", floor_wall, bare, most=0.1, note="the server costs nothing"))
    return rows


def _peers(url: str, floor: float) -> list[Row]:
    environment.turn(url, 1)
    found = []
    for name, act in (("django bulk_create", peers.bulk_create), ("dlt merge", peers.dlt)):
        seconds, note = act(url)
        found.append(Row(f"peer: {name}", floor, seconds, seconds / floor, note))
    return found
