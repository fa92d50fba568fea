"""The whole file: which sections it has, what is in LicenseHub, and what differs."""

from __future__ import annotations

from typing import Any, Final

import yaml

from integrations.models import IntegrationProfile
from licensehub.configuration.changes import Kind, Plan
from licensehub.configuration.reading import Entry
from licensehub.configuration.sections import (
    accounts,
    connections,
    prices,
    profiles,
    protections,
    rules,
    schedules,
    webhooks,
)

VERSION: Final = "1"
OF_PROFILE: Final = ("kind", "organization_id", "reclaim", "connections", "rule", "schedules", "prices", "protections")
# Beside `profiles`. A new section is a module with `dump` and `plan`, and a name here.
SECTIONS: Final = {"accounts": accounts, "webhooks": webhooks}


def dump() -> dict[str, Any]:
    """The configuration of LicenseHub, without any secret. The same state gives the same file."""
    rows = IntegrationProfile.objects.in_use().order_by("name")
    found: dict[str, Any] = {"licensehub": int(VERSION), "profiles": {row.name: _dump_profile(row) for row in rows}}
    return found | {name: section.dump() for name, section in SECTIONS.items()}


def _dump_profile(profile: IntegrationProfile) -> dict[str, Any]:
    rule = rules.dump(profile)
    return {
        **profiles.dump(profile),
        **({} if rule is None else {"rule": rule}),
        "schedules": schedules.dump(profile),
        "prices": prices.dump(profile),
        "protections": protections.dump(profile),
    }


class Dumper(yaml.SafeDumper):
    """Writes no anchors, since `apply` takes none, and each text so that it is read as it was.

    PyYAML writes a few line breaks of Unicode as they are, and reads them as a space; between quotation marks it
    escapes them.
    """

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if text.isprintable() else '"')


Dumper.add_representer(str, _text)


def as_yaml(found: dict[str, Any]) -> str:
    text = yaml.dump(found, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=120)
    return f"# Written by `licensehub dump`. `licensehub apply FILE --plan` shows what differs.\n{text}"


def plan_of(entry: Entry, *, prune: bool) -> Plan:
    """The differences and all mistakes. Nothing is written."""
    plan = Plan()
    plan.guarded(_plan, entry, plan, prune)
    return plan


def _plan(entry: Entry, plan: Plan, prune: bool) -> None:
    found = entry.only("licensehub", "profiles", *SECTIONS)
    entry.required("licensehub").one_of([VERSION])
    seen = set[int]()
    listed: dict[str, Entry] = found["profiles"].named() if "profiles" in found else {}
    for name, one in listed.items():
        plan.guarded(_plan_profile, name, one, plan, seen, prune)
    for name, section in SECTIONS.items():
        if name in found:
            plan.guarded(section.plan, found[name], plan)


def _plan_profile(name: str, entry: Entry, plan: Plan, seen: set[int], prune: bool) -> None:
    parts = entry.only(*OF_PROFILE)
    profile = profiles.find(name, entry)
    profiles.plan(name, entry, profile, plan)
    if profile is None:
        if set(parts) - {"kind", "organization_id"}:
            plan.add(Kind.WAITS, name, "everything else waits until the draft is there: apply the file again", entry)
        return
    if profile.pk in seen:
        raise entry.wrong("This organization is in the file twice.")
    seen.add(profile.pk)
    for part, section in {"connections": connections, "rule": rules, "schedules": schedules}.items():
        if part in parts:
            plan.guarded(section.plan, name, parts[part], profile, plan)
    for part, listed in {"prices": prices, "protections": protections}.items():
        if part in parts:
            plan.guarded(listed.plan, name, parts[part], profile, plan, prune=prune)
