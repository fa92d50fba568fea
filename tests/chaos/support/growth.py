"""Samples of a long run, and whether anything in them grows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import redis
from django.db import connection

from subscriptions.models import Reclaim


@dataclass(frozen=True)
class Sample:
    """`worker_mb` is the largest resident set of a worker, `connections` are those to the database."""

    worker_mb: float
    broker_mb: float
    connections: float
    clients: float
    waiting: float
    open_items: float

    @classmethod
    def take(cls, workers: Sequence[int], broker: redis.Redis, waiting: int) -> Sample:
        info: Any = broker.info()
        return cls(
            worker_mb=max(map(_resident, workers), default=0.0),
            broker_mb=info["used_memory"] / 2**20,
            connections=float(_connections()),
            clients=float(info["connected_clients"]),
            waiting=float(waiting),
            open_items=float(Reclaim.objects.filter(finished_at=None).count()),
        )


# How much the middle of the last quarter may be above that of the second one.
ALLOWED = Sample(worker_mb=15.0, broker_mb=3.0, connections=3.0, clients=6.0, waiting=10.0, open_items=30.0)


def growth(samples: Sequence[Sample]) -> dict[str, float]:
    """Name -> the median of the last quarter less that of the second quarter, when everything has warmed up."""
    quarter = len(samples) // 4
    early, late = samples[quarter : 2 * quarter], samples[-quarter:]
    return {
        name: round(median(asdict(one)[name] for one in late) - median(asdict(one)[name] for one in early), 1)
        for name in asdict(ALLOWED)
    }


def grown(samples: Sequence[Sample]) -> list[str]:
    """A sentence for each thing that grows."""
    limits = asdict(ALLOWED)
    return [f"{name} grew by {by}" for name, by in growth(samples).items() if by > limits[name]]


def _resident(pid: int) -> float:
    """In MB; 0 for a process that was killed in this moment."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    return int((status.partition("VmRSS:")[2].split() or ["0"])[0]) / 1024


def _connections() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
        return int(cursor.fetchone()[0])
