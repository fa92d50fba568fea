"""Miro's JSON -> our values. Pure functions: no network, no clock."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from integrations.connectors.contract import UNKNOWN, Allocation, BadAnswer, Member, Person, VendorEvent, english
from integrations.connectors.parsing import clean, is_plausible, mapping, one_line, safe_id
from integrations.connectors.scim import enterprise_extension

ADMIN = "organization_internal_admin"
INTERNAL = "organization_internal_user"
OUTSIDE = frozenset({"organization_external_user", "organization_team_guest_user"})

NOT_MANAGED = english("Miro's SCIM does not manage guests and external users")
NOT_KNOWN = english("Miro names a role that LicenseHub does not know, so it leaves this person alone")
UNKNOWN_ADMIN_ROLE = english("Unknown admin role")
IS_ADMIN = english("Miro asks to revoke company admin rights first")
# Miro began in 2011, as RealtimeBoard.
EARLIEST_DATE = datetime(2011, 1, 1, tzinfo=UTC)
# Later moments cannot be shown in each time zone.
LATEST_EVENT = datetime(9999, 1, 1, tzinfo=UTC)
MAX_WORD = 40
MAX_UNIT = 120
MAX_NUMBER = 60
MAX_LANGUAGE = 60
MAX_ADMIN_ROLE = 100
MAX_ADMIN_ROLES = 50
MAX_EVENT = 80
MAX_CURSOR = 200


def member(value: object, *, where: str, now: datetime) -> Member:
    """One organization member; `where` names its place in the answer for the error.

    A date that cannot be right at `now` is unknown.

    https://developers.miro.com/reference/enterprise-get-organization-member. Raises BadAnswer.
    """
    data = mapping(value)
    external_id = safe_id(data.get("id"), where=where)
    active = data.get("active")
    if not isinstance(active, bool):
        raise BadAnswer(english("{where} does not say whether it is active.").format(where=where), code="bad_active")
    role = _word(data.get("role"))
    why_not = _why_not(role)
    admin_roles = data.get("adminRoles")
    assigned, wrong_assigned = _date(data, "licenseAssignedAt", "license date", where=where, now=now)
    activity, wrong_activity = _date(data, "lastActivityAt", "last activity", where=where, now=now)
    return Member(
        external_id=external_id,
        email=clean(data.get("email")),
        active=active,
        license=_word(data.get("license")),
        role=role,
        license_assigned_at=assigned,
        last_activity_at=activity,
        reclaimable=not why_not,
        why_not=why_not,
        admin_roles=_admin_roles(admin_roles) if admin_roles else (),
        implausible_dates=", ".join(filter(None, (wrong_activity, wrong_assigned))),
    )


def members(value: object, *, now: datetime) -> list[Member]:
    """The members of one answer, each id once. Raises BadAnswer, also when one id has two different entries."""
    if not isinstance(value, list):
        raise BadAnswer(english("Miro's answer holds no list of members. Nothing of it is used."), code="not_a_list")
    found: dict[str, Member] = {}
    for number, item in enumerate(value, start=1):
        where = english("Member {number} of Miro's answer").format(number=number)
        parsed = member(item, where=where, now=now)
        first = found.setdefault(parsed.external_id, parsed)
        if first is not parsed and first != parsed:
            raise BadAnswer(
                english("{where} contradicts an earlier one with the same id.").format(where=where),
                code="contradiction",
            )
    return list(found.values())


def next_cursor(data: Mapping[str, Any]) -> str:
    """The cursor of the next page. The end is "", null or no cursor at all: Miro documents only "empty"."""
    value = data.get("cursor")
    if not value:
        return ""
    if isinstance(value, str) and len(value) <= MAX_CURSOR and clean(value) == value:
        return value
    raise BadAnswer(english("Miro's answer has a cursor that cannot be used."), code="bad_cursor")


def moment(data: Mapping[str, Any], name: str, *, where: str) -> datetime | None:
    """A date in UTC; absent, null and "" mean never. Raises BadAnswer for any other value that is not a date.

    "Never" must not be guessed: it would make the person a candidate.
    """
    value = data.get(name)
    if value is None or value == "":
        return None
    try:
        return _in_utc(value)
    except (TypeError, ValueError, OverflowError):
        raise BadAnswer(
            english("{where}, {name}: not a date.").format(where=where, name=name), code="bad_date"
        ) from None


def _in_utc(value: Any) -> datetime:
    parsed = datetime.fromisoformat(value)
    if parsed.tzinfo is UTC:  # almost all dates; saves time in large downloads
        return parsed
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)


def _date(data: Mapping[str, Any], name: str, label: str, *, where: str, now: datetime) -> tuple[datetime | None, str]:
    """A date of a member. One that cannot be right is None, and the second value says what Miro wrote.

    In the year 1 and 9999 a date may have no moment in UTC: then it cannot be right, either.
    """
    value = data.get(name)
    try:
        found = _in_utc(value) if value else moment(data, name, where=where)
    except OverflowError:
        return None, f"{label} {str(value)[:10]}"
    except (TypeError, ValueError):
        raise BadAnswer(
            english("{where}, {name}: not a date.").format(where=where, name=name), code="bad_date"
        ) from None
    if found is None or is_plausible(found, earliest=EARLIEST_DATE, now=now):
        return found, ""
    return None, f"{label} {found.date().isoformat()}"


def allocation(value: object) -> Allocation:
    """https://developers.miro.com/reference/enterprise-get-organization.

    Miro gives only the number of Full licenses. Raises BadAnswer.
    """
    data = mapping(value)
    full = data.get("fullLicensesPurchased")
    return Allocation(
        organization_id=safe_id(data.get("id"), where=english("The organization in Miro's answer")),
        organization_name=clean(data.get("name"), max_length=200),
        plan=clean(data.get("plan"), max_length=MAX_WORD),
        purchased={"full": full} if type(full) is int and full >= 0 else {},
    )


def person(data: Mapping[str, Any]) -> Person | None:
    """A SCIM user's names; None when there is no usable id to find the seat by."""
    external_id = clean(data.get("id"))
    if not external_id:
        return None
    company = enterprise_extension(data)
    given = one_line(mapping(data.get("name")).get("givenName"), max_length=MAX_UNIT)
    manager, manager_id = _manager(company.get("manager"))
    return Person(
        external_id=external_id,
        name=_name(data, given),
        given_name=given,
        department=one_line(company.get("department"), max_length=MAX_UNIT),
        cost_center=one_line(company.get("costCenter"), max_length=MAX_UNIT),
        division=one_line(company.get("division"), max_length=MAX_UNIT),
        employee_number=one_line(company.get("employeeNumber"), max_length=MAX_NUMBER),
        manager=manager,
        manager_id=manager_id,
        # RFC 7643, section 4.1.1. Without a language, the locale counts. It says how the person writes dates.
        language=one_line(data.get("preferredLanguage") or data.get("locale"), max_length=MAX_LANGUAGE),
    )


def _name(data: Mapping[str, Any], given: str) -> str:
    """The display name; without one the formatted name, else given and family name (RFC 7643, section 4.1.1)."""
    name = data.get("name")
    parts = mapping(name)
    names = (data.get("displayName"), name, parts.get("formatted"))
    found = next(filter(None, map(one_line, names)), "")
    return found or one_line(f"{given} {one_line(parts.get('familyName'))}")


def _manager(value: object) -> tuple[str, str]:
    """Name and reference of a manager. RFC 7643 has an object; some providers send a text, or a list of one."""
    if isinstance(value, list):
        value = value[0] if value else None
    if not isinstance(value, dict):
        found = one_line(value)
        return ("", found) if found.isdigit() else (found, "")
    return one_line(value.get("displayName")), one_line(value.get("value"))


def event(value: object, *, where: str, organization_id: str) -> VendorEvent:
    """One event of the audit log. Missing values are ""; only the date is required.

    https://developers.miro.com/reference/enterprise-get-audit-logs. Raises BadAnswer, also for another organization:
    the path of the call names none.
    """
    data = mapping(value)
    at = moment(data, "createdAt", where=where)
    if at is None or not EARLIEST_DATE <= at < LATEST_EVENT:
        raise BadAnswer(english("{where} has no date that can be right.").format(where=where), code="bad_date")
    named = clean(mapping(mapping(data.get("context")).get("organization")).get("id"))
    if named and named != organization_id:
        raise BadAnswer(
            english("{where} is about the organization {named}, not {organization_id}.").format(
                where=where, named=named, organization_id=organization_id
            ),
            code="wrong_organization",
        )
    doer, subject = mapping(data.get("createdBy")), mapping(data.get("object"))
    return VendorEvent(
        at=at,
        event=clean(data.get("event"), max_length=MAX_EVENT),
        by=clean(doer.get("name")) or clean(doer.get("email")),
        by_kind=clean(doer.get("type"), max_length=MAX_WORD),
        person_id=clean(subject.get("id"), max_length=MAX_WORD),
        person=clean(subject.get("name")),
        detail=_detail(mapping(data.get("details"))),
    )


def _detail(details: Mapping[str, Any]) -> str:
    """The plain values of an event's details, as text."""
    plain = {key: value for key, value in details.items() if isinstance(value, str | int | float) and value != ""}
    return clean("; ".join(f"{key}: {value}" for key, value in plain.items()))


def _word(value: object) -> str:
    """A license or role in Miro's words, in lower case. Miro may add words, so a new one is kept."""
    if isinstance(value, str) and len(value) <= MAX_WORD:
        return _short_word(value)
    return clean(value, max_length=MAX_WORD).lower() or UNKNOWN


@lru_cache(maxsize=64)
def _short_word(value: str) -> str:
    """Cached: a download reads the same few words a hundred thousand times."""
    return clean(value, max_length=MAX_WORD).lower() or UNKNOWN


def _admin_roles(value: object) -> tuple[str, ...]:
    """The names of the admin roles, prebuilt and custom. A role without a readable name counts as an unknown one.

    https://developers.miro.com/reference/enterprise-get-organization-member
    """
    roles = value if isinstance(value, list) else [value]
    names = {_admin_role(role) for role in roles[:MAX_ADMIN_ROLES]}
    return tuple(sorted(names, key=lambda name: (name.casefold(), name)))


def _admin_role(role: object) -> str:
    name = role.get("name") if isinstance(role, dict) else role
    return one_line(name, max_length=MAX_ADMIN_ROLE) or UNKNOWN_ADMIN_ROLE


def _why_not(role: str) -> str:
    if role == ADMIN:
        return IS_ADMIN
    if role in OUTSIDE:
        return NOT_MANAGED
    return "" if role in (INTERNAL, UNKNOWN) else NOT_KNOWN
