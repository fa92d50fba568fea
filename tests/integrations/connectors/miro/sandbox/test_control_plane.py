"""The control plane, the state file after a restart, and the command."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from integrations.connectors.miro.sandbox.messages import SandboxError
from integrations.connectors.miro.sandbox.server import start
from integrations.connectors.miro.sandbox.state.seed import populate
from tests.support.guards.network import allow
from tests.support.servers.sandbox_command import command, first_line
from tests.support.vendor.sandbox_client import Client, port_of

Make = Callable[..., Client]
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def test_the_same_seed_makes_the_same_world(make: Make) -> None:
    assert populate(300, 7, NOW) == populate(300, 7, NOW)
    assert populate(300, 7, NOW).secrets == populate(20, 7, NOW + timedelta(days=1)).secrets
    assert populate(300, 7, NOW) != populate(300, 8, NOW)
    one, two = make(20, seed=4).urls, make(20, seed=4).urls
    assert {key: one[key] for key in one if "url" not in key} == {key: two[key] for key in two if "url" not in key}


@pytest.mark.parametrize("count", [1, 2, 3, 5, 10, 20, 39, 40, 100, 200, 201, 10_000])
def test_exactly_as_many_as_asked_for(count: int) -> None:
    made = populate(count, 1, NOW)
    assert len({member.id for member in made.members}) == count
    assert len({member.email.lower() for member in made.members}) == count
    assert all("admin" in team.roles.values() for team in made.teams)


def test_shares_of_four_hundred() -> None:
    people = populate(400, 1, NOW).members
    days = [(NOW - datetime.fromisoformat(m.last_activity_at)).days for m in people if m.active and m.last_activity_at]
    assert 0.55 < sum(day < 46 for day in days) / 400 < 0.70
    assert 0.20 < sum(day > 60 for day in days) / 400 < 0.28
    assert max(days) == 499 or max(days) == 500
    assert sum(member.last_activity_at is None for member in people) == 20
    recent = [m for m in people if m.license_assigned_at and _age(m.license_assigned_at) < 30]
    assert len(recent) > 15 and any(m.last_activity_at is None for m in recent)


def _age(text: str) -> int:
    return (NOW - datetime.fromisoformat(text)).days


def test_a_person_changes_by_hand(miro: Client) -> None:
    member = miro.ordinary()
    before = len(miro.people())
    miro.control.change(member.id, active=False, license="free", last_activity_at="now", email="N@x.example")
    shown = miro.rest(f"{miro.members_path}/{member.id}").json()
    assert (shown["active"], shown["license"], shown["email"]) == (False, "free", "N@x.example")
    step = miro.control.truth()["transitions"][-1]
    assert (step["by"], step["id"], step["to"], step["request"]) == ("human", member.id, False, None)
    miro.control.change(member.id, last_activity_at=None)
    assert "lastActivityAt" not in miro.rest(f"{miro.members_path}/{member.id}").json()
    miro.control.change(member.id, removed=True)
    assert miro.rest(f"{miro.members_path}/{member.id}").status_code == 404
    assert miro.control.truth()["members"] == before - 1
    for wrong in ({"active": "no"}, {"license": "platinum"}, {"id": "1"}, {"last_activity_at": "soon"}):
        with pytest.raises(ValueError):
            miro.control.change(miro.ordinary().id, **wrong)
    with pytest.raises(ValueError):
        miro.control.member("1")


def test_the_journal_shows_everything_but_secrets(miro: Client) -> None:
    member = miro.ordinary()
    miro.patch(member.id)
    miro.rest(miro.members_path, access_token="s3cret", limit=1)
    patch, read = miro.control.requests()
    assert (patch["n"], patch["api"], patch["method"], patch["status"]) == (1, "scim", "PATCH", 200)
    assert (patch["applied"], patch["member"], read["member"], read["api"]) == (True, member.id, None, "rest")
    assert miro.control.truth()["transitions"][0]["request"] == 1
    text = json.dumps(miro.control.requests())
    assert not [secret for secret in ("s3cret", miro.urls["access_token"], miro.urls["scim_token"]) if secret in text]
    assert miro.control.requests(since=1) == [read] and miro.control.truth()["requests"] == 2


def test_clock_and_switches(miro: Client) -> None:
    moment = datetime.fromisoformat(miro.control.clock(offset_seconds=86_400 * 40))
    assert timedelta(days=39) < moment - datetime.now(UTC) < timedelta(days=41)
    for wrong in ({"color": 1}, {"latency_ms": "x"}, {"scopes": [1]}, {"end_of_list": "later"}):
        with pytest.raises(ValueError):
            miro.control.set_toggles(**wrong)
    miro.control.set_toggles(latency_ms=100)
    begun = time.monotonic()
    miro.rest("/v1/oauth-token")
    assert time.monotonic() - begun >= 0.1


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Host": "evil.example"}])
def test_web_pages_are_refused(miro: Client, headers: dict[str, str]) -> None:
    assert requests.get(f"{miro.sandbox.control_url}/truth", headers=headers, timeout=30).status_code == 403


def test_unknown_control_paths(miro: Client) -> None:
    assert requests.get(f"{miro.sandbox.control_url}/nothing", timeout=30).status_code == 404
    assert requests.post(f"{miro.sandbox.control_url}/clock", data="{", timeout=30).status_code == 400


def test_a_state_file_outlives_its_sandbox(make: Make, tmp_path: Path) -> None:
    miro = make(100, state=tmp_path / "deep" / "state.sqlite")
    member = miro.ordinary()
    miro.patch(member.id)
    miro.control.set_toggles(end_of_list="absent")
    miro.control.clock(offset_seconds=1000)
    truth, port = miro.control.truth(), int(miro.urls["api_url"].rpartition(":")[2])
    with pytest.raises(SandboxError, match="state file"):
        start(members=1, state=tmp_path / "deep" / "state.sqlite")
    miro.sandbox.stop()
    again = make(7, seed=99, port=port, state=tmp_path / "deep" / "state.sqlite")
    assert again.urls == miro.urls and again.control.truth() == truth
    assert again.control.toggles()["end_of_list"] == "absent"
    assert again.rest(f"{miro.members_path}/{member.id}").json()["active"] is False
    assert again.sandbox.world.now() - datetime.now(UTC) > timedelta(seconds=900)
    assert again.control.requests()[-1]["n"] == truth["requests"] + 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_ends_cleanly(number: signal.Signals) -> None:
    with command("--members", "5") as process:
        urls = first_line(process)
        assert list(urls) == [
            "api_url", "authorize_url", "scim_url", "organization_id", "client_id", "client_secret",
            "access_token", "scim_token",
        ]  # fmt: skip
        process.send_signal(number)
        assert process.wait(30) == 0
        assert process.stderr is not None and process.stderr.read() == ""


def test_a_change_survives_a_kill(tmp_path: Path) -> None:
    arguments = ("--members", "100", "--state", str(tmp_path / "state"))
    with command(*arguments) as process:
        client = _Remote(first_line(process))
        member = client.deactivate_somebody()
        os.kill(process.pid, signal.SIGKILL)
    with command(*arguments) as process:
        client = _Remote(first_line(process))
        assert client.control("truth")["transitions"][0]["id"] == member
        process.terminate()
        assert process.wait(30) == 0


class _Remote:
    def __init__(self, urls: dict[str, str]) -> None:
        self.urls = urls
        allow(port_of(urls))
        self.headers = {"Authorization": f"Bearer {urls['scim_token']}"}

    def control(self, path: str) -> Any:
        return requests.get(f"{self.urls['api_url']}/_sandbox/{path}", timeout=30).json()

    def deactivate_somebody(self) -> str:
        users = requests.get(f"{self.urls['scim_url']}/Users", headers=self.headers, timeout=30).json()["Resources"]
        body = {
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [{"op": "Replace", "path": "active", "value": False}],
        }
        for user in (user for user in users if user["active"]):
            url = f"{self.urls['scim_url']}/Users/{user['id']}"
            if requests.patch(url, json=body, headers=self.headers, timeout=30).ok:
                return str(user["id"])
        raise AssertionError("nobody could be deactivated")


def test_an_obstacle_is_reported_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("this is no database, and longer than one header " * 9)
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        wrong = (
            ("--port", str(taken.getsockname()[1])),
            ("--port", "99999"),
            ("--members", "0"),
            ("--state", "/proc/nothing/state"),
            ("--state", str(tmp_path / "text")),
        )
        for arguments in wrong:
            with command(*arguments) as process:
                out, error = process.communicate(timeout=60)
            assert (process.returncode, out) == (1, "")
            assert error.startswith("CommandError: ") and error.count("\n") == 1
