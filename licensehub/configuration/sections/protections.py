"""Protections of a profile. A person is the one with the vendor's id; an address only says who that was."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from integrations.connectors.contract import normalized
from integrations.models import IntegrationProfile
from licensehub.configuration.changes import Kind, Plan, shown
from licensehub.configuration.reading import Entry
from licensehub.configuration.sections.prices import day_of
from subscriptions.models import Protection, ProtectionKind, Subscription
from subscriptions.rules.find_people import find_people
from subscriptions.rules.protection_lines import end_of
from subscriptions.rules.protection_values import clean_value
from subscriptions.rules.protections import ProtectionInput, Wanted, check_input, end_protection, protect_all

PROTECT: Final = "subscriptions.add_protection"
END: Final = "subscriptions.change_protection"
# (kind, the vendor's id of a person, else the value)
Key = tuple[str, str]


def stored(profile: IntegrationProfile) -> dict[Key, Protection]:
    """The protections in force, without those that a decision on a request made: these end with it."""
    rows = Protection.objects.in_force().of(profile.pk).filter(removal=None).select_related("profile", "created_by")
    return {
        _key(row.kind, row.external_id, row.value): row for row in rows.order_by("kind", "value", "external_id", "-pk")
    }


def _key(kind: str, external_id: str, value: str) -> Key:
    return (kind, f"id {external_id}" if external_id else value)


def dump(profile: IntegrationProfile) -> list[dict[str, Any]]:
    return [_values(row) for row in stored(profile).values()]


def _values(row: Protection) -> dict[str, Any]:
    values = {"kind": row.kind, "value": row.value, "id": row.external_id, "reason": row.reason, "owner": row.owner}
    return {name: text for name, text in values.items() if text} | ({"ends": _end(row.ends_at)} if row.ends_at else {})


def _end(moment: datetime) -> str:
    """The last day; another end than that of a day as a whole moment."""
    local = timezone.localtime(moment, timezone.get_default_timezone())
    return local.date().isoformat() if local == end_of(local.date()) else local.isoformat()


def plan(name: str, entry: Entry, profile: IntegrationProfile, plan: Plan, *, prune: bool) -> None:
    known, seen = stored(profile), set[Key]()
    typed = {
        one.named()["value"].text()
        for one in entry.items()
        if isinstance(one.value, dict) and "value" in one.value and isinstance(one.value["value"].value, str)
    }
    people = find_people(profile.pk, {normalized(text) for text in typed if "@" in text})
    for one in entry.items():
        plan.guarded(_plan, name, one, profile, known, seen, people, plan)
    for key, row in known.items():
        if key not in seen:

            def end(actor: User, row: Protection = row) -> None:
                end_protection(row, actor=actor)

            plan.add(Kind.EXTRA, f"{name}: protections", shown(_values(row)), entry, END, end if prune else None)


def _plan(
    name: str,
    entry: Entry,
    profile: IntegrationProfile,
    known: dict[Key, Protection],
    seen: set[Key],
    people: dict[str, Subscription],
    plan: Plan,
) -> None:
    entry.only("kind", "value", "id", "reason", "owner", "ends")
    kind = entry.required("kind").one_of(ProtectionKind.values)
    details = _details(entry)
    wanted = _person(entry, profile, known, people, details) if kind == ProtectionKind.PERSON else None
    if wanted is None:
        value = entry.required("value")
        former = known.get((kind, value.text()))
        wanted = Wanted(kind, former.value if former else _cleaned(profile, kind, value), "", details)
    key = _key(kind, wanted.external_id, wanted.value)
    if key in seen:
        raise entry.wrong("This is protected in the file already.")
    seen.add(key)
    former = known.get(key)
    if former and (former.reason, former.owner, former.ends_at) == (details.reason, details.owner, details.ends_at):
        return
    try:
        check_input(details)
    except ValidationError as error:
        raise entry.wrong(" ".join(error.messages)) from error

    def do(actor: User) -> None:
        if former:
            end_protection(former, actor=actor)
        protect_all(profile, [wanted], actor=actor)

    text = shown({"kind": kind, "value": wanted.value, "id": wanted.external_id, "reason": details.reason})
    plan.add(Kind.CHANGE if former else Kind.ADD, f"{name}: protections", text, entry, PROTECT, do)


def _details(entry: Entry) -> ProtectionInput:
    ends = entry.named().get("ends")
    return ProtectionInput(
        entry.required("reason").text(), entry.required("owner").text(), _moment(ends) if ends else None
    )


def _moment(entry: Entry) -> datetime:
    text = entry.text()
    if len(text) == 10:
        return end_of(day_of(entry))
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise entry.wrong(f"“{text}” is no day. Write it as 2027-01-31.")
    return moment


def _cleaned(profile: IntegrationProfile, kind: str, entry: Entry) -> str:
    try:
        return clean_value(profile, kind, entry.text())
    except ValidationError as error:
        raise entry.wrong(" ".join(error.messages)) from error


def _person(
    entry: Entry,
    profile: IntegrationProfile,
    known: dict[Key, Protection],
    people: dict[str, Subscription],
    details: ProtectionInput,
) -> Wanted:
    """The person that is meant. With an id, the address decides nothing: it may be somebody else's by now."""
    kind = ProtectionKind.PERSON
    address = entry.read("value", Entry.text, "")
    if "id" in entry.named():
        given = entry.required("id").text()
        row = Subscription.objects.filter(profile=profile, external_id=given).first()
        if row is None and _key(kind, given, "") not in known:
            raise entry.required("id").wrong(
                f"Nobody has the id “{given}” here. Take the id out to protect the address."
            )
        return Wanted(kind, normalized(address or (row.email if row else "")), given, details)
    if (former := known.get((kind, address))) is not None:
        return Wanted(kind, former.value, "", details)
    value = entry.required("value")
    cleaned = _cleaned(profile, kind, value)
    person = people.get(cleaned)
    bound = {
        row.external_id for (of, _), row in known.items() if of == kind and row.external_id and row.value == cleaned
    }
    if person and bound and person.external_id not in bound:
        raise value.wrong(
            f"“{cleaned}” was the address of somebody else ({', '.join(sorted(bound))}) when it was protected, and is "
            f"now that of {person.external_id}. Write `id:` to say who is meant."
        )
    if person is None and len(bound) == 1:
        return Wanted(kind, cleaned, bound.pop(), details)
    return Wanted(kind, cleaned, person.external_id if person else "", details)
