"""The whole connector against the sandbox, with the faults that happen in a real organization."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from integrations.connections.validation import is_fit
from integrations.connectors.contract import (
    BadAnswer,
    ConfigError,
    Finding,
    Member,
    OutcomeUnknown,
    PermanentError,
    TransientError,
)
from integrations.connectors.miro.connector import MiroConnector
from integrations.connectors.miro.sandbox.control import SandboxControl
from integrations.connectors.miro.validate import ERROR, NOT_CHECKED, OK, WARNING

Connect = Callable[[], MiroConnector]


def all_members(miro: MiroConnector) -> list[Member]:
    return [member for page in miro.members() for member in page.members]


def anybody(miro: MiroConnector) -> Member:
    return next(member for member in all_members(miro) if member.reclaimable and member.active)


def levels(findings: Iterable[Finding]) -> dict[str, str]:
    return {finding.title: finding.level for finding in findings}


@pytest.mark.parametrize("end", ["", None, "absent", "trailing_empty_page"])
@pytest.mark.parametrize("never", ["absent", None, ""])
def test_everybody_is_read_once(connect: Connect, control: SandboxControl, end: str | None, never: str | None) -> None:
    control.set_toggles(end_of_list=end, never_active=never)
    members = all_members(connect())
    assert len({member.external_id for member in members}) == len(members) == 230
    assert any(member.last_activity_at is None for member in members)


def test_deactivate_read_back_and_reactivate(connect: Connect, control: SandboxControl) -> None:
    miro = connect()
    person = anybody(miro)
    assert miro.deactivate(person.external_id).active is False
    assert miro.is_active(person.external_id) is False
    assert [found.active for found in miro.people({person.external_id: person.email})] == [False]
    assert miro.reactivate(person.external_id).active is True
    assert len(control.truth()["transitions"]) == 2


@pytest.mark.parametrize("patch_value", ["both", "boolean"])
def test_the_boolean_is_accepted(connect: Connect, control: SandboxControl, patch_value: str) -> None:
    control.set_toggles(patch_value=patch_value)
    miro = connect()
    assert miro.deactivate(anybody(miro).external_id).status == 200


def test_names_of_everybody_that_scim_knows(connect: Connect) -> None:
    miro = connect()
    known = {member.external_id for member in all_members(miro) if "internal" in member.role}
    people = [person for page in miro.directory() for person in page.people]
    assert {person.external_id for person in people} == known
    assert all(person.name for person in people)


def test_a_guest_is_unknown_to_scim(connect: Connect) -> None:
    miro = connect()
    guest = next(member for member in all_members(miro) if member.role == "organization_team_guest_user")
    assert not guest.reclaimable
    with pytest.raises(PermanentError, match="404"):
        miro.deactivate(guest.external_id)


def test_miro_refuses_a_company_admin(connect: Connect) -> None:
    miro = connect()
    admin = next(member for member in all_members(miro) if member.role == "organization_internal_admin")
    with pytest.raises(PermanentError, match="Miro refuses"):
        miro.deactivate(admin.external_id)


@pytest.mark.parametrize("loop", ["A-A", "A-B-A"])
def test_loops_of_cursors(connect: Connect, control: SandboxControl, loop: str) -> None:
    control.fault("cursor_loop", loop=loop, times=1000)
    with pytest.raises(BadAnswer, match="repeat in a loop"):
        all_members(connect())


@pytest.mark.parametrize("kind", ["error_before", "cut", "html", "truncated", "error_after"])
def test_a_read_survives_one_fault(connect: Connect, control: SandboxControl, kind: str) -> None:
    control.fault(kind, match={"path": "/members"}, after_requests=1)
    assert len(all_members(connect())) == 230


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("error_before", {}),
        ("error_after", {}),
        ("cut", {}),
        ("cut", {"after": True}),
        ("html", {"after": True}),
        ("truncated", {}),
        ("hang_after", {"seconds": 1.3}),
    ],
)
def test_a_write_is_sent_once_and_then_in_doubt(
    connect: Connect, control: SandboxControl, kind: str, options: dict[str, object]
) -> None:
    miro = connect()
    person = anybody(miro)
    control.fault(kind, match={"method": "PATCH"}, **options)
    with pytest.raises(OutcomeUnknown):
        miro.deactivate(person.external_id)
    patches = [request for request in control.requests() if request["method"] == "PATCH"]
    assert len(patches) == 1


def test_a_rate_limited_write_was_not_done(connect: Connect, control: SandboxControl) -> None:
    miro = connect()
    person = anybody(miro)
    control.fault("rate_limited", match={"method": "PATCH"})
    with pytest.raises(TransientError) as caught:
        miro.deactivate(person.external_id)
    assert caught.value.retry_after > 0
    assert miro.is_active(person.external_id)


@pytest.mark.parametrize("kind", ["missing_id"])
def test_a_broken_page_is_refused(connect: Connect, control: SandboxControl, kind: str) -> None:
    control.fault(kind, match={"path": "/members"})
    with pytest.raises(BadAnswer, match="Member 1 of"):
        all_members(connect())


def test_an_unknown_license_and_role_are_kept(connect: Connect, control: SandboxControl) -> None:
    control.fault("unknown_license", match={"path": "/members"})
    assert "platinum" in {member.license for member in all_members(connect())}


def test_an_empty_page_in_between(connect: Connect, control: SandboxControl) -> None:
    control.fault("empty_page", match={"path": "/members"}, after_requests=1)
    assert len(all_members(connect())) == 130


def test_another_organization(connect: Connect, control: SandboxControl) -> None:
    control.fault("wrong_organization")
    with pytest.raises(BadAnswer, match="organization"):
        connect().allocation()


def test_a_dead_scim_token(connect: Connect, control: SandboxControl) -> None:
    control.set_toggles(scim_token_valid=False)
    with pytest.raises(ConfigError) as caught:
        connect().is_active("3458767492991387268")
    assert caught.value.slot == "scim"


def test_a_good_connection_validates(connect: Connect) -> None:
    found = levels(connect().validate())
    assert set(found.values()) == {OK}
    assert list(found) == [
        "Access token",
        "Scope",
        "Organization ID",
        "Organization",
        "Company admin",
        "Members",
        "Clock",
        "Rate budget",
        "Only admins of teams",
        "Audit log",
        "SCIM API token",
        "Deactivation",
        "Same organization",
    ]


def test_optional_scopes_are_not_checked_where_they_are_missing(connect: Connect, control: SandboxControl) -> None:
    control.set_toggles(scopes=["organizations:read"])
    found = levels(connect().validate())
    assert (found.pop("Only admins of teams"), found.pop("Audit log")) == (NOT_CHECKED, NOT_CHECKED)
    assert set(found.values()) == {OK}


@pytest.mark.parametrize(
    ("switches", "title"),
    [
        ({"token_valid": False, "dead_token_status": 400}, "Access token"),
        ({"token_valid": False, "dead_token_status": 401}, "Access token"),
        ({"scopes": ["boards:read"]}, "The app does not have the scope organizations:read"),
        ({"scim_token_valid": False}, "SCIM API token"),
        ({"scim_enabled": False}, "SCIM API token"),
        ({"foreign_scim": True}, "The SCIM API token is for another organization"),
        ({"installer_role": "member"}, "The app was not installed by a company admin"),
        ({"patch_supported": False}, "SCIM cannot deactivate anybody"),
    ],
)
def test_each_problem_is_found_with_its_next_step(
    connect: Connect, control: SandboxControl, switches: dict[str, object], title: str
) -> None:
    control.set_toggles(**switches)
    findings = connect().validate()
    assert levels(findings)[title] == ERROR
    assert all(finding.next_step and finding.slot for finding in findings if finding.level != OK)


@pytest.mark.parametrize(
    "switches", [{"installer_role": "member"}, {"scopes": ["boards:read"]}, {"foreign_scim": True}]
)
def test_one_cause_is_one_error(connect: Connect, control: SandboxControl, switches: dict[str, object]) -> None:
    """Checks that are impossible because of it are not reported as further errors."""
    control.set_toggles(**switches)
    assert list(levels(connect().validate()).values()).count(ERROR) == 1


@pytest.mark.parametrize(("skew", "words"), [(7200, "behind Miro's"), (-7200, "ahead of Miro's")])
def test_a_clock_that_is_wrong_is_a_warning(connect: Connect, control: SandboxControl, skew: int, words: str) -> None:
    control.set_toggles(date_skew_seconds=skew)
    clock = next(finding for finding in connect().validate() if finding.title == "Clock")
    assert (clock.level, words in clock.detail, "NTP" in clock.next_step) == (WARNING, True, True)


def test_a_budget_that_others_have_used_up_is_a_warning(connect: Connect, control: SandboxControl) -> None:
    connector = connect()
    for _ in range(165):
        connector.allocation()
    found = next(finding for finding in connect().validate() if finding.title == "Rate budget")
    assert (found.level, "RATE_SHARE" in found.next_step) == (WARNING, True)


def test_a_scim_token_of_another_organization_is_reported(connect: Connect, control: SandboxControl) -> None:
    control.set_toggles(foreign_scim=True)
    [wrong] = [finding for finding in connect().validate() if finding.level == ERROR]
    assert wrong.title == "The SCIM API token is for another organization"
    assert "SCIM knows none of 3 members" in wrong.detail


def test_without_a_member_to_compare_nothing_is_concluded(connect: Connect, control: SandboxControl) -> None:
    control.fault("empty_page", match={"path": "/members"}, times=1000)
    found = levels(connect().validate())
    assert (found["Members"], found["Same organization"]) == (WARNING, NOT_CHECKED)


@pytest.mark.parametrize(
    "kind", ["error_before", "cut", "html", "other_json", "rate_limited", "truncated", "wrong_organization"]
)
def test_validation_never_raises(connect: Connect, control: SandboxControl, kind: str) -> None:
    control.fault(kind, times=1000)
    assert not is_fit(connect().validate())


def test_a_page_that_is_no_list_of_users_does_not_prove_a_token(connect: Connect, control: SandboxControl) -> None:
    control.fault("other_json", times=1000, match={"path": "/Users"})
    assert levels(connect().validate())["SCIM API token"] == NOT_CHECKED


def test_validation_changes_nothing(connect: Connect, control: SandboxControl) -> None:
    connect().validate()
    assert control.truth()["transitions"] == []
    assert {request["method"] for request in control.requests()} == {"GET"}
