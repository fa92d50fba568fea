"""`GET /v2/audit/logs` shows the changes that were made in the sandbox."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from integrations.connectors.miro.sandbox.state.seed import iso
from tests.support.vendor.sandbox_client import Client

Make = Callable[..., Client]
WHEN = {"createdAfter": "2020-01-01T00:00:00.000Z", "createdBefore": "2099-01-01T00:00:00.000Z"}
ID = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z#\d{19}-DDB")


def about(miro: Client, member: str) -> list[Any]:
    return [event for event in miro.events() if event["object"]["id"] == member]


def test_scim_and_a_human_are_different_authors(miro: Client) -> None:
    member = miro.ordinary()
    miro.patch(member.id)
    miro.control.change(member.id, active=True)
    down, up = about(miro, member.id)
    assert (down["event"], down["createdBy"]["type"]) == ("user_deactivated", "scim_provisioner")
    assert (up["event"], up["createdBy"]["type"]) == ("user_activated", "user")
    assert up["createdBy"]["id"] == miro.sandbox.world.installer().id and "@" in up["createdBy"]["email"]
    assert down["object"] == {"id": member.id, "name": member.display_name}
    assert down["context"]["organization"]["id"] == miro.urls["organization_id"]
    assert down["createdAt"].endswith("+0000") and ID.fullmatch(down["id"])


def test_a_change_of_nothing_makes_no_event(miro: Client) -> None:
    member = miro.ordinary()
    before = len(miro.events())
    miro.patch(member.id, True)
    miro.control.change(member.id, license=member.license)
    assert len(miro.events()) == before


def test_other_changes_by_hand(miro: Client) -> None:
    member = miro.ordinary()
    miro.control.change(member.id, license="occasional", role="organization_internal_admin")
    miro.control.change(member.id, removed=True)
    events = about(miro, member.id)
    assert {event["event"] for event in events[:2]} == {"user_license_changed", "user_role_changed"}
    assert events[-1]["event"] == "user_removed"
    assert all(event["createdBy"]["type"] == "user" for event in events)


def test_openings_of_boards(miro: Client) -> None:
    now = miro.sandbox.world.now()
    recent = {
        member.id
        for member in miro.people()
        if member.last_activity_at and datetime.fromisoformat(member.last_activity_at) > now - timedelta(days=90)
    }
    opened = [event for event in miro.events() if event["event"] == "board_opened"]
    assert {event["createdBy"]["id"] for event in opened} == recent and len(opened) == len(recent)
    member = miro.ordinary()
    miro.control.change(member.id, last_activity_at="now")
    last = miro.events()[-1]
    assert (last["event"], last["createdBy"]["id"]) == ("board_opened", member.id)


@pytest.mark.parametrize("limit", [1, 7, 100])
@pytest.mark.parametrize("end", ["", None, "absent", "trailing_empty_page"])
def test_pages_in_both_directions(miro: Client, limit: int, end: str | None) -> None:
    miro.control.set_toggles(end_of_list=end, rate_limits=False)
    up, down = miro.events(limit=limit), miro.events(limit=limit, sorting="DESC")
    assert len(up) > 20 and up == down[::-1]
    assert [event["createdAt"] for event in up] == sorted(event["createdAt"] for event in up)
    assert len({event["id"] for event in up}) == len(up)


def test_the_ends_of_a_span_are_left_out(miro: Client) -> None:
    events = miro.events()
    first, last = (event["createdAt"].replace("+0000", "Z") for event in (events[3], events[8]))
    found = miro.rest("/v2/audit/logs", createdAfter=first, createdBefore=last).json()["data"]
    assert found == events[4:8]


def test_ninety_days(make: Make) -> None:
    miro = make(100, now=datetime.now(UTC) - timedelta(days=30))
    oldest = min(datetime.fromisoformat(event["createdAt"]) for event in miro.events(days=500))
    assert timedelta(days=60) < datetime.now(UTC) - oldest < timedelta(days=90)
    miro.control.clock(offset_seconds=91 * 24 * 3600)
    assert miro.rest("/v2/audit/logs", **WHEN).json()["data"] == []


@pytest.mark.parametrize(
    "query",
    [{"createdAfter": ""}, {"createdBefore": ""}, {"createdAfter": "2020-01-01"}, {"sorting": "UP"}, {"limit": 0},
     {"createdBefore": "2020-01-01T00:00:00Z"}, {"createdBefore": "2020-13-01T00:00:00.000Z"}, {"limit": 101}],
)  # fmt: skip
def test_bad_parameters_are_400(miro: Client, query: dict[str, Any]) -> None:
    response = miro.rest("/v2/audit/logs", **{**WHEN, **query})
    assert (response.status_code, response.json()["code"]) == (400, "invalidParameters")
    assert response.json()["context"]["fields"][0]["field"] in query


@pytest.mark.parametrize("toggles", [{"scopes": ["organizations:read"]}, {"installer_role": "member"}])
def test_without_scope_or_company_admin_it_is_403(miro: Client, toggles: dict[str, Any]) -> None:
    assert "auditlogs:read" in miro.rest("/v1/oauth-token").json()["scopes"]
    miro.control.set_toggles(**toggles)
    assert miro.rest("/v2/audit/logs", **WHEN).status_code == 403


def test_it_costs_a_hundred_credits(miro: Client) -> None:
    miro.control.clock(now=iso(miro.sandbox.world.now().replace(second=1)))
    assert miro.rest("/v2/audit/logs", **WHEN).headers["X-RateLimit-Remaining"] == "99900"


def test_it_outlives_its_sandbox(make: Make, tmp_path: Path) -> None:
    miro = make(100, state=tmp_path / "state")
    miro.patch(miro.ordinary().id)
    events = miro.events()
    miro.sandbox.stop()
    again = make(1, state=tmp_path / "state")
    assert again.events() == events
    again.patch(again.ordinary().id)
    assert len(again.events()) == len(events) + 1
