"""Protect many people at once: find out the outcome of each line, and make the protections."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from integrations.models import IntegrationProfile
from licensehub.ui.formatting import name_of
from subscriptions.models import Protection, ProtectionKind, Subscription
from subscriptions.rules.find_people import find_people
from subscriptions.rules.protection_lines import Line, Lines
from subscriptions.rules.protections import (
    ProtectionEffect,
    ProtectionInput,
    Wanted,
    check_input,
    in_force_already,
    protect_all,
)


class Outcome(StrEnum):
    """The outcome of a line."""

    NEW = "new"
    UNKNOWN = "unknown"  # no such person at the vendor yet: protected by address, and bound to the person later
    ALREADY = "already"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Planned:
    """One line, its outcome, and the person if known. `note` says why it is not made, or which protection it has."""

    line: Line
    outcome: Outcome
    person: Subscription | None = None
    wanted: Wanted | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """The outcomes of all lines. `repeated` is the number of lines whose person is in an earlier line."""

    rows: list[Planned]
    repeated: int

    def of(self, *outcomes: Outcome) -> list[Planned]:
        return [row for row in self.rows if row.outcome in outcomes]

    @property
    def wanted(self) -> list[Wanted]:
        return [row.wanted for row in self.of(Outcome.NEW, Outcome.UNKNOWN) if row.wanted]


def plan(profile: IntegrationProfile, lines: Lines, defaults: ProtectionInput) -> Plan:
    """Find out the outcome of each line. Nothing is written. `defaults` fill the details that a line leaves out."""
    people = find_people(profile.pk, {line.key for line in lines.lines if line.key})
    rows, repeated = [], lines.repeated
    seen: set[str] = set()
    for line in lines.lines:
        person = people.get(line.key)
        if person and person.external_id in seen:  # by the id in one line, and by the address in another
            repeated += 1
            continue
        if person:
            seen.add(person.external_id)
        rows.append(_planned(line, person, _details(line, defaults)))
    return Plan(_without_those_already_protected(profile, rows), repeated)


def _details(line: Line, defaults: ProtectionInput) -> ProtectionInput:
    return ProtectionInput(
        line.reason or defaults.reason, line.owner or defaults.owner, line.ends_at or defaults.ends_at
    )


def _planned(line: Line, person: Subscription | None, details: ProtectionInput) -> Planned:
    if line.problem:
        return Planned(line, Outcome.UNREADABLE, note=line.problem)
    if person is None and "@" not in line.key:
        return Planned(
            line,
            Outcome.UNREADABLE,
            note=_("Nobody has the ID {key}. Write the address instead.").format(key=line.key),
        )
    try:
        check_input(details)
    except ValidationError as error:
        return Planned(line, Outcome.UNREADABLE, person, note=" ".join(error.messages))
    if person is None:
        return Planned(line, Outcome.UNKNOWN, wanted=Wanted(ProtectionKind.PERSON, line.key, "", details))
    wanted = Wanted.of_person(person, details)
    if "@" in line.key:
        wanted = wanted._replace(value=line.key)  # lists show the typed address, also if it is a former one
    return Planned(line, Outcome.NEW, person, wanted)


def _without_those_already_protected(profile: IntegrationProfile, rows: Iterable[Planned]) -> list[Planned]:
    chosen = list(rows)
    already = in_force_already(profile, (row.wanted for row in chosen if row.wanted))
    return [_already(row, already[row.wanted]) if row.wanted in already else row for row in chosen]


def _already(row: Planned, former: Protection) -> Planned:
    note = _("by {name}, {until}").format(name=name_of(former.created_by), until=former.until_label)
    return Planned(row.line, Outcome.ALREADY, row.person, note=note)


def protect_many(profile: IntegrationProfile, planned: Plan, *, actor: User) -> ProtectionEffect:
    """Make the protections of the plan that are not in force yet, with their audit events, in one transaction."""
    return protect_all(profile, planned.wanted, actor=actor)
