from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from integrations.connectors.contract import BadAnswer
from integrations.connectors.miro import parse
from integrations.connectors.scim import ENTERPRISE_USER
from tests.support.vendor.miro_members import raw

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
FIELDS = ("id", "email", "active", "license", "role", "licenseAssignedAt", "lastActivityAt", "adminRoles")
WHERE = "Member 1"
NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


def test_a_member_as_miro_documents_it() -> None:
    member = parse.member(raw(), where=WHERE, now=NOW)
    assert (member.external_id, member.email, member.active) == ("3074457345821140934", "ada@example.com", True)
    assert member.last_activity_at == datetime(2024, 4, 12, 15, 4, 4, tzinfo=UTC)
    assert member.license_assigned_at == datetime(2024, 4, 11, 15, 4, 4, 89_000, tzinfo=UTC)
    assert (member.reclaimable, member.why_not) == (True, "")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("1970-01-01T00:00:00Z", "1970-01-01"),
        ("0001-01-01T00:00:00Z", "0001-01-01"),
        ("0001-01-01T00:00:00+14:00", "0001-01-01"),
        ("2010-12-31T23:59:59Z", "2010-12-31"),
        ("2026-11-28T12:00:01Z", "2026-11-28"),
        ("2099-01-01T00:00:00Z", "2099-01-01"),
    ],
)
def test_a_date_that_cannot_be_right_is_unknown_and_noted(text: str, shown: str) -> None:
    """None alone would mean *never active*, which is not known."""
    active = parse.member(raw(lastActivityAt=text), where=WHERE, now=NOW)
    assert (active.last_activity_at, active.implausible_dates) == (None, f"last activity {shown}")
    assigned = parse.member(raw(licenseAssignedAt=text), where=WHERE, now=NOW)
    assert (assigned.license_assigned_at, assigned.implausible_dates) == (None, f"license date {shown}")
    both = parse.member(raw(licenseAssignedAt=text, lastActivityAt=text), where=WHERE, now=NOW)
    assert both.implausible_dates == f"last activity {shown}, license date {shown}"


@pytest.mark.parametrize("text", ["2011-01-01T00:00:00Z", "2026-11-28T12:00:00Z"])
def test_the_first_day_and_tomorrow_can_be_right(text: str) -> None:
    found = parse.member(raw(lastActivityAt=text), where=WHERE, now=NOW)
    assert (found.last_activity_at, found.implausible_dates) == (datetime.fromisoformat(text), "")


@pytest.mark.parametrize("value", [None, ""])
def test_no_activity_is_never(value: object) -> None:
    assert parse.member(raw(lastActivityAt=value), where=WHERE, now=NOW).last_activity_at is None


def test_an_absent_date_is_never() -> None:
    data = raw()
    del data["lastActivityAt"]
    assert parse.member(data, where=WHERE, now=NOW).last_activity_at is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-04-11T15:04:04Z", datetime(2024, 4, 11, 15, 4, 4, tzinfo=UTC)),
        ("2024-04-11T15:04:04.1Z", datetime(2024, 4, 11, 15, 4, 4, 100_000, tzinfo=UTC)),
        ("2024-04-11T15:04:04.123456789Z", datetime(2024, 4, 11, 15, 4, 4, 123_456, tzinfo=UTC)),
        ("2024-04-11T15:04:04+02:00", datetime(2024, 4, 11, 13, 4, 4, tzinfo=UTC)),
        ("2024-04-11T15:04:04.840+0000", datetime(2024, 4, 11, 15, 4, 4, 840_000, tzinfo=UTC)),
        ("2024-04-11T15:04:04", datetime(2024, 4, 11, 15, 4, 4, tzinfo=UTC)),
        ("2024-04-11", datetime(2024, 4, 11, tzinfo=UTC)),
    ],
)
def test_dates_in_many_formats_become_utc(text: str, expected: datetime) -> None:
    found = parse.moment({"at": text}, "at", where=WHERE)
    assert found == expected
    assert found is not None
    assert found.utcoffset() == timedelta(0)


@pytest.mark.parametrize("value", ["never", " ", "2024-13-01T00:00:00Z", 0, 1712847844, False, [], {}])
def test_a_garbage_date_does_not_mean_never(value: object) -> None:
    with pytest.raises(BadAnswer, match="Member 1, lastActivityAt: not a date"):
        parse.member(raw(lastActivityAt=value), where=WHERE, now=NOW)


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=36_500)), st.integers(-23, 23))
def test_every_date_survives(since: timedelta, offset: int) -> None:
    value = datetime(1990, 1, 1, tzinfo=timezone(timedelta(hours=offset))) + since
    assert parse.moment({"at": value.isoformat()}, "at", where=WHERE) == value


@given(ANYTHING)
def test_garbage_dates_are_refused_and_nothing_else_happens(value: object) -> None:
    try:
        found = parse.moment({"at": value}, "at", where=WHERE)
    except BadAnswer:
        return
    assert found is None or found.utcoffset() == timedelta(0)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, ANYTHING)))
def test_garbage_members_are_refused_or_storable(changes: dict[str, Any]) -> None:
    try:
        member = parse.member(raw(**changes), where=WHERE, now=NOW)
    except BadAnswer:
        return
    for text in (member.email, member.license, member.role, member.external_id, *member.admin_roles):
        text.encode()
        assert "\x00" not in text
        assert len(text) <= 254


UNKNOWN_ROLE = ("Unknown admin role",)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([], ()),
        (None, ()),
        ([{"type": "prebuilt", "name": "User Admin"}], ("User Admin",)),
        ([{"type": "custom", "name": "zoo keepers"}, {"name": "Content Admin"}], ("Content Admin", "zoo keepers")),
        ([{"name": "User Admin"}, {"name": " User  Admin\n"}], ("User Admin",)),
        (["Legal Hold Admin"], ("Legal Hold Admin",)),
        ("User Admin", ("User Admin",)),
        ({"type": "prebuilt", "name": "User Admin"}, ("User Admin",)),
        ([{"name": "a\u202eb\x1b[31m\r\nc\x00"}], ("a b [31m c",)),
        ([{"name": None}], UNKNOWN_ROLE),
        ([{"type": "prebuilt"}], UNKNOWN_ROLE),
        ([None], UNKNOWN_ROLE),
        ([[]], UNKNOWN_ROLE),
        (True, UNKNOWN_ROLE),
        ([{"name": 7}], ("7",)),
        ([{"name": "x" * 500}], ("x" * 100,)),
    ],
)
def test_admin_roles_are_read_in_many_forms(value: object, expected: tuple[str, ...]) -> None:
    """Something else than a role from Miro makes the person count as somebody with an admin role."""
    assert parse.member(raw(adminRoles=value), where=WHERE, now=NOW).admin_roles == expected


def test_the_order_of_admin_roles_is_no_contradiction() -> None:
    roles = [{"name": "User Admin"}, {"name": "Content Admin"}]
    found = parse.members([raw(adminRoles=roles), raw(adminRoles=roles[::-1])], now=NOW)
    assert [member.admin_roles for member in found] == [("Content Admin", "User Admin")]


PAT = {"formatted": "Pat Q. Lee", "givenName": "Pat", "familyName": "Lee"}


@pytest.mark.parametrize(
    ("user", "name", "given"),
    [
        ({"displayName": "Patricia Lee", "name": PAT}, "Patricia Lee", "Pat"),
        ({"name": PAT}, "Pat Q. Lee", "Pat"),
        ({"displayName": None, "name": PAT}, "Pat Q. Lee", "Pat"),
        ({"displayName": "  ", "name": {**PAT, "formatted": ""}}, "Pat Lee", "Pat"),
        ({"name": {"givenName": "Pat"}}, "Pat", "Pat"),
        ({"name": {"familyName": "Lee"}}, "Lee", ""),
        ({"name": {"givenName": ["Pat"], "familyName": {}, "formatted": 3.5}}, "", ""),
        ({"displayName": "Pat\r\nBcc: x\x00\u202e", "name": None}, "Pat Bcc: x", ""),
        ({"name": "Pat Lee"}, "Pat Lee", ""),
        ({"name": []}, "", ""),
        ({}, "", ""),
    ],
)
def test_names_of_a_scim_user(user: dict[str, Any], name: str, given: str) -> None:
    person = parse.person({"id": "7", **user})
    assert person is not None
    assert (person.name, person.given_name) == (name, given)


@pytest.mark.parametrize(
    ("manager", "expected"),
    [
        ({"value": "34", "displayName": "Ada Ng", "$ref": "../Users/34"}, ("Ada Ng", "34")),
        ({"value": 34}, ("", "34")),
        ({"displayName": "Ada Ng"}, ("Ada Ng", "")),
        ("Ada Ng", ("Ada Ng", "")),
        ("ada@example.com", ("ada@example.com", "")),
        ("34587645", ("", "34587645")),
        (34587645, ("", "34587645")),
        ([{"value": "34", "displayName": "Ada Ng"}], ("Ada Ng", "34")),
        ([], ("", "")),
        (None, ("", "")),
        ({"value": None, "displayName": {}}, ("", "")),
        (True, ("", "")),
        ("M" * 10_000, ("M" * 254, "")),
    ],
)
def test_managers_in_many_forms(manager: object, expected: tuple[str, str]) -> None:
    person = parse.person({"id": "7", ENTERPRISE_USER: {"manager": manager}})
    assert person is not None
    assert (person.manager, person.manager_id) == expected


def test_the_company_of_a_scim_user() -> None:
    company = {"division": "Market", "employeeNumber": 4711, "department": ["Sales"], "costCenter": "C\x07 1"}
    for key in (ENTERPRISE_USER, ENTERPRISE_USER.replace(":User", ":user")):
        person = parse.person({"id": "7", key: company})
        assert person is not None
        assert (person.division, person.employee_number) == ("Market", "4711")
        assert (person.department, person.cost_center) == ("", "C 1")
    number = parse.person({"id": "7", ENTERPRISE_USER: {"employeeNumber": 10**4000}})
    assert number is not None
    assert number.employee_number == ""


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["displayName", "name", ENTERPRISE_USER, "id"]), ANYTHING))
def test_garbage_users_are_storable(user: dict[str, Any]) -> None:
    for values in (
        user,
        {**user, "id": "7", ENTERPRISE_USER: {"manager": user.get("name"), "division": user.get("id")}},
    ):
        person = parse.person(values)
        for text in (person.name, person.manager, person.manager_id, person.division) if person else ():
            text.encode()
            assert len(text) <= 254
            assert text == "" or text.isprintable() or not text.isascii()


@given(ANYTHING)
def test_garbage_answers_are_refused(value: object) -> None:
    if value != []:
        with pytest.raises(BadAnswer):
            parse.members(value, now=NOW)
    with pytest.raises(BadAnswer):
        parse.allocation(value)


def test_text_that_cannot_be_stored_is_cleaned() -> None:
    mail = json.loads('"a\\u0000b\\ud800c@example.com"')
    assert parse.member(raw(email=mail), where=WHERE, now=NOW).email == "abc@example.com"
    assert len(parse.member(raw(email="x" * 1000), where=WHERE, now=NOW).email) == 254


def test_a_missing_address_is_kept_as_empty() -> None:
    assert parse.member(raw(email=None), where=WHERE, now=NOW).email == ""


@pytest.mark.parametrize(("value", "expected"), [("Platinum", "platinum"), ("", "unknown"), (None, "unknown")])
def test_new_words_are_kept(value: object, expected: str) -> None:
    member = parse.member(raw(license=value, role=value), where=WHERE, now=NOW)
    assert (member.license, member.role) == (expected, expected)


def test_a_role_that_nobody_knows_yet_is_left_alone() -> None:
    """It may be a new kind of admin."""
    member = parse.member(raw(role="Organization_Owner"), where=WHERE, now=NOW)
    assert (member.reclaimable, member.why_not) == (False, parse.NOT_KNOWN)
    assert parse.member(raw(license="platinum"), where=WHERE, now=NOW).reclaimable


@pytest.mark.parametrize(
    ("role", "why_not"),
    [
        ("organization_internal_admin", parse.IS_ADMIN),
        ("ORGANIZATION_INTERNAL_ADMIN", parse.IS_ADMIN),
        ("organization_external_user", parse.NOT_MANAGED),
        ("organization_team_guest_user", parse.NOT_MANAGED),
    ],
)
def test_roles_that_cannot_be_reclaimed(role: str, why_not: str) -> None:
    member = parse.member(raw(role=role), where=WHERE, now=NOW)
    assert (member.reclaimable, member.why_not) == (False, why_not)


@pytest.mark.parametrize("value", [None, "", 3074457345821140934, "..", "a/b", "a?b", "1" * 41, "1\n", "%2e", True])
def test_an_invalid_id_names_the_place_and_does_not_show_the_value(value: object) -> None:
    with pytest.raises(BadAnswer, match="Member 2 of Miro's answer has no usable id") as caught:
        parse.members([raw(), raw(id=value)], now=NOW)
    assert "ada" not in str(caught.value)


@pytest.mark.parametrize("value", [None, "true", 1, "no"])
def test_whether_somebody_is_active_is_not_guessed(value: object) -> None:
    with pytest.raises(BadAnswer, match="active"):
        parse.member(raw(active=value), where=WHERE, now=NOW)


def test_the_same_member_twice_is_one_and_a_contradiction_is_refused() -> None:
    assert len(parse.members([raw(), raw()], now=NOW)) == 1
    with pytest.raises(BadAnswer, match="Member 2 of Miro's answer contradicts"):
        parse.members([raw(), raw(active=False)], now=NOW)


@pytest.mark.parametrize("data", [{}, {"cursor": ""}, {"cursor": None}])
def test_every_form_of_the_end(data: dict[str, Any]) -> None:
    assert parse.next_cursor(data) == ""


@pytest.mark.parametrize("value", [7, ["a"], "x" * 201, "a\x00"])
def test_an_unusable_cursor_is_refused(value: object) -> None:
    with pytest.raises(BadAnswer, match="cursor"):
        parse.next_cursor({"cursor": value})


@pytest.mark.parametrize(("full", "purchased"), [(7, {"full": 7}), (-1, {}), (None, {}), (True, {}), ("7", {})])
def test_licenses_bought_as_far_as_miro_reports_them(full: object, purchased: dict[str, int]) -> None:
    found = parse.allocation({"id": "1", "name": "N", "plan": "company", "fullLicensesPurchased": full})
    assert found.purchased == purchased


def test_a_persons_names() -> None:
    data = {"id": "1", "displayName": "Ada", ENTERPRISE_USER: {"department": "R&D", "costCenter": "42"}}
    found = parse.person(data)
    assert found is not None
    assert (found.name, found.department, found.cost_center) == ("Ada", "R&D", "42")


def test_a_person_without_a_display_name() -> None:
    found = parse.person({"id": "1", "name": {"formatted": "Ada L."}})
    assert found is not None
    assert (found.name, found.department) == ("Ada L.", "")
    assert parse.person({"displayName": "Nobody"}) is None
