from __future__ import annotations

import threading
from typing import Any

import pytest
import requests

from tests.support.vendor.sandbox_client import Client, until


def transitions(miro: Client) -> int:
    return len(miro.control.truth()["transitions"])


@pytest.mark.parametrize(
    "kind,options,status,applied",
    [
        ("rate_limited", {}, 429, False),
        ("error_before", {}, 500, False),
        ("error_before", {"status": 503}, 503, False),
        ("error_after", {}, 500, True),
        ("cut", {}, None, False),
        ("cut", {"after": True}, None, True),
        ("html", {}, 200, False),
        ("html", {"after": True}, 200, True),
        ("truncated", {}, 200, True),
        ("hang", {"seconds": 0.05}, 200, True),
        ("hang_after", {"seconds": 0.05}, 200, True),
        ("missing_id", {}, 200, True),
        ("unknown_license", {}, 200, True),
        ("unknown_role", {}, 200, True),
    ],
)
def test_faults_of_a_patch(miro: Client, kind: str, options: dict[str, Any], status: Any, applied: bool) -> None:
    member = miro.ordinary()
    miro.control.fault(kind, match={"method": "PATCH", "member": member.id}, **options)
    assert miro.scim(f"/Users/{member.id}").status_code == 200, "reading is not meant"
    if status is None:
        with pytest.raises(requests.ConnectionError):
            miro.patch(member.id)
    else:
        assert miro.patch(member.id).status_code == status
    assert transitions(miro) == applied
    entry = miro.control.requests()[-1]
    assert (entry["fault"], entry["applied"], entry["status"]) == (kind, applied, status)
    assert entry["member"] == member.id
    assert miro.patch(member.id).status_code == 200, "once only"


@pytest.fixture
def go_on(miro: Client, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """A fault that hangs ends when this is set, whatever its seconds."""
    event = threading.Event()
    monkeypatch.setattr(miro.sandbox.stopping, "wait", lambda seconds: seconds and event.wait(30))
    return event


@pytest.mark.parametrize(("kind", "applied"), [("hang", 0), ("hang_after", 1)])
def test_hanging_before_and_after(miro: Client, go_on: threading.Event, kind: str, applied: int) -> None:
    miro.control.fault(kind, seconds=1)
    with pytest.raises(requests.ReadTimeout):
        miro.patch(miro.ordinary().id, timeout=0.1)
    go_on.set()
    until(lambda: miro.control.requests()[-1]["fault"] == kind)
    assert transitions(miro) == applied


def test_a_late_write(miro: Client, go_on: threading.Event) -> None:
    miro.control.fault("hang", seconds=1, late=True)
    with pytest.raises(requests.ReadTimeout):
        miro.patch(miro.ordinary().id, timeout=0.1)
    assert transitions(miro) == 0
    go_on.set()
    until(lambda: transitions(miro) == 1)


def test_bodies_that_are_no_json(miro: Client) -> None:
    for kind in ("html", "truncated"):
        miro.control.fault(kind)
        with pytest.raises(requests.JSONDecodeError):
            miro.rest(miro.members_path).json()


@pytest.mark.parametrize("loop,seen", [("A-A", "AA"), ("A-B-A", "ABA")])
def test_cursor_loops(miro: Client, loop: str, seen: str) -> None:
    miro.control.fault("cursor_loop", loop=loop, times=-1)
    cursors: list[str] = []
    for _ in seen:
        query = {"cursor": cursors[-1]} if cursors else {}
        cursors.append(miro.rest(miro.members_path, limit=10, **query).json()["cursor"])
    names = dict(zip(dict.fromkeys(cursors), "ABC", strict=False))
    assert "".join(names[cursor] for cursor in cursors) == seen


def test_an_empty_page_still_has_a_cursor(miro: Client) -> None:
    miro.control.fault("empty_page", after_requests=1)
    first = miro.rest(miro.members_path, limit=10).json()
    second = miro.rest(miro.members_path, limit=10, cursor=first["cursor"]).json()
    assert first["size"] == 10 and second["size"] == 0 and second["data"] == [] and second["cursor"]
    miro.control.fault("empty_page")
    assert miro.users()["Resources"] == []


def test_wrong_organization(miro: Client) -> None:
    miro.control.fault("wrong_organization", times=2)
    miro.rest(miro.members_path)
    assert miro.rest(f"/v2/orgs/{miro.urls['organization_id']}").json()["id"] != miro.urls["organization_id"]
    assert miro.rest("/v1/oauth-token").json()["organization"]["id"] != miro.urls["organization_id"]
    assert miro.rest("/v1/oauth-token").json()["organization"]["id"] == miro.urls["organization_id"]


@pytest.mark.parametrize("kind", ["missing_id", "unknown_license", "unknown_role"])
def test_one_bad_member_among_good_ones(miro: Client, kind: str) -> None:
    member = miro.people()[5]
    miro.control.fault(kind, match={"member": member.id}, times=-1)
    bodies = [
        miro.rest(miro.members_path).json()["data"],
        miro.rest(miro.members_path, emails=member.email).json(),
        [miro.rest(f"{miro.members_path}/{member.id}").json()],
    ]
    for body in bodies:
        shown = next(item for item in body if item["email"] == member.email)
        assert "id" not in shown or shown["license"] == "platinum" or shown["role"] == "organization_visitor"
    assert miro.rest(miro.members_path, emails=miro.people()[6].email).json()[0]["id"]


def test_probability_list_and_clear(miro: Client) -> None:
    miro.control.fault("error_before", times=-1, probability=0.5, match={"path": "/members"})
    statuses = [miro.rest(miro.members_path, limit=1).status_code for _ in range(40)]
    assert 5 < statuses.count(500) < 35
    assert miro.rest("/v1/oauth-token").status_code == 200
    assert miro.control.faults()[0]["used"] == statuses.count(500)
    miro.control.clear_faults()
    assert miro.control.faults() == []


def test_unknown_faults_are_refused(miro: Client) -> None:
    for wrong in ({"kind": "fire"}, {"kind": "cut", "color": 1}, {"kind": "cut", "match": {"x": "y"}}):
        with pytest.raises(ValueError):
            miro.control.fault(**wrong)
