"""PUT and discovery: https://developers.miro.com/reference/updateuser-1 and RFC 7644, sections 3.5.1 and 4."""

from __future__ import annotations

from typing import Any

import pytest

from integrations.connectors.miro.sandbox.scim.discovery import ENTERPRISE
from tests.support.vendor.sandbox_client import Client


def read(miro: Client, member: str) -> dict[str, Any]:
    found: dict[str, Any] = miro.scim(f"/Users/{member}").json()
    return found


def put(miro: Client, member: str, body: Any) -> Any:
    return miro.scim(f"/Users/{member}", method="PUT", json=body)


def test_a_user_is_replaced(miro: Client) -> None:
    member = miro.ordinary().id
    changed = {**read(miro, member), "displayName": "New Name"}
    assert put(miro, member, changed).json()["displayName"] == "New Name"
    assert miro.control.truth()["transitions"] == []


def test_a_put_without_a_change_changes_nothing(miro: Client) -> None:
    member = miro.ordinary().id
    before = read(miro, member)
    assert put(miro, member, before).status_code == 200
    assert read(miro, member) == before


def test_a_deactivation_is_a_transition(miro: Client) -> None:
    member = miro.ordinary().id
    assert put(miro, member, {**read(miro, member), "active": False}).json()["active"] is False
    [step] = miro.control.truth()["transitions"]
    assert (step["id"], step["from"], step["to"], step["by"]) == (member, True, False, "scim")


def test_a_deactivated_user_keeps_name_license_and_role(miro: Client) -> None:
    member = miro.ordinary().id
    put(miro, member, {**read(miro, member), "active": False})
    answer = put(miro, member, {**read(miro, member), "userName": "other@x.example"})
    assert answer.status_code == 409


def test_a_license_cannot_be_lowered(miro: Client) -> None:
    member = next(member.id for member in miro.people() if member.license == "full" and "internal_user" in member.role)
    assert put(miro, member, {**read(miro, member), "userType": "Free"}).status_code == 400


@pytest.mark.parametrize("body", ["[]", "{"])
def test_nonsense_is_refused(miro: Client, body: str) -> None:
    headers = {"Content-Type": "application/scim+json"}
    answer = miro.scim(f"/Users/{miro.ordinary().id}", method="PUT", data=body, headers=headers)
    assert answer.status_code == 400


def test_a_guest_is_unknown(miro: Client) -> None:
    guest = next(member.id for member in miro.people() if "guest" in member.role)
    assert put(miro, guest, {"active": False}).status_code == 404


def test_discovery_lists_all_resources(miro: Client) -> None:
    types = miro.scim("/ResourceTypes").json()
    assert [found["name"] for found in types["Resources"]] == ["User", "Group"]
    for found in types["Resources"]:
        assert miro.scim(f"/Schemas/{found['schema']}").json()["id"] == found["schema"]
    assert miro.scim("/Schemas/urn:none").status_code == 404
    assert miro.scim("/Schemas", method="PUT").status_code == 405


def test_patch_need_not_be_announced(miro: Client) -> None:
    miro.control.set_toggles(patch_supported=False)
    assert miro.scim("/ServiceProviderConfig").json()["patch"] == {"supported": False}


@pytest.mark.parametrize("change", [{"roles": "x"}, {"roles": ["x"]}, {ENTERPRISE: "x"}, {"active": 0}])
def test_values_of_another_kind_are_refused(miro: Client, change: dict[str, Any]) -> None:
    member = miro.ordinary().id
    answer = put(miro, member, {**read(miro, member), **change})
    assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidValue")


def test_an_address_belongs_to_one_user(miro: Client) -> None:
    member, other = miro.ordinary(), miro.people()[-1]
    for answer in (
        put(miro, member.id, {**read(miro, member.id), "userName": other.email.upper()}),
        miro.patch(member.id, other.email, path="userName"),
    ):
        assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidValue")
        assert "not unique" in answer.json()["detail"]
    assert put(miro, member.id, {**read(miro, member.id), "userName": member.email.swapcase()}).status_code == 200


@pytest.mark.parametrize("toggles", [{"deactivated_license": "freed"}, {"patch_value": "string"}])
def test_an_answer_can_be_sent_back_unchanged(miro: Client, toggles: dict[str, str]) -> None:
    miro.control.set_toggles(**toggles)
    for user in miro.users(count=1000)["Resources"]:
        assert put(miro, user["id"], user).json() == user
    assert miro.control.truth()["transitions"] == []


def test_a_freed_license_does_not_prevent_reactivation(miro: Client) -> None:
    miro.control.set_toggles(deactivated_license="freed")
    member = miro.ordinary().id
    miro.patch(member)
    assert put(miro, member, {**read(miro, member), "active": True}).json()["active"] is True


def test_puts_in_thirty_seconds(miro: Client) -> None:
    miro.control.clock(now="2030-01-01T00:00:00Z")
    assert [put(miro, "1", {}).status_code for _ in range(101)] == [404] * 100 + [429]
