"""`licensehub profiles`, `connections` and `rules`."""

from __future__ import annotations

from typing import Any

import click

from licensehub.api.client import bodies
from licensehub.command_line import output
from licensehub.command_line.calls import Session, pages
from licensehub.command_line.exit_codes import Exit
from licensehub.command_line.lists import LISTS, of
from licensehub.command_line.options import (
    examples,
    json_option,
    list_options,
    profile_argument,
    profile_option,
)


@click.group()
def profiles() -> None:
    """Integration profiles: one organization at one vendor each."""


@profiles.command("list", epilog=examples("licensehub profiles list", "licensehub profiles list --json"))
@list_options
@json_option
def list_profiles(session: Session, most: int | None) -> None:
    """List the profiles."""
    rows = list(pages(session.client.profiles, most))
    session.show(rows, lambda shown: output.show_table(shown, LISTS["profiles"]))


@profiles.command("show", epilog=examples('licensehub profiles show "Northwind"'))
@profile_argument
@json_option
def show_profile(session: Session, profile: str) -> None:
    """Show one profile."""
    row = session.client.profile(session.profile(profile))
    session.show(row, lambda shown: output.show_values(shown, sorted(shown.items())))


@click.group()
def connections() -> None:
    """Connections of the profiles to their vendors. Credentials are entered in the browser only."""


@connections.command("list", epilog=examples("licensehub connections list --profile Northwind"))
@profile_option
@list_options
@json_option
def list_connections(session: Session, profile: str | None, most: int | None) -> None:
    """List the connections and their state."""
    pk = session.profile(profile) if profile else None
    rows = list(pages(session.client.connections, most, profile=pk))
    session.show(rows, lambda shown: output.show_table(shown, (*LISTS["connections"], *of("error as What is wrong"))))


@connections.command("test", epilog=examples("licensehub connections test Northwind"))
@profile_argument
@json_option
def test_connections(session: Session, profile: str) -> None:
    """Test the connections of a profile, by calls that change nothing. Exit code 7: something is wrong."""
    found = session.client.validate(session.profile(profile))
    session.show(found, _show_findings)
    if not found["fit"]:
        raise SystemExit(Exit.DIFFERENT)


def _show_findings(found: Any) -> None:
    output.show_table(found["findings"], of("level", "title", "detail", "next_step"))
    output.say(found["detail"])


@click.group()
def rules() -> None:
    """The reclaim rules. A rule is changed in the browser, or by `licensehub apply`."""


@rules.command("show", epilog=examples("licensehub rules show Northwind"))
@profile_argument
@json_option
def show_rule(session: Session, profile: str) -> None:
    """Show the rule of a profile."""
    rule = session.client.rule(session.profile(profile))
    session.show(rule, lambda shown: output.show_values(shown, [("version", shown["version"]), *_terms(shown)]))


def _terms(rule: Any) -> list[tuple[str, object]]:
    terms = dict(rule["terms"])
    by_license = [f"{license}: {days} days" for license, days in terms.pop("by_license").items()]
    return [*terms.items(), ("by_license", by_license)]


@rules.command("preview", epilog=examples("licensehub rules preview Northwind --threshold 45 --license full"))
@profile_argument
@click.option("--threshold", type=int, help="Days without activity after which a seat counts as unused.")
@click.option("--grace", type=int, help="Days after a license was assigned in which nobody is a candidate.")
@click.option("--license", "licenses", multiple=True, help="A license type in scope, in the vendor's word.")
@json_option
def preview_rule(
    session: Session, profile: str, threshold: int | None, grace: int | None, licenses: tuple[str, ...]
) -> None:
    """Count whom another rule would find. Nothing is changed."""
    wanted: bodies.OtherTerms = {}
    if threshold is not None:
        wanted["last_activity_threshold"] = threshold
    if grace is not None:
        wanted["new_joiner_grace"] = grace
    if licenses:
        wanted["licenses"] = list(licenses)
    found = session.client.preview(session.profile(profile), wanted)
    session.show(found, _show_preview)


def _show_preview(found: Any) -> None:
    verdicts = sorted({*found["before"], *found["after"]})
    rows = [(name, found["before"].get(name, 0), found["after"].get(name, 0)) for name in verdicts]
    output.show_table(
        [{"verdict": name, "now": now, "then": then} for name, now, then in rows], of("verdict", "now", "then")
    )
    output.say(found["sentence"])
