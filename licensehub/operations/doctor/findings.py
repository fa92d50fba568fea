"""The findings of the checks, and the register of all checks."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any, Final

from django.db import Error

from integrations.connectors.contract import english
from integrations.installation.processes import Processes, processes
from licensehub.logs.known_secrets import without_secrets

log = logging.getLogger(__name__)

MINUTE: Final = timedelta(minutes=1)
# As people write one, with <> or without.
ADDRESS: Final = re.compile(r"<?[^\s<>@:;,]+@[^\s<>@:;,]+\.\w+>?")
HOUR: Final = timedelta(hours=1)
NO_DATABASE: Final = english("Not checked, since the database does not answer.")
OLD_TABLES: Final = english("Not checked, since the tables do not match the code.")
FAILED: Final = english("This check failed ({error}). The log of this process has the details.")


class Level(StrEnum):
    """`none`: there is nothing to check yet, so nothing is wrong, and nothing was seen to work. `look`: have a look in
    the daytime. `act`: something does not work, or soon will not.
    """

    OK = "ok"
    NONE = "none"
    LOOK = "look"
    ACT = "act"

    @property
    def rank(self) -> int:
        """0 ok, 1 look, 2 act."""
        return {Level.LOOK: 1, Level.ACT: 2}.get(self, 0)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do next: a sentence, and a command if there is one for it."""

    text: str
    command: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. All texts are English, and translated where a page shows them.

    `value` is the fact in a few words. `waits` says what waits meanwhile, and that it is not lost. `since` is when it
    began, where the check knows that.
    """

    level: Level
    title: str
    value: str = ""
    detail: str = ""
    waits: str = ""
    steps: tuple[Step, ...] = ()
    since: datetime | None = None


@dataclass
class Context:
    """The data that the checks of one run share. `memory` has the notes of this check; it may change them."""

    memory: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def processes(self) -> Processes:
        return processes()


@dataclass(frozen=True, slots=True)
class Check:
    """`id` is stable: monitoring and docs name it. `every` is how often a worker runs it."""

    id: str
    run: Callable[[Context], Finding]
    every: timedelta = MINUTE
    needs_database: bool = True


CHECKS: Final[dict[str, Check]] = {}


def check(
    name: str, *, every: timedelta = MINUTE, needs_database: bool = True
) -> Callable[[Callable[[Context], Finding]], Callable[[Context], Finding]]:
    """Register a check under its id."""

    def register(run: Callable[[Context], Finding]) -> Callable[[Context], Finding]:
        if name in CHECKS:
            raise ValueError(f"Two checks have the id {name}.")
        CHECKS[name] = Check(name, run, every, needs_database)
        return run

    return register


def run_checks(
    names: Iterable[str] | None = None, memory: dict[str, dict[str, Any]] | None = None
) -> dict[str, Finding]:
    """Run these checks, all by default. A check that fails is a finding, too. `memory` is changed in place."""
    context, found = Context(), dict[str, Finding]()
    for one in (CHECKS[name] for name in names) if names is not None else CHECKS.values():
        if one.needs_database and _is_wrong(found, "database"):
            found[one.id] = Finding(Level.LOOK, NO_DATABASE)
            continue
        context.memory = {} if memory is None else memory.setdefault(one.id, {})
        found[one.id] = _run(one, context, old_tables=_is_wrong(found, "migrations"))
    return found


def _is_wrong(found: dict[str, Finding], name: str) -> bool:
    return name in found and found[name].level == Level.ACT


def without_addresses(text: str) -> str:
    """Return the answer of a server without the addresses of people: an operator does not need them."""
    return ADDRESS.sub("…", text)


def worst(findings: Iterable[Finding]) -> Level:
    """Return `ok`, `look` or `act`."""
    return max((one.level for one in findings if one.level.rank), key=lambda level: level.rank, default=Level.OK)


def _run(one: Check, context: Context, *, old_tables: bool) -> Finding:
    try:
        return _clean(one.run(context))
    except Error as error:
        if old_tables:
            return Finding(Level.LOOK, OLD_TABLES)
        log.exception("The check %s failed.", one.id)
        return Finding(Level.ACT, FAILED.format(error=type(error).__name__))
    except Exception as error:
        log.exception("The check %s failed.", one.id)
        return Finding(Level.LOOK, FAILED.format(error=type(error).__name__))


def _clean(finding: Finding) -> Finding:
    """Without any secret: some texts are words of a server or of a library."""
    return replace(
        finding,
        title=without_secrets(finding.title),
        value=without_secrets(finding.value),
        detail=without_secrets(finding.detail),
        waits=without_secrets(finding.waits),
        steps=tuple(Step(without_secrets(step.text), without_secrets(step.command)) for step in finding.steps),
    )
