from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from integrations.connectors.miro.sandbox.state.seed import ADMIN, INTERNAL
from tests.support.vendor.sandbox_client import PATCH_OP, Client

Make = Callable[..., Client]


def test_list_pages_and_counts(make: Make) -> None:
    miro = make(400)
    known = sorted(member.id for member in miro.people() if member.role in INTERNAL)
    first = miro.users()
    assert (first["totalResults"], first["itemsPerPage"], first["startIndex"]) == (len(known), 100, 1)
    assert miro.users(count=0)["Resources"] == []
    everybody = miro.users(count=5000, startIndex=0)
    assert [user["id"] for user in everybody["Resources"]] == known
    assert [user["id"] for user in miro.users(startIndex=3, count=2)["Resources"]] == known[2:4]
    assert miro.users(startIndex=9999)["itemsPerPage"] == 0
    assert miro.scim("/Users", params={"count": "many"}).status_code == 400


@pytest.mark.parametrize(
    "text,test",
    [
        ('userName eq "{email}"', lambda u, m: u["userName"] == m.email),
        ('USERNAME EQ "{upper}"', lambda u, m: u["userName"] == m.email),
        ("active eq true", lambda u, m: u["active"]),
        ("(active eq false)", lambda u, m: not u["active"]),
        ("not (active eq true)", lambda u, m: not u["active"]),
        ('displayName co "ar"', lambda u, m: "ar" in u["displayName"].casefold()),
        ('displayName sw "a"', lambda u, m: u["displayName"].casefold().startswith("a")),
        ('userType ne "Full"', lambda u, m: u["userType"] != "Full"),
        ('id eq "{id}"', lambda u, m: u["id"] == m.id),
        ('id gt "{id}"', lambda u, m: u["id"] > m.id),
        ('emails.value ew "example"', lambda u, m: True),
        ('groups.value eq "{team}"', lambda u, m: any(g["value"] == TEAM[0] for g in u["groups"])),
        ('userType pr and (userType eq "Free" or userType eq "Free Restricted")',
         lambda u, m: u["userType"] in {"Free", "Free Restricted"}),
        ('active eq true and userType eq "Full" or id eq "{id}"',
         lambda u, m: (u["active"] and u["userType"] == "Full") or u["id"] == m.id),
        ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department pr",
         lambda u, m: "department" in u["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"]),
    ],
)  # fmt: skip
def test_filters(miro: Client, text: str, test: Callable[..., bool]) -> None:
    member = miro.ordinary()
    TEAM[:] = [next(iter(miro.sandbox.world.teams))]
    text = text.format(email=member.email, upper=member.email.upper(), id=member.id, team=TEAM[0])
    wanted = [user["id"] for user in miro.users(count=1000)["Resources"] if test(user, member)]
    found = [user["id"] for user in miro.users(count=1000, filter=text)["Resources"]]
    assert found == wanted and found


TEAM: list[str] = []


@pytest.mark.parametrize(
    "text", ["active", "active eq", "active is true", "(active eq true", "active eq true)", "color eq 1", 'a "',
             "userName eq unquoted", "active gt true", "not active eq true"],
)  # fmt: skip
def test_unreadable_filters_are_400(miro: Client, text: str) -> None:
    response = miro.scim("/Users", params={"filter": text})
    assert (response.status_code, response.json()["scimType"]) == (400, "invalidFilter")


def test_attributes_and_sorting(miro: Client) -> None:
    user = miro.users(attributes="userName,emails.value")["Resources"][0]
    assert set(user) == {"schemas", "id", "userName", "emails"} and set(user["emails"][0]) == {"value"}
    names = [u["userName"].casefold() for u in miro.users(sortBy="userName", sortOrder="descending")["Resources"]]
    assert names == sorted(names, reverse=True)


def test_names_and_cost_centers(miro: Client) -> None:
    user = miro.scim(f"/Users/{miro.ordinary().id}").json()
    assert user["displayName"] and user["name"]["familyName"]
    extensions = [
        item["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"] for item in miro.users()["Resources"]
    ]
    assert any("costCenter" in item and "department" in item for item in extensions)


@pytest.mark.parametrize("op", ["Replace", "replace", "Add"])
@pytest.mark.parametrize("value", [False, "false", "False"])
def test_deactivate_and_back(miro: Client, op: str, value: Any) -> None:
    member = miro.ordinary()
    response = miro.patch(member.id, value, op=op)
    assert response.status_code == 200 and response.json()["active"] is False
    assert response.json()["userName"] == member.email
    assert miro.patch(member.id, value).status_code == 200, "again is no error"
    assert miro.rest(f"{miro.members_path}/{member.id}").json()["active"] is False
    assert miro.patch(member.id, True).json()["active"] is True
    steps = [(step["from"], step["to"], step["by"]) for step in miro.control.truth()["transitions"]]
    assert steps == [(True, False, "scim"), (False, True, "scim")]


@pytest.mark.parametrize("form,value,status", [("string", False, 400), ("string", "false", 200),
                                               ("boolean", "false", 400), ("boolean", False, 200)])  # fmt: skip
def test_patch_value_forms(miro: Client, form: str, value: Any, status: int) -> None:
    miro.control.set_toggles(patch_value=form)
    assert miro.patch(miro.ordinary().id, value).status_code == status


@pytest.mark.parametrize(
    "body,status",
    [
        ({"schemas": [PATCH_OP], "Operations": [{"op": "replace", "value": {"active": False}}]}, 400),
        ({"schemas": [PATCH_OP], "Operations": []}, 400),
        ({"Operations": [{"op": "Replace", "path": "active", "value": False}]}, 400),
        ({"schemas": [PATCH_OP], "Operations": [{"op": "Replace", "path": "active", "value": 0}]}, 400),
        ({"schemas": [PATCH_OP], "Operations": [{"op": "Replace", "path": "shoe", "value": "x"}]}, 400),
        ({"schemas": [PATCH_OP], "Operations": [{"op": "Replace", "path": "userType", "value": "Free"}]}, 400),
        ({"schemas": [PATCH_OP], "Operations": [{"op": "Replace", "path": "active", "value": False},
                                                {"op": "Replace", "path": "shoe", "value": "x"}]}, 400),
        ([], 400),
    ],
)  # fmt: skip
def test_bad_patches_change_nothing(miro: Client, body: Any, status: int) -> None:
    response = miro.scim(f"/Users/{miro.ordinary().id}", method="PATCH", json=body)
    assert response.status_code == status and response.json()["status"] == str(status)
    assert miro.control.truth()["transitions"] == []


def test_guests_and_strangers_are_unknown(miro: Client) -> None:
    for member in miro.people():
        if member.role not in INTERNAL:
            assert miro.scim(f"/Users/{member.id}").status_code == 404
            assert miro.patch(member.id).status_code == 404
    assert miro.patch("1").json()["detail"].startswith("No valid resources")


def test_admins_are_refused_unless_switched(make: Make) -> None:
    miro = make(400)
    world = miro.sandbox.world
    admin = next(member for member in miro.people() if member.role == ADMIN)
    lonely = next(m for m in miro.people() if m.active and m.role != ADMIN and world.teams_without_other_admin(m.id))
    for member in (admin, lonely):
        response = miro.patch(member.id)
        assert (response.status_code, response.json()["status"]) == (409, "409")
    miro.control.set_toggles(company_admin_deactivation="allow", team_admin_deactivation="allow")
    assert [miro.patch(member.id).status_code for member in (admin, lonely)] == [200, 200]


def test_deactivated_people_keep_their_name_and_license(miro: Client) -> None:
    member = miro.ordinary()
    miro.patch(member.id)
    assert miro.patch(member.id, "new@northfield.example", path="userName").status_code == 409
    miro.control.set_toggles(deactivated_license="freed")
    assert miro.scim(f"/Users/{member.id}").json()["userType"] == "Free"
    assert miro.rest(f"{miro.members_path}/{member.id}").json()["license"] == "free"


def test_other_paths(miro: Client) -> None:
    member = miro.ordinary()
    for field, value in (("displayName", "New Name"), ("userType", "Full"), ("userName", "n@northfield.example")):
        assert miro.patch(member.id, value, path=field).json()[field] == value


def test_errors(miro: Client) -> None:
    member = miro.ordinary().id
    assert miro.scim("/Users", token="x").status_code == 401
    assert miro.scim(f"/Users/{member}", method="DELETE").status_code == 405
    assert miro.scim(f"/Users/{member}", method="DELETE").headers["Allow"] == "GET, PATCH, PUT"
    assert miro.scim("/Users", method="POST", json={}).status_code == 405
    assert miro.scim("/Nothing").status_code == 404
    assert miro.patch(member, headers={"Content-Type": "text/plain"}).status_code == 415
    assert miro.patch(member, headers={"Content-Type": "application/scim+json; charset=utf-8"}).status_code == 200
    assert miro.scim(f"/Users/{member}", method="PATCH", data="x" * 800_001).status_code == 413
    miro.control.set_toggles(scim_enabled=False)
    assert miro.scim("/Users").status_code == 403
    miro.control.set_toggles(scim_token_valid=False)
    assert miro.scim("/Users").status_code == 401


def test_a_token_of_another_organization_knows_only_others(miro: Client) -> None:
    ours = {member.id for member in miro.people()}
    miro.control.set_toggles(foreign_scim=True)
    theirs = {user["id"] for user in miro.users()["Resources"]}
    assert theirs and not theirs & ours
    assert miro.patch(miro.ordinary().id).status_code == 404


def test_patches_in_thirty_seconds(miro: Client) -> None:
    miro.control.clock(now="2030-01-01T00:00:00Z")
    statuses = [miro.patch("1").status_code for _ in range(101)]
    assert statuses == [404] * 100 + [429]
    body = miro.patch("1").json()
    assert body["scimType"] == "tooManyRequests" and body["status"] == "429"
    assert miro.scim("/Users").status_code == 200, "reading has a budget of its own"
    miro.control.clock(now="2030-01-01T00:00:31Z")
    assert miro.patch("1").status_code == 404
    miro.control.set_toggles(rate_limits=False)
    assert {miro.scim("/Users?count=0").status_code for _ in range(201)} == {200}
