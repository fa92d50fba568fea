"""Measure a whole download in a real Celery worker, from its task to the last candidate, against the vendor's pace."""

from __future__ import annotations

import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import environment
from benchmarks.rows import Row, against, at_most

if TYPE_CHECKING:
    from subscriptions.models import DownloadRun

PAGE = 100
# The rate that the limit of 100,000 credits a minute allows at the default share of 80 percent.
PER_MINUTE = 160
WINDOW = 60.0
MEMBERS = 100_000
MILLION = 1_000_000
# A million members take 63 windows. With a faster clock these are one and a half minutes.
SCALE = 40.0
# Twenty parts and more, as with the real clock.
PART_SECONDS = 4.0


def run() -> list[Row]:
    """100,000 members at the default share, as a customer has them."""
    found, _ = _measured(MEMBERS)
    floor = _floor(MEMBERS)
    note = f"{found.parts} parts, {found.requests:,} requests; share 80 %"
    whole = (_end_of(found, "candidates") - found.started_at).total_seconds()
    verdicts = (_end_of(found, "verdicts") - found.started_at).total_seconds()
    return [
        against(f"{MEMBERS:,} members in a worker, to the last candidate", floor, whole, most=1.03, note=note),
        Row("of that, to the last verdict", floor, verdicts, verdicts / floor),
    ]


def _end_of(run: DownloadRun, step: str) -> datetime:
    return datetime.fromisoformat(run.steps[step]["until"])


def million() -> list[Row]:
    """A million members with a clock that runs faster: many parts without a gap, and flat memory."""
    found, peaks = _measured(MILLION, BENCHMARK_SCALE=str(SCALE), BENCHMARK_PART=str(PART_SECONDS))
    floor = _floor(MILLION) / SCALE
    read = found.duration.total_seconds()
    note = f"{found.parts} parts; clock {SCALE:.0f} times as fast"
    return [
        against(f"{MILLION:,} members in a worker, all pages", floor, read, most=1.05, note=note),
        at_most("memory of the worker, growth over its parts", peaks[-1] - peaks[0], most=20, unit="MB"),
    ]


def _floor(members: int) -> float:
    """The seconds of the full windows, with the one call of each run for the organization."""
    windows = -(-(members // PAGE + 1) // PER_MINUTE)
    return (windows - 1) * WINDOW


def _measured(members: int, **variables: str) -> tuple[DownloadRun, list[float]]:
    """Download in a worker. Returns the run, and the worker's largest resident set after each task, in MB."""
    from django.conf import settings

    from licensehub.celery import app
    from subscriptions import tasks
    from subscriptions.models import DownloadRun

    environment.prepare()
    with environment.valkey(), environment.served(members) as url, tempfile.TemporaryDirectory() as folder:
        profile = environment.connected(url)
        peaks = Path(folder) / "peaks"
        app.conf["broker_url"] = settings.REDIS_URL.replace("unix://", "redis+socket://")
        addresses = {"MIRO_API_URL": url, "MIRO_SCIM_URL": url, "REDIS_URL": settings.REDIS_URL}
        with environment.workers(1, RATE_SHARE="80", BENCHMARK_PEAKS=str(peaks), **addresses, **variables):
            tasks.download_due.delay(profile.pk)
            while not (found := DownloadRun.objects.first()) or found.is_under_way:
                time.sleep(0.2)
        if found.state != "complete" or found.problem:
            raise RuntimeError(found.problem or found.state)
        return found, [float(line) for line in peaks.read_text().split()]
