"""The scheduler of django-celery-beat, with a heartbeat of its own."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any, Final

from celery.utils.nodenames import anon_nodename
from django.db import DatabaseError, InterfaceError, OperationalError, close_old_connections
from django_celery_beat.schedulers import DatabaseScheduler, ModelEntry

from integrations.installation import processes
from integrations.models import ProcessKind
from licensehub.checks.start import CannotStartError, Process, refuse_wrong_settings

TRY_AGAIN_SECONDS: Final = 5.0

log = logging.getLogger(__name__)


class Entry(ModelEntry):  # type: ignore[misc]  # it has no types
    """Writes when a task ran last, and no other column: beat may not change what a task does (`database.roles`)."""

    def save(self) -> None:
        row = type(self.model)._default_manager.filter(pk=self.model.pk)
        row.update(last_run_at=self.model.last_run_at, total_run_count=self.model.total_run_count)


class Scheduler(DatabaseScheduler):  # type: ignore[misc]  # it has no types
    """A heartbeat says that this process lives. That its messages arrive is noted by the workers that get them."""

    Entry = Entry

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        try:
            refuse_wrong_settings(Process.BEAT)
        except CannotStartError as problem:
            sys.exit(str(problem))
        super().__init__(*args, **kwargs)
        # The name that its messages carry as their origin.
        self._name = anon_nodename()
        self._next = 0.0

    def tick(self, *args: Any, **kwargs: Any) -> Any:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + processes.EVERY_SECONDS
            try:
                processes.beat(ProcessKind.BEAT, self._name)
            except (DatabaseError, OSError) as error:
                log.warning("The heartbeat could not be written: %s", error)
        try:
            return super().tick(*args, **kwargs)
        except (OperationalError, InterfaceError) as error:
            # Celery would end the process. What is due meanwhile is sent when the database is back.
            log.warning("The database cannot be used, so the schedules are read again soon: %s", error)
            close_old_connections()
            return TRY_AGAIN_SECONDS

    def close(self) -> None:
        super().close()
        try:
            processes.ended(ProcessKind.BEAT, self._name)
        except DatabaseError:
            log.info("The heartbeat could not be removed.", exc_info=True)
