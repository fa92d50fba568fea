"""The calls that need an optional scope of the app: sole team admins, and Miro's own log."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from integrations.connectors.contract import BadAnswer, Capability, ConfigError, NotGranted, VendorEvent
from integrations.connectors.miro.connector import MiroConnector
from integrations.connectors.miro.parse import INTERNAL
from integrations.connectors.miro.rest import audit_log, teams
from integrations.connectors.miro.rest.client import MiroRest
from integrations.connectors.miro.sandbox.control import SandboxControl
from integrations.connectors.miro.sandbox.server import Sandbox
from integrations.connectors.rate_limit import LocalRateBudget
from integrations.connectors.registry import connector_class
from tests.support.servers.scripted_server import Reply, ScriptedServer, Seen
from tests.support.vendor.connector_sessions import ORGANIZATION, new_session
from tests.support.vendor.miro_members import raw

Connect = Callable[[], MiroConnector]
SINCE = datetime(2026, 6, 1, tzinfo=UTC)
UNTIL = datetime(2026, 6, 2, tzinfo=UTC)


def soon() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=5)


def ordinary(sandbox: Sandbox) -> str:
    world = sandbox.world
    return next(
        member.id
        for member in world.directory()
        if member.active and member.role == INTERNAL and not world.teams_without_other_admin(member.id)
    )


def log(miro: MiroConnector, days: float = 1) -> list[VendorEvent]:
    return list(miro.events(since=soon() - timedelta(days=days), until=soon()))


def query_of(seen: Seen) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(seen.path).query).items()}


# --- Sole admins of teams --------------------------------------------------------------------------------------------
def all_teams(miro: MiroConnector, cursor: str = "") -> dict[str, frozenset[str]]:
    return {team.name: team.admins for page in miro.team_admins(cursor) for team in page.teams}


def test_the_admins_of_all_teams(connect: Connect, control: SandboxControl, sandbox: Sandbox) -> None:
    """Deactivated admins are listed as well: LicenseHub knows who they are."""
    miro, teams = connect(), sandbox.world.teams.values()
    expected = {team.name: {key for key, role in team.roles.items() if role == "admin"} for team in teams}
    assert all_teams(miro) == expected
    assert [entry["method"] for entry in control.requests()] == ["GET"] * (len(teams) + 1)
    assert miro.usage().credits == 50 + 100 * len(teams)


def listing(cursor: str, *items: dict[str, Any]) -> Reply:
    return Reply(data={"data": list(items), "cursor": cursor, "type": "cursor-list"})


class Organization:
    """Two pages of teams; the admins of the first are on two pages; the third team is deleted meanwhile."""

    def __call__(self, seen: Seen) -> Reply:
        path, query = urlsplit(seen.path).path.removeprefix(f"/v2/orgs/{ORGANIZATION}"), query_of(seen)
        cursor = query.get("cursor", "")
        if path == "/teams":
            two = ({"id": "t1", "name": "One"}, {"id": "t2"})
            return listing("", {"id": "t3", "name": "Gone"}) if cursor else listing("t2", *two)
        if path == "/teams/t1/members":
            return listing("", {"id": "2", "role": "admin"}) if cursor else listing("1", {"id": "1", "role": "admin"})
        if path == "/teams/t2/members":
            return listing("", {"id": "2", "role": "admin"}, {"id": "3", "role": "member"})
        if path == "/members":
            return listing("", raw(id="1", active=False))
        return Reply(status=404, data={"type": "error", "status": 404, "code": "notFound", "message": "Team not found"})


def test_pages_of_teams_and_of_admins(server: ScriptedServer, miro: MiroConnector, monkeypatch) -> None:
    server.respond = Organization()
    everything = {"One": {"1", "2"}, "t2": {"2"}, "Gone": set()}
    assert all_teams(miro) == everything
    asked = [(urlsplit(seen.path).path.rpartition(ORGANIZATION)[2], query_of(seen)) for seen in server.seen]
    assert asked[0] == ("/teams", {"limit": "100"})
    assert ("/teams/t1/members", {"limit": "100", "role": "admin", "cursor": "1"}) in asked
    # From each saved place on, the rest is read.
    monkeypatch.setattr(teams, "TEAMS_AT_ONCE", 1)
    cursors = [page.cursor for page in miro.team_admins()]
    assert cursors == ["1:", "0:t2", ""]
    assert [list(all_teams(miro, cursor)) for cursor in cursors[:2]] == [["t2", "Gone"], ["Gone"]]


@pytest.mark.parametrize("path", ["/teams", "/members"])
def test_loops_of_teams_and_of_their_members(connect: Connect, control: SandboxControl, path: str) -> None:
    control.fault("cursor_loop", loop="A-A", times=-1, match={"path": path})
    control.set_toggles(end_of_list="trailing_empty_page")
    with pytest.raises(BadAnswer, match="repeat in a loop"):
        all_teams(connect())


@pytest.mark.parametrize(("what", "call"), [("teams", teams.team_admins), ("the audit log", None)])
def test_pages_that_never_end(server: ScriptedServer, budget: LocalRateBudget, what: str, call: Any) -> None:
    server.respond = lambda seen: listing(str(len(server.seen)))
    rest = MiroRest(new_session(server.url, budget), organization_id=ORGANIZATION, account="f", max_pages=7)
    with pytest.raises(BadAnswer, match=f"list of {what} does not end after 7 pages"):
        list(call(rest)) if call else list(audit_log.events(rest, since=SINCE, until=UNTIL))


def test_a_team_without_an_id_makes_the_answer_unusable(server: ScriptedServer, miro: MiroConnector) -> None:
    wrong: tuple[Any, ...] = ({"data": [{"name": "x"}]}, {"data": None}, [])
    for broken in wrong:
        server.replies = [Reply(data=broken)]
        with pytest.raises(BadAnswer):
            all_teams(miro)


# --- The audit log ---------------------------------------------------------------------------------------------------
def test_our_changes_and_those_of_others(connect: Connect, control: SandboxControl, sandbox: Sandbox) -> None:
    miro, person = connect(), ordinary(sandbox)
    name = sandbox.world.members[person].display_name
    miro.deactivate(person)
    control.change(person, active=True)
    down, up = (event for event in log(miro) if event.person_id == person)
    assert (down.event, down.by_kind, down.person) == ("user_deactivated", "scim_provisioner", name)
    assert (up.event, up.by_kind, up.by) == ("user_activated", "user", sandbox.world.installer().display_name)
    assert down.event in miro.deactivated_words and up.event in miro.activated_words
    assert down.at.tzinfo is UTC and down.at <= up.at and abs(datetime.now(UTC) - up.at) < timedelta(seconds=30)
    assert "email: " in down.detail


def test_all_pages_oldest_first_and_each_once(connect: Connect, control: SandboxControl) -> None:
    found = log(connect(), days=89)
    assert len(found) > 120 and [event.at for event in found] == sorted(event.at for event in found)
    assert len([entry for entry in control.requests() if entry["path"] == "/v2/audit/logs"]) == -(-len(found) // 100)


def test_adjoining_spans_neither_repeat_nor_miss_an_event(connect: Connect) -> None:
    miro = connect()
    whole = log(miro, days=80)
    ends = [whole[0].at, whole[10].at, whole[10].at + timedelta(microseconds=400), whole[50].at, soon()]
    parts = [list(miro.events(since=since, until=until)) for since, until in pairwise(ends)]
    assert parts[0] == whole[:10] and parts[3] == whole[50:]
    assert [event for part in parts for event in part] == whole


def test_the_query_that_is_sent(server: ScriptedServer, miro: MiroConnector) -> None:
    server.replies = [listing("")]
    berlin = datetime.fromisoformat("2026-06-01T02:00:00+02:00")
    assert list(miro.events(since=berlin, until=UNTIL)) == []
    assert query_of(server.seen[0]) == {
        "createdAfter": "2026-05-31T23:59:59.999Z",
        "createdBefore": "2026-06-02T00:00:00.001Z",
        "limit": "100",
        "sorting": "ASC",
    }
    assert miro.usage().credits == 100


DATES = ("2026-06-01T09:30:10.840+0000", "2026-06-01T09:30:10.840Z", "2026-06-01T11:30:10.840+02:00")


@pytest.mark.parametrize("date", DATES)
def test_forms_of_dates(server: ScriptedServer, miro: MiroConnector, date: str) -> None:
    server.replies = [listing("", {"createdAt": date})]
    (found,) = miro.events(since=SINCE, until=UNTIL)
    assert found == VendorEvent(datetime(2026, 6, 1, 9, 30, 10, 840_000, UTC), "", "", "", "", "")


def test_strange_values_are_read_as_far_as_possible(server: ScriptedServer, miro: MiroConnector) -> None:
    odd = {
        "createdAt": DATES[0],
        "event": "x" * 500,
        "createdBy": {"email": "ada@example.com", "type": None},
        "object": [],
        "details": {"authType": "SSO", "mfa": {"a": 1}, "empty": "", "count": 3},
    }
    server.replies = [listing("", odd)]
    (found,) = miro.events(since=SINCE, until=UNTIL)
    assert (found.event, found.by, found.person_id) == ("x" * 80, "ada@example.com", "")
    assert found.detail == "authType: SSO; count: 3"


@pytest.mark.parametrize(
    "event",
    [{}, {"createdAt": "soon"}, {"createdAt": DATES[0], "context": {"organization": {"id": "7"}}}],
    ids=["no date", "bad date", "another organization"],
)
def test_events_without_usable_values(server: ScriptedServer, miro: MiroConnector, event: dict[str, Any]) -> None:
    server.replies = [listing("", event)]
    with pytest.raises(BadAnswer, match="Event 1 of Miro's answer"):
        list(miro.events(since=SINCE, until=UNTIL))


def test_a_loop_of_the_log(connect: Connect, control: SandboxControl) -> None:
    control.fault("cursor_loop", loop="A-A", times=-1, match={"path": "/v2/audit/logs"})
    with pytest.raises(BadAnswer, match="repeat in a loop"):
        log(connect(), days=89)


# --- Without the scopes ----------------------------------------------------------------------------------------------
CALLS: dict[str, Callable[[MiroConnector], Any]] = {
    teams.SCOPE: lambda miro: all_teams(miro),
    audit_log.SCOPE: log,
}


@pytest.mark.parametrize("scope", CALLS)
@pytest.mark.parametrize("code", ["insufficientPermissions", "forbiddenAccess"])
def test_without_the_scope(connect: Connect, control: SandboxControl, scope: str, code: str) -> None:
    control.set_toggles(scopes=["organizations:read"], forbidden_code=code)
    with pytest.raises(NotGranted, match=scope) as caught:
        CALLS[scope](connect())
    assert not isinstance(caught.value, ConfigError), "or the connection would be shown as broken"
    assert (caught.value.status, caught.value.code) == (403, code)
    assert connect().allocation().organization_id, "everything else goes on"


@pytest.mark.parametrize("scope", CALLS)
def test_a_dead_token_is_no_missing_scope(connect: Connect, control: SandboxControl, scope: str) -> None:
    control.set_toggles(token_valid=False)
    with pytest.raises(ConfigError, match="401"):
        CALLS[scope](connect())


def test_its_capabilities_are_declared() -> None:
    assert {Capability.LAST_TEAM_ADMIN, Capability.AUDIT_LOG} <= connector_class("miro_enterprise").capabilities
