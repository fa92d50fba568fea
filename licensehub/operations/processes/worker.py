"""In each worker: a heartbeat, and a row for each task that has ended.

Celery imports this before Django is set up, so the models are imported in the functions.
"""

from __future__ import annotations

import logging
import shutil
import time
from datetime import UTC, datetime
from typing import Any, Final

from celery import bootsteps
from celery.signals import before_task_publish, task_postrun, task_prerun
from django.db import DatabaseError, connections

from licensehub.logs import log_context
from licensehub.operations.telemetry import traces

log = logging.getLogger(__name__)

# A header of each message, signed with the rest of it: when it was enqueued, in seconds since 1970.
ENQUEUED: Final = "enqueued_at"
# Another one: the id of the request that enqueued it.
CONTEXT: Final = "log_context"
MAX_MILLISECONDS: Final = 2**31 - 1


class HeartbeatStep(bootsteps.StartStopStep):
    """Writes the heartbeat from the main process of a worker, between two messages.

    The processes of the pool are forked from it and must not inherit a connection, so it is closed each time.
    """

    requires = ("celery.worker.components:Timer",)

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        super().__init__(parent, **kwargs)
        self._timer: Any = None

    def start(self, parent: Any) -> None:
        from integrations.installation import processes
        from integrations.models import ProcessKind

        _try(lambda: processes.started(ProcessKind.WORKER, parent.hostname))
        self._beat(parent)
        self._timer = parent.timer.call_repeatedly(processes.EVERY_SECONDS, self._beat, (parent,))

    def stop(self, parent: Any) -> None:
        from integrations.installation import processes
        from integrations.models import ProcessKind

        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            _try(lambda: processes.ended(ProcessKind.WORKER, parent.hostname))

    terminate = stop

    def _beat(self, parent: Any) -> None:
        from django.conf import settings

        from integrations.installation import processes
        from integrations.models import ProcessKind

        def write() -> None:
            disk = shutil.disk_usage(settings.VAR_DIR)
            processes.beat(
                ProcessKind.WORKER,
                parent.hostname,
                queues=list(parent.app.amqp.queues.consume_from),
                processes=parent.concurrency,
                disk_free=disk.free,
                disk_total=disk.total,
            )

        _try(write)


def _try(write: Any) -> None:
    try:
        write()
    except (DatabaseError, OSError):
        log.warning("The heartbeat could not be written.", exc_info=True)
    finally:
        connections.close_all()


@before_task_publish.connect
def stamp(headers: dict[str, Any] | None = None, **_: Any) -> None:
    """Note when a message was enqueued, and for which request. One that is delivered again keeps its first moment."""
    if headers is not None:
        headers.setdefault(ENQUEUED, time.time())
        headers.setdefault(CONTEXT, {**log_context.to_carry(), **traces.to_carry()})


@task_prerun.connect
def begin(task: Any = None, task_id: str = "", args: Any = (), **_: Any) -> None:
    """Note when it began, and let each log line of the task carry its ids."""
    if task is None or task.request.is_eager or task.request.called_directly:
        return
    task.request.began = time.time()
    code = task.run.__code__
    names = code.co_varnames[: code.co_argcount]
    ids = {name: value for name, value in zip(names, args or (), strict=False) if isinstance(value, int)}
    carried = task.request.get(CONTEXT)
    log_context.begin_task(task.name, task_id, carried, ids)
    task.request.span = traces.span(task.name, carried if isinstance(carried, dict) else None)
    task.request.facts = task.request.span.__enter__()


@task_postrun.connect
def end(task: Any = None, state: str = "", **_: Any) -> None:
    """One row for each task, except for those that a command or a test runs by itself."""
    began = getattr(task.request, "began", None) if task is not None else None
    if began is None:
        return
    task.request.facts["state"] = state
    task.request.span.__exit__(None, None, None)
    log_context.end()
    from integrations.models import TaskRun

    enqueued = getattr(task.request, ENQUEUED, None) or began
    queue = (task.request.delivery_info or {}).get("routing_key") or ""
    try:
        TaskRun.objects.create(
            queue=queue[:40],
            task=task.name[:120],
            waited=_milliseconds(began - enqueued),
            took=_milliseconds(time.time() - began),
            failed=state == "FAILURE",
        )
    except DatabaseError:
        log.warning("The time of a task could not be noted.", exc_info=True)


def moment_of(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _milliseconds(seconds: float) -> int:
    return max(0, min(MAX_MILLISECONDS, round(seconds * 1000)))
