"""`licensehub protections`."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import IO, Any

import click

from licensehub.api.client import bodies
from licensehub.command_line import output
from licensehub.command_line.calls import Session, pages
from licensehub.command_line.lists import LISTS
from licensehub.command_line.options import (
    examples,
    json_option,
    list_options,
    profile_argument,
    profile_option,
    reason_option,
)

KINDS = ("person", "domain", "license", "role", "admin_role")
MAX_FILE = 2_000_000  # bytes


@click.group()
def protections() -> None:
    """Protections: the people and groups who are left alone, and why."""


@protections.command("list", epilog=examples("licensehub protections list --in-force --all --json"))
@profile_option
@click.option("--in-force/--ended", "in_force", default=None, help="Only those in force, or only ended ones.")
@list_options
@json_option
def list_protections(session: Session, profile: str | None, in_force: bool | None, most: int | None) -> None:
    """List protections, the newest first."""
    pk = session.profile(profile) if profile else None
    rows = list(pages(session.client.protections, most, profile=pk, in_force=in_force))
    session.show(rows, lambda shown: output.show_table(shown, LISTS["protections"]))


@protections.command(
    "add",
    epilog=examples(
        'licensehub protections add Northwind pat@northwind.example --reason "On leave" --owner "Sam, HR"',
        'licensehub protections add Northwind contractor.example --kind domain --reason "Project" --owner "Kim"',
    ),
)
@profile_argument
@click.argument("value")
@click.option("--kind", type=click.Choice(KINDS), default="person", show_default=True, help="What VALUE is.")
@reason_option
@click.option("--owner", required=True, help="Whom to ask whether it is still needed.")
@click.option("--until", type=click.DateTime(["%Y-%m-%dT%H:%M:%S%z"]), help="The end, e.g. 2027-01-31T23:59:59+01:00.")
@json_option
def add(session: Session, profile: str, value: str, kind: Any, reason: str, owner: str, until: datetime | None) -> None:
    """Protect an address, a domain, a license type or a role."""
    body: bodies.NewProtection = {
        "profile": session.profile(profile),
        "kind": kind,
        "value": value,
        "reason": reason,
        "owner": owner,
        "ends_at": until.isoformat() if until else None,
    }
    made = session.act(lambda key: session.client.protect(body, idempotency_key=key))
    session.show(made, _show_effect)


@protections.command("end", epilog=examples("licensehub protections end 17"))
@click.argument("protection", type=click.IntRange(1))
@json_option
def end(session: Session, protection: int) -> None:
    """End a protection, by its id in the list."""
    made = session.act(lambda key: session.client.stop_protecting(protection, idempotency_key=key))
    session.show(made, _show_effect)


@protections.command(
    "import",
    epilog=examples('licensehub protections import Northwind leave.csv --reason "Parental leave" --owner "Sam, HR"'),
)
@profile_argument
@click.argument("file", type=click.File("rb"))
@click.option("--reason", default="", help="For lines without one.")
@click.option("--owner", default="", help="For lines without one.")
@json_option
def import_file(session: Session, profile: str, file: IO[bytes], reason: str, owner: str) -> None:
    """Protect the people of a CSV file with the columns address, reason, owner, end: all of them, or nobody.

    Whoever is protected already stays so, so a file may be imported again. “-” reads standard input.
    """
    body: bodies.ProtectionFile = {"text": _text(file), "reason": reason, "owner": owner}
    pk = session.profile(profile)
    made = session.act(lambda key: session.client.protect_file(pk, body, idempotency_key=key))
    session.show(made, _show_effect)


def _text(file: IO[bytes]) -> str:
    content = file.read(MAX_FILE + 1)
    if len(content) > MAX_FILE:
        raise click.UsageError("This file is larger than 2 MB. Split it.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise click.UsageError(f"Line {line} is not UTF-8. Save the file as CSV in UTF-8.") from error


@protections.command("export", epilog=examples("licensehub protections export Northwind > protected.csv"))
@profile_argument
@json_option
def export_file(session: Session, profile: str) -> None:
    """Write the protected people of a profile as CSV, in the form that `import` reads."""
    found = session.client.protection_file(session.profile(profile))
    session.show(found, lambda shown: output.Terminal(sys.stdout).write(shown["text"]))
    output.note(f"{found['people']} protections of people. `licensehub dump` has those of domains and licenses, too.")


def _show_effect(made: Any) -> None:
    numbers = ", ".join(map(str, made["protections"][:20])) or "none"
    output.say(
        f"Protections: {numbers}. People with another verdict: {made['changed']}; candidates withdrawn: "
        f"{made['withdrawn']}; protected already: {made['already']}."
    )
