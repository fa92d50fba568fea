"""Measure many organizations at once on four workers: each uses up its limit, and no large one holds up a small one."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

import requests

from benchmarks import environment
from benchmarks.rows import Row, against, at_most

if TYPE_CHECKING:
    from integrations.models import IntegrationProfile

WORKERS = 4
PAGE = 100
# Miro's documented limit.
PER_MINUTE = 200
WINDOW = 60.0
LARGE, LARGE_COUNT = 50_000, 19
SMALL, TINY = 25_000, 1000
# The organizations of the server: those that are downloaded at once, and two of the smaller sizes that are alone.
SIZES = [*[LARGE] * LARGE_COUNT, SMALL, TINY, SMALL, TINY]
# After these windows a large organization has a part of a third one left.
FULL_WINDOWS = LARGE // PAGE // PER_MINUTE


def run() -> list[Row]:
    from django.conf import settings

    from licensehub.celery import app

    environment.prepare()
    limit = {"per_minute": PER_MINUTE}
    with environment.valkey(), environment.served(*SIZES, **limit) as url, tempfile.TemporaryDirectory() as folder:
        app.conf["broker_url"] = settings.REDIS_URL.replace("unix://", "redis+socket://")
        variables = {"MIRO_API_URL": url, "MIRO_SCIM_URL": url, "REDIS_URL": settings.REDIS_URL}
        with environment.workers(WORKERS, BENCHMARK_PEAKS=str(Path(folder) / "peaks"), **variables):
            profiles = [environment.connected(url, number) for number in range(len(SIZES))]
            [small_alone], [tiny_alone] = (_seconds([profile]) for profile in profiles[-2:])
            together = _seconds(profiles[:-2])
        counted = requests.get(f"{url}/counted", timeout=60).json()
    # The sum of what they read, as a share of the sum of their limits.
    share = fmean(WINDOW / _seconds_of_a_window(moments) for moments in counted["granted"][:LARGE_COUNT])
    floor = FULL_WINDOWS * WINDOW
    name = f"{LARGE_COUNT} organizations of {LARGE:,} at once on {WORKERS} workers"
    note = f"Miro's {PER_MINUTE} pages a minute each, {PER_MINUTE * LARGE_COUNT / WINDOW:.0f} pages a second together"
    *large, small, tiny = together
    return [
        against(f"{name}, a window", WINDOW, WINDOW / share, most=1 / 0.95, note=note),
        Row(
            f"{name}, the last candidate of the last", floor, max(large), max(large) / floor, "the cores are the limit"
        ),
        against(f"an organization of {SMALL:,} beside them, ready", small_alone, small, most=1.5),
        Row(f"an organization of {TINY:,} beside them, ready", tiny_alone, tiny, tiny / tiny_alone, "begins last"),
        at_most("avoidable 429 in it", counted["refused"], most=0, unit="answers"),
    ]


def _seconds(profiles: list[IntegrationProfile]) -> list[float]:
    """Download them at once. Returns the seconds from the start of all to the last candidate of each."""
    from subscriptions import tasks
    from subscriptions.models import DownloadRun

    began = time.perf_counter()
    for profile in profiles:
        tasks.download_due.delay(profile.pk)
    ended: dict[int, float] = {}
    while len(ended) < len(profiles):
        time.sleep(0.2)
        for run in DownloadRun.objects.filter(profile__in=profiles).exclude(profile__in=ended):
            if not run.is_under_way:
                if run.state != "complete" or run.problem:
                    raise RuntimeError(run.problem or run.state)
                ended[run.profile_id] = time.perf_counter() - began
    return [ended[profile.pk] for profile in profiles]


def _seconds_of_a_window(moments: list[float]) -> float:
    """The seconds from the last page of the first window to that of the second. One call was for the organization."""
    return moments[2 * PER_MINUTE - 2] - moments[PER_MINUTE - 2]
