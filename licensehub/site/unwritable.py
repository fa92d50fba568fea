"""A database that takes no changes: how LicenseHub knows it, how it notices it early, and what a page says.

The disk of the database is full, it is a standby, or it does not answer. Then nothing can be decided and nothing is
sent, since each act is written down first. A page says so, in place of an error that could mean anything.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import translation
from django.views.defaults import server_error

from licensehub.database.clock import database_now
from licensehub.ui.languages import default_language, language_of_browser

# https://www.postgresql.org/docs/current/errcodes-appendix.html: read only, no right (after a wrong GRANT), no
# resources (53100: the disk is full), shutdown or start, and an error of the disk.
STATES: Final = ("25006", "42501", "53", "57P", "58030")
SQLITE: Final = ("readonly database", "database or disk is full", "disk i/o error", "unable to open", "is locked")
# A load balancer asks each process every few seconds.
TRY_AGAIN_SECONDS: Final = 5.0
IMPATIENT: Final = {"postgresql": "SET lock_timeout = '1s'", "sqlite": "PRAGMA busy_timeout = 1000"}
PATIENT: Final = {"postgresql": "RESET lock_timeout", "sqlite": "PRAGMA busy_timeout = 20000"}

log = logging.getLogger(__name__)


class _Tried:
    """The moments when this process last wrote, or tried to."""

    at: float | None = None
    worked = False


def can_write() -> bool:
    """Whether the database takes a change. It is tried at most every 5 seconds, in one row that always has one size."""
    if _Tried.at is None or time.monotonic() - _Tried.at >= TRY_AGAIN_SECONDS:
        _Tried.worked, _Tried.at = _write(), time.monotonic()
    return _Tried.worked


def forget() -> None:
    """Try it again at the next question."""
    _Tried.at = None


def _write() -> bool:
    # Here, since a middleware may be imported before the models are.
    from integrations.models import Installation

    try:
        with _impatient(), transaction.atomic():
            return Installation.objects.filter(pk=1).update(written_at=database_now()) == 1
    except DatabaseError as error:
        if _is_locked(error):
            return True  # another process writes
        log.exception("The database takes no change.")
        return False


@contextmanager
def _impatient() -> Iterator[None]:
    """In the `with` block, the database waits at most a second for a lock: a load balancer does not wait longer."""
    with connection.cursor() as cursor:
        cursor.execute(IMPATIENT[connection.vendor])
    try:
        yield
    finally:
        if not connection.needs_rollback:
            with connection.cursor() as cursor:
                cursor.execute(PATIENT[connection.vendor])


def _is_locked(error: DatabaseError) -> bool:
    return getattr(error.__cause__, "sqlstate", "") == "55P03" or "is locked" in str(error)


def is_unwritable(error: BaseException | None) -> bool:
    """Whether the error, or one that caused it, says that the database takes no changes now."""
    while error is not None:
        if isinstance(error, (DatabaseError, InterfaceError)):
            state = getattr(error.__cause__, "sqlstate", None) or ""
            if state.startswith(STATES) or any(words in str(error).lower() for words in SQLITE):
                return True
            if isinstance(error, (OperationalError, InterfaceError)) and not state:
                return True  # no connection
        error = error.__cause__ or error.__context__
    return False


def error_page(request: HttpRequest) -> HttpResponse:
    """Django's `handler500`: the page of an error, or the one that says that nothing can be written."""
    if not is_unwritable(sys.exc_info()[1]):
        return server_error(request)
    log.error("A page was answered with 503, since the database takes no changes.")
    with translation.override(translation.get_language() or language_of_browser(request) or default_language()):
        response = render(None, "503.html", status=503)
    response.headers["Retry-After"] = "60"
    response.headers["Cache-Control"] = "no-store"
    return response
