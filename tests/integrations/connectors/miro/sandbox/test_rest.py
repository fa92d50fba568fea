from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import requests

from integrations.connectors.miro.sandbox.state.seed import LICENSES, ROLES
from tests.support.vendor.sandbox_client import Client

Make = Callable[..., Client]


def test_organization_buys_at_least_what_is_used(miro: Client) -> None:
    body = miro.rest(f"/v2/orgs/{miro.urls['organization_id']}").json()
    used = sum(member.active and member.license == "full" for member in miro.people())
    assert body["fullLicensesPurchased"] > used
    miro.control.set_toggles(full_licenses_purchased=3)
    assert miro.rest(f"/v2/orgs/{miro.urls['organization_id']}").json()["fullLicensesPurchased"] == 3


@pytest.mark.parametrize("members", [1, 5, 20, 99, 100, 101, 200, 201])
@pytest.mark.parametrize("end", ["", None, "absent", "trailing_empty_page"])
def test_paging_gives_everybody_once_for_each_form_of_the_end(make: Make, members: int, end: Any) -> None:
    miro = make(members)
    miro.control.set_toggles(end_of_list=end)
    pages = miro.pages()
    ids = [member["id"] for page in pages for member in page["data"]]
    assert len(ids) == len(set(ids)) == members
    assert ids == sorted(ids)
    assert all(page["size"] == len(page["data"]) and page["type"] == "cursor-list" for page in pages)
    assert len(pages) == -(-members // 100) + (end == "trailing_empty_page")
    assert pages[-1].get("cursor", "absent") == ("" if end == "trailing_empty_page" else end)


@pytest.mark.parametrize("name,values", [("license", LICENSES), ("role", ROLES), ("active", ("true", "false"))])
def test_filters_split_the_whole_list(miro: Client, name: str, values: tuple[str, ...]) -> None:
    found = {value: [m for page in miro.pages(**{name: value}) for m in page["data"]] for value in values}
    assert all(str(member[name]).lower() == value for value, group in found.items() for member in group)
    assert all(found.values()), "every value occurs"
    assert sum(len(group) for group in found.values()) == 100


@pytest.mark.parametrize(
    "query",
    [{"limit": 0}, {"limit": 101}, {"limit": "x"}, {"limit": -1}, {"license": "platinum"}, {"role": "x"},
     {"active": "yes"}, {"cursor": "abc"}, {"emails": ",".join(f"a{n}@b.c" for n in range(11))}],
)  # fmt: skip
def test_bad_parameters_are_400(miro: Client, query: dict[str, Any]) -> None:
    response = miro.rest(miro.members_path, **query)
    assert (response.status_code, response.json()["code"]) == (400, "invalidParameters")
    assert response.json()["context"]["fields"][0]["field"] in query


def test_by_emails_is_a_bare_array_that_ignores_other_filters(miro: Client) -> None:
    members = [member for member in miro.people() if "+" in member.email][:1] + miro.people()[:3]
    addresses = [member.email.swapcase() for member in members] + ["nobody@else.example"]
    body = miro.rest(miro.members_path, emails=",".join(addresses), active="false", limit=1).json()
    assert {item["id"] for item in body} == {member.id for member in members}


def test_one_member_and_an_unknown_one(miro: Client) -> None:
    member = miro.people()[0]
    assert miro.rest(f"{miro.members_path}/{member.id}").json()["email"] == member.email
    response = miro.rest(f"{miro.members_path}/1")
    assert (response.status_code, response.json()["code"]) == (404, "notFound")


@pytest.mark.parametrize("form,shown", [("absent", "missing"), (None, None), ("", "")])
def test_never_active(miro: Client, form: Any, shown: Any) -> None:
    miro.control.set_toggles(never_active=form)
    never = next(member for member in miro.people() if member.last_activity_at is None)
    assert miro.rest(f"{miro.members_path}/{never.id}").json().get("lastActivityAt", "missing") == shown


def test_teams_and_their_people(make: Make) -> None:
    miro = make(400)
    page = miro.rest(miro.teams_path, limit=3).json()
    assert page["size"] == 3 and page["cursor"] == page["data"][-1]["id"]
    for team in miro.rest(miro.teams_path).json()["data"]:
        people = miro.rest(f"{miro.teams_path}/{team['id']}/members").json()["data"]
        admins = miro.rest(f"{miro.teams_path}/{team['id']}/members", role="admin").json()["data"]
        assert admins and [item for item in people if item["role"] == "admin"] == admins
    assert miro.rest(f"{miro.teams_path}/1/members").status_code == 404
    assert miro.rest(f"{miro.teams_path}/{team['id']}/members", role="boss").status_code == 400
    assert miro.rest(miro.teams_path, name="ROADMAP").json()["size"] == 1


def test_token_context(miro: Client) -> None:
    body = miro.rest("/v1/oauth-token").json()
    assert body["organization"]["id"] == miro.urls["organization_id"]
    assert "organizations:read" in body["scopes"]


def test_tokens(miro: Client) -> None:
    missing = requests.get(miro.urls["api_url"] + miro.members_path, timeout=30)
    assert (missing.status_code, missing.json()["code"]) == (401, "tokenNotProvided")
    unknown = miro.rest(miro.members_path, token="x")
    assert (unknown.status_code, unknown.json()["code"]) == (401, "tokenNotFound")
    for status in (400, 401):
        miro.control.set_toggles(dead_token_status=status)
        assert miro.rest("/v1/oauth-token", token="x").status_code == status
    miro.control.set_toggles(token_valid=False)
    assert miro.rest(miro.members_path).status_code == 401


def test_scopes_organization_path_and_method(miro: Client) -> None:
    assert miro.rest("/v2/orgs/1/members").status_code == 404
    assert miro.rest("/v2/nothing").status_code == 404
    posted = requests.post(miro.urls["api_url"] + miro.members_path, json={}, timeout=30)
    assert (posted.status_code, posted.headers["Allow"]) == (405, "GET")
    miro.control.set_toggles(unknown_organization=403)
    assert miro.rest("/v2/orgs/1/members").status_code == 403
    for code in ("insufficientPermissions", "forbiddenAccess"):
        miro.control.set_toggles(scopes=["organizations:read"], forbidden_code=code)
        assert miro.rest(miro.members_path).status_code == 200
        refused = miro.rest(miro.teams_path)
        assert (refused.status_code, refused.json()["code"]) == (403, code)


def test_credits_of_a_minute(miro: Client) -> None:
    miro.control.clock(now="2030-01-01T00:00:00Z")
    first = miro.rest(miro.members_path, limit=1)
    assert first.headers["X-RateLimit-Limit"] == "100000"
    assert first.headers["X-RateLimit-Remaining"] == "99500"
    assert 0 <= int(first.headers["X-RateLimit-Reset"]) - time.time() <= 62, "by the clock that a client waits by"
    limits = miro.sandbox._rest._limits
    while not limits.rest(4, miro.sandbox.world.now()).refused:
        pass
    while not limits.rest(3, miro.sandbox.world.now()).refused:
        pass
    refused = miro.rest(miro.members_path)
    assert refused.status_code == 429
    assert refused.json()["code"] == "tooManyRequests" and refused.json()["context"] is None
    assert int(refused.headers["X-RateLimit-Remaining"]) < 500 and "Retry-After" not in refused.headers
    miro.control.set_toggles(retry_after=True)
    assert 1 <= int(miro.rest(miro.members_path).headers["Retry-After"]) <= 61
    miro.control.clock(now="2030-01-01T00:01:01Z")
    assert miro.rest(miro.members_path).status_code == 200


def test_level_three_is_200_calls_a_minute(miro: Client) -> None:
    miro.control.clock(now="2030-01-01T00:00:00Z")
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {miro.urls['access_token']}"
        url = miro.urls["api_url"] + miro.members_path
        statuses = Counter(session.get(url, params={"limit": 1}, timeout=30).status_code for _ in range(202))
    assert statuses == {200: 200, 429: 2}


def test_the_seed_has_every_kind_of_person(make: Make) -> None:
    people = make(400).people()
    assert sum(not member.active for member in people) >= 10
    assert any("+" in member.email for member in people) and any(m.email != m.email.lower() for m in people)
    assert any((m.last_activity_at or "").count(".") for m in people)
    assert any(m.last_activity_at and "." not in m.last_activity_at for m in people)
    assert any(m.license_assigned_at is None and m.last_activity_at is None for m in people)
    assert any("'" in m.display_name for m in people) and max(len(m.display_name) for m in people) <= 60
    assert all(len(member.id) == 19 and member.id.isdigit() for member in people)
    assert len({member.email.lower() for member in people}) == 400
