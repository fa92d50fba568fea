"""Profiles: name, organization, and the switch for reclaims. A profile is published and archived in the browser."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from django.contrib.auth.models import User

from integrations.connectors.registry import connector_class
from integrations.models import IntegrationProfile
from licensehub.configuration.changes import Kind, Plan, shown
from licensehub.configuration.reading import Entry
from subscriptions.profiles import lifecycle

ADD: Final = "integrations.add_integrationprofile"
CHANGE: Final = "integrations.change_integrationprofile"
MAX_NAME: Final = 100
OPERATE: Final = "integrations.operate_integrationprofile"
# Instead of names, where something holds for all profiles, of today and later.
ALL: Final = "all"


def dump(profile: IntegrationProfile) -> dict[str, Any]:
    return {
        "kind": profile.kind,
        "organization_id": profile.organization_id,
        "reclaim": profile.reclaim_enabled,
    }


def chosen(entry: Entry) -> tuple[Any, list[int] | None]:
    """The names that the entry chooses, as a dump has them, and their ids; `ALL` and None for all. Raises Wrong."""
    if entry.value == ALL:
        return ALL, None
    rows = dict(IntegrationProfile.objects.values_list("name", "pk"))
    names = sorted({one.one_of(sorted(rows)) for one in entry.items()})
    if not names:
        raise entry.wrong("Name at least one profile, or write “all”.")
    return names, [rows[name] for name in names]


def names_of(ids: Collection[int] | None) -> Any:
    """The names of these profiles, as a dump has them; `ALL` for None."""
    if ids is None:
        return ALL
    return list(IntegrationProfile.objects.filter(pk__in=ids).order_by("name").values_list("name", flat=True))


def find(name: str, entry: Entry) -> IntegrationProfile | None:
    """The profile of this entry: by its organization, which never changes, else by its name. Raises Wrong."""
    kind, organization = entry.required("kind").text(), entry.read("organization_id", Entry.text, "")
    try:
        connector_class(kind)
    except LookupError as error:
        raise entry.required("kind").wrong(str(error)) from error
    in_use = IntegrationProfile.objects.in_use()
    by_name = IntegrationProfile.objects.filter(name=name).first()
    if by_name is not None and by_name.is_archived:
        raise entry.wrong(f"The profile “{name}” is archived. Take it out of the file.")
    by_organization = in_use.filter(kind=kind, organization_id=organization).first() if organization else None
    if by_name is not None and _is_another(by_name, by_organization, kind, organization):
        of = f"{by_name.kind}, {by_name.organization_id or 'not connected'}"
        raise entry.wrong(f"The profile “{name}” of LicenseHub is one of another organization ({of}).")
    if not name.strip() or len(name) > MAX_NAME or not name.isprintable():
        raise entry.wrong(f"A name of a profile has 1 to {MAX_NAME} printable characters.")
    return by_organization or by_name


def _is_another(
    by_name: IntegrationProfile, by_organization: IntegrationProfile | None, kind: str, organization: str
) -> bool:
    """A draft that nobody has connected has no organization yet, here or in the file."""
    if by_organization is not None:
        return by_name != by_organization
    known = by_name.organization_id
    return by_name.kind != kind or bool(known and organization and known != organization)


def plan(name: str, entry: Entry, profile: IntegrationProfile | None, plan: Plan) -> None:
    if profile is None:
        values = {
            "organization_id": entry.read("organization_id", Entry.text, ""),
            "kind": entry.required("kind").text(),
        }
        add = f"add a draft of {values['kind']}"
        plan.add(
            Kind.ADD, name, add, entry, ADD, lambda actor: lifecycle.create_profile(name=name, **values, actor=actor)
        )
        return
    found = profile
    if found.name != name:
        text = f"rename “{found.name}” to “{name}”"
        plan.add(Kind.CHANGE, name, text, entry, CHANGE, lambda actor: lifecycle.rename(found, name, actor=actor))
    wanted = entry.read("reclaim", Entry.switch, found.reclaim_enabled)
    if wanted != found.reclaim_enabled:

        def switch(actor: User) -> None:
            lifecycle.switch_reclaim(found, enabled=wanted, actor=actor)

        text = f"{shown(found.reclaim_enabled)} → {shown(wanted)}"
        plan.add(Kind.CHANGE, f"{name}: reclaim", text, entry.required("reclaim"), OPERATE, switch)
