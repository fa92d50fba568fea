"""Options that several commands have."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

from licensehub.command_line.calls import Session

F = TypeVar("F", bound=Callable[..., Any])

profile_option = click.option("--profile", metavar="PROFILE", help="Only this profile, by its name or id.")
profile_argument = click.argument("profile")
reason_option = click.option("--reason", required=True, help="Why. It is kept in the audit.")


def json_option(command: F) -> F:
    """`--json`, and the session as the first argument."""

    @click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
    @click.pass_obj
    @functools.wraps(command)
    def run(session: Session, /, *args: Any, as_json: bool, **kwargs: Any) -> Any:
        session.as_json = as_json
        return command(session, *args, **kwargs)

    return run  # type: ignore[return-value]  # click's decorators keep the function


def list_options(command: F) -> F:
    """`--limit` and `--all`, which give `most`."""

    @click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="Show so many rows.")
    @click.option("--all", "everything", is_flag=True, help="Show all rows.")
    @functools.wraps(command)
    def run(*args: Any, limit: int, everything: bool, **kwargs: Any) -> Any:
        return command(*args, most=None if everything else limit, **kwargs)

    return run  # type: ignore[return-value]  # click's decorators keep the function


def examples(*lines: str) -> str:
    """The last part of a help text."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)
