"""The results of the checks, kept by a worker each minute, so that a page costs one query and not a doctor."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import transaction

from integrations.installation.processes import this_host
from integrations.models import CheckResult
from licensehub.database.clock import database_now
from licensehub.operations.doctor import checks as _all_checks  # noqa: F401 - importing registers them
from licensehub.operations.doctor.findings import CHECKS, Finding, Level, Step, run_checks


def run_and_keep(*, everything: bool = False) -> int:
    """Run the checks that are due, or all, and keep what they find. Returns how many ran."""
    rows = {row.check_id: row for row in CheckResult.objects.all()}
    now = database_now()
    # A little early: the task itself starts some seconds earlier or later.
    names = [
        name
        for name, one in CHECKS.items()
        if everything or name not in rows or now - rows[name].checked_at >= one.every * 0.9
    ]
    memory: dict[str, dict[str, Any]] = {name: rows[name].memory for name in names if name in rows}
    found = run_checks(names, memory)
    with transaction.atomic():
        for name, finding in found.items():
            _keep(name, finding, rows.get(name), memory.get(name, {}))
        CheckResult.objects.exclude(check_id__in=CHECKS).delete()
    return len(found)


def _keep(name: str, finding: Finding, before: CheckResult | None, memory: dict[str, Any]) -> None:
    now = database_now()
    values = {
        "level": finding.level,
        "title": finding.title[:200],
        "value": finding.value[:200],
        "detail": finding.detail,
        "waits": finding.waits,
        "steps": [{"text": step.text, "command": step.command} for step in finding.steps],
        "memory": memory,
        "host": this_host(),
        "since": _since(finding, before, now),
        "checked_at": now,
    }
    CheckResult.objects.update_or_create(check_id=name, defaults=values)


def _since(finding: Finding, before: CheckResult | None, now: datetime) -> datetime | None:
    """Return since when it is wrong: as the check knows it, else since the first run that was not ok."""
    if not finding.level.rank:
        return None
    return finding.since or (before.since if before and before.since else now)


def finding_of(row: CheckResult) -> Finding:
    """The finding that a row keeps."""
    steps = tuple(Step(step["text"], step.get("command", "")) for step in row.steps)
    return Finding(Level(row.level), row.title, row.value, row.detail, row.waits, steps, row.since)


def known(rows: Iterable[CheckResult]) -> list[CheckResult]:
    """The rows of checks that exist, in the order of the checks."""
    places = {name: place for place, name in enumerate(CHECKS)}
    return sorted((row for row in rows if row.check_id in places), key=lambda row: places[row.check_id])
