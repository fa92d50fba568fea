"""A whole download of 100,000 members without a rate limit: from the first request to the last candidate.

The first download fills an empty database. Before the second one, 5 % were active again. The limit is that of the row
`download`, which reads only the members. So names and teams are left out: they have requests of their own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING
from unittest import mock

from benchmarks import environment, limit
from benchmarks.rows import Row, against
from benchmarks.rows.download import EMPTY

if TYPE_CHECKING:
    from integrations.models import IntegrationProfile

MEMBERS = 100_000
TIMES = 3
FIRST, AGAIN = 3.5, 2.2
REST = "TRUNCATE subscriptions_removalcandidate, subscriptions_searchtext, subscriptions_bucket CASCADE"


def run(members: int = MEMBERS) -> list[Row]:
    """The best of several rounds. Each round measures the limit and our time, since the machine may be busy then."""
    environment.prepare()
    environment.without_rate_limit()
    with environment.valkey(), environment.served(members) as url:
        profile = environment.connected(url)
        rounds = [_round(url, profile, number) for number in range(TIMES)]
    first, again = (min(one[which] for one in rounds) for which in (0, 1))
    words = f"{members:,} members to the last candidate"
    return [
        against(f"{words}, first", first[1], first[2], most=FIRST, note=f"with what follows {first[3]:.2f} s"),
        against(
            f"{words}, after 5 % churn", again[1], again[2], most=AGAIN, note=f"with what follows {again[3]:.2f} s"
        ),
    ]


# Ratio, limit, to the last candidate, to the end of all steps.
Measured = tuple[float, float, float, float]


def _round(url: str, profile: IntegrationProfile, number: int) -> tuple[Measured, Measured]:
    environment.turn(url, 1)
    environment.execute(EMPTY, REST)
    first = _measured(url, profile)
    environment.turn(url, 2 + number)
    environment.execute("VACUUM ANALYZE subscriptions_subscription")
    return first, _measured(url, profile)


def _measured(url: str, profile: IntegrationProfile) -> Measured:
    floor, _ = environment.timed(lambda: limit.limit(url))
    candidates_at: list[float] = []
    started = time.perf_counter()
    whole, _ = environment.timed(lambda: _whole(profile, lambda: candidates_at.append(time.perf_counter())))
    ours = candidates_at[-1] - started
    return ours / floor, floor, ours, whole


def _whole(profile: IntegrationProfile, proposed: Callable[[], None]) -> None:
    """A whole run with all steps after it. Calls `proposed` when all candidates are known."""
    from subscriptions.candidates.propose import propose_candidates
    from subscriptions.downloads import follow_up, follow_up_steps
    from subscriptions.downloads.run import download_subscriptions
    from subscriptions.models import DownloadRun
    from subscriptions.models.download import FollowUp, StartedBy

    for step in (FollowUp.NAMES, FollowUp.TEAM_ADMINS):
        follow_up.STEP_FUNCTIONS[step] = follow_up_steps.finish_step

    def noted(run: DownloadRun, *, before_batch: Callable[[], None]) -> int:
        count = propose_candidates(run, before_batch=before_batch)
        proposed()
        return count

    with mock.patch.object(follow_up_steps, "propose_candidates", noted):
        run = download_subscriptions(profile, actor=None, started_by=StartedBy.COMMAND)
    if run.state != "complete":
        raise RuntimeError(run.problem)
