"""No process starts with settings that `manage.py check` calls an error, e.g. without its keys.

Django looks at the checks before its commands only. gunicorn and Celery would start, sign with an empty key, and fail
at the first person.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from django.core.checks.registry import registry


class Process(StrEnum):
    """The kinds of processes that check the settings before they start."""

    WEB = "web"
    WORKER = "worker"
    BEAT = "beat"


# The checks of keys that a process does not get. Only workers send streams. Beat enqueues tasks, so it has no key of
# sessions, tokens, approvals, the audit or the anchors.
KEYS_NOT_GIVEN: Final = {
    Process.WEB: ("E045",),
    Process.WORKER: (),
    Process.BEAT: ("E001", "E002", "E003", "E004", "E005", "E006", "E040", "E041", "E045"),
}


class CannotStartError(Exception):
    """The text has a line for each error, and what to do."""


def refuse_wrong_settings(process: Process) -> None:
    """Raise CannotStartError with all errors of our own checks of the settings. The database is not asked."""
    ignored = {f"licensehub.{number}" for number in KEYS_NOT_GIVEN[process]}
    ours = [check for check in registry.get_checks() if check.__module__.startswith("licensehub.checks.")]
    found = [message for check in ours for message in check(app_configs=None, databases=None)]
    lines = [
        f"{one.id}: {one.msg} {one.hint or ''}".rstrip()
        for one in found
        if one.is_serious() and not one.is_silenced() and one.id not in ignored
    ]
    if lines:
        raise CannotStartError("\n".join([f"The {process} process of LicenseHub does not start:", *lines]))
