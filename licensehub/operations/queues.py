"""The queues of Celery: which there are, how many messages wait in each, and since when the oldest does."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import timedelta
from statistics import median
from typing import Any, Final

from celery import current_app
from django.conf import settings
from django.db.models import QuerySet
from redis import Redis
from redis.exceptions import RedisError

from integrations.models import TaskRun
from licensehub.broker.signatures import is_signed
from licensehub.database.clock import database_now
from licensehub.operations.processes.worker import ENQUEUED
from licensehub.redis_client import connect

TIMEOUT: Final = 2.0
SHOWN_FOR: Final = timedelta(minutes=15)
# So many messages at the old end are searched for one of ours: somebody else may have put one there.
SEARCHED: Final = 5
KEPT: Final = timedelta(hours=1)


class NoBroker(Exception):
    """The broker does not answer."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The messages of one queue; `oldest` is how long the oldest waits, in seconds."""

    queue: str
    count: int
    oldest: float


@dataclass(frozen=True, slots=True)
class Pace:
    """The tasks of one queue in the last 15 minutes: how many, and their medians in seconds; None without a task."""

    count: int = 0
    failed: int = 0
    waited: float | None = None
    took: float | None = None


def queue_names() -> list[str]:
    """All queues into which LicenseHub sends, also those without a worker."""
    return sorted(current_app.amqp.queues)


def waiting() -> list[Waiting]:
    """Return what waits in each queue now. Raises NoBroker."""
    try:
        with connect(settings.REDIS_URL, timeout=TIMEOUT) as client:
            return [_waiting(client, name) for name in queue_names()]
    except (RedisError, OSError) as error:
        raise NoBroker(type(error).__name__) from error


def _waiting(client: Redis, queue: str) -> Waiting:
    # kombu puts messages in at the left, and takes them out at the right.
    count: Any = client.llen(queue)
    oldest: Any = client.lrange(queue, -SEARCHED, -1) if count else []
    moments = [moment for moment in map(_enqueued_at, oldest) if moment]
    return Waiting(queue, int(count), max(0.0, time.time() - min(moments)) if moments else 0.0)


def _enqueued_at(raw: bytes) -> float | None:
    try:
        message = json.loads(raw)
        return float(message["headers"][ENQUEUED]) if is_signed(message) else None
    except (ValueError, KeyError, TypeError):
        return None


def paces() -> dict[str, Pace]:
    """The pace of each queue that had a task lately. One query."""
    rows: dict[str, list[tuple[int, int, bool]]] = {}
    recent: QuerySet[TaskRun] = TaskRun.objects.filter(ended_at__gte=database_now() - SHOWN_FOR)
    for queue, waited, took, failed in recent.values_list("queue", "waited", "took", "failed"):
        rows.setdefault(queue, []).append((waited, took, failed))
    return {
        queue: Pace(
            len(found),
            sum(failed for _, _, failed in found),
            median(waited for waited, _, _ in found) / 1000,
            median(took for _, took, _ in found) / 1000,
        )
        for queue, found in rows.items()
    }


def forget_old() -> int:
    """Remove what is older than an hour. Returns how many rows."""
    return TaskRun.objects.filter(ended_at__lt=database_now() - KEPT).delete()[0]
