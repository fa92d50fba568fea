"""Waits until another connection waits for this one."""

from __future__ import annotations

import threading

from django.db import connection


def wait_until_somebody_waits() -> None:
    for _ in range(1500):
        with connection.cursor() as cursor:
            # Another test may have locks of its own on this server.
            cursor.execute("SELECT COUNT(*) FROM pg_locks WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))")
            if cursor.fetchone()[0]:
                return
        threading.Event().wait(0.02)
    raise AssertionError("Nobody waited for the lock.")
