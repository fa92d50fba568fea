"""`licensehub subscriptions`, `savings`, `audit` and `export`."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import IO, Any, Final

import click

from licensehub.command_line import output
from licensehub.command_line.calls import Session, pages
from licensehub.command_line.lists import LISTS, of
from licensehub.command_line.options import examples, json_option, list_options, profile_option

EXPORTED: Final = ("subscriptions", "candidates", "requests", "history", "runs", "protections", "audit")

# Half a surrogate in an answer has no form in UTF-8.
FILE: Final = click.File("w", encoding="utf-8", errors="backslashreplace", lazy=False, atomic=True)


@click.group()
def subscriptions() -> None:
    """People with their licenses, and why they are candidates or not."""


@subscriptions.command(
    "list",
    epilog=examples(
        "licensehub subscriptions list --idle-before 2026-06-01 --holds-seat",
        "licensehub subscriptions list --search pat",
    ),
)
@profile_option
@click.option("--search", "q", help="Words of the name, the e-mail, or the vendor's id.")
@click.option("--verdict", help="Only those with this verdict, e.g. candidate.")
@click.option("--license", help="Only this license type, in the vendor's word.")
@click.option("--department", help="Only this department.")
@click.option("--idle-before", type=click.DateTime(["%Y-%m-%d"]), help="Not used since this day, or never.")
@click.option("--holds-seat/--no-seat", "holds_seat", default=None, help="Only those who hold a seat, or who do not.")
@list_options
@json_option
def list_subscriptions(
    session: Session, profile: str | None, idle_before: datetime | None, most: int | None, **given: Any
) -> None:
    """List people, the longest idle first, each with the verdict and its reason."""
    given["profile"] = session.profile(profile) if profile else None
    given["idle_before"] = idle_before.date().isoformat() if idle_before else None
    rows = list(pages(session.client.subscriptions, most, **given))
    session.show(rows, lambda shown: output.show_table(shown, LISTS["subscriptions"]))


@subscriptions.command("show", epilog=examples("licensehub subscriptions show 4711"))
@click.argument("subscription", type=click.IntRange(1))
@json_option
def show_subscription(session: Session, subscription: int) -> None:
    """Show one person, with each check of the rule."""
    session.show(session.client.subscription(subscription), _show_person)


def _show_person(row: Any) -> None:
    names = ("name", "email", "external_id", "department", "idle_since", "license_assigned_at", "vendor_says_now")
    verdict = [("license", row["license"]["label"]), ("verdict", row["verdict"]["label"])]
    output.show_values(row, [*((name, row[name]) for name in names), *verdict, ("why", row["verdict"]["reason"])])
    output.show_table(row["checks"], of("passed", "label as Check", "fact"))
    for sentence in row["protections"]:
        output.say(sentence)


@click.command(epilog=examples("licensehub savings --year 2026"))
@click.option("--year", type=click.IntRange(2011, 2100), help="This year by default.")
@profile_option
@json_option
def savings(session: Session, year: int | None, profile: str | None) -> None:
    """Savings of a year, by currency and license type."""
    found = session.client.savings(year=year, profile=session.profile(profile) if profile else None)
    session.show(found, _show_savings)


def _show_savings(found: Any) -> None:
    rows = [{**line, "currency": one["currency"] or "no price"} for one in found["currencies"] for line in one["lines"]]
    columns = of(
        *("profile", "license", "currency", "potential.amount as Potential", "approved.amount as Approved"),
        *("verified.seats as Verified seats", "saved.amount as Saved"),
    )
    output.show_table(rows, columns, nothing=f"No savings in {found['year']}.")


@click.command(epilog=examples("licensehub audit --action request.approved --limit 10"))
@click.option("--action", help="Only this action, e.g. request.approved: see docs/audit-events.md.")
@click.option("--target-type", help="Only what concerns this kind of row, e.g. subscriptions.reclaimrequest.")
@click.option("--target-id", type=click.IntRange(1), help="Only the row with this id.")
@list_options
@json_option
def audit(session: Session, most: int | None, **given: Any) -> None:
    """Events of the audit, the newest first."""
    rows = list(pages(session.client.audit, most, **given))
    session.show(rows, lambda shown: output.show_table(shown, LISTS["audit"]))


@click.command(
    epilog=examples(
        "licensehub export subscriptions --output people.csv",
        "licensehub export audit --format jsonl | gzip > audit.jsonl.gz",
    )
)
@click.argument("what", type=click.Choice(EXPORTED))
@profile_option
@click.option("--format", "form", type=click.Choice(["csv", "jsonl"]), default="csv", show_default=True)
@click.option("--output", "file", type=FILE, default="-")
@click.pass_obj
def export(session: Session, what: str, profile: str | None, form: str, file: IO[str]) -> None:
    """Write a whole list as CSV, or as one JSON object a line. A file is replaced only when all of it is there."""
    given: dict[str, Any] = {}
    if profile:
        if what == "audit":
            raise click.UsageError("The audit is one for all profiles.")
        given["profile"] = session.profile(profile)
    rows = _counted(pages(getattr(session.client, what), **given))
    (_write_csv if form == "csv" else _write_lines)(what, rows, file)


def _counted(rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The same rows. Shows on standard error how many there were, about each thousand."""
    count = 0
    for count, row in enumerate(rows, 1):
        yield row
        if count % 1000 == 0:
            output.note(f"{count} rows …")
    output.note(f"{count} rows.")


def _write_csv(what: str, rows: Iterable[dict[str, Any]], file: IO[str]) -> None:
    from licensehub.ui.csv_file import harmless

    columns = LISTS[what]
    writer = csv.writer(output.Terminal(file), lineterminator="\n")
    writer.writerow([name for name, _value in columns])
    for row in rows:
        writer.writerow([harmless(_plain(value(row))) for _name, value in columns])


def _plain(value: object) -> object:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value


def _write_lines(what: str, rows: Iterable[dict[str, Any]], file: IO[str]) -> None:
    for row in rows:
        file.write(output.as_json(row, indent=None) + "\n")
