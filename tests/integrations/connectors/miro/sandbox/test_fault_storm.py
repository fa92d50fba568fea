"""Storms, changes by hand that undo those of SCIM, and the summary that a checker reads."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from unittest.mock import Mock

import pytest
import requests

from integrations.connectors.miro.sandbox.behavior.fault_storm import FaultMix
from integrations.connectors.miro.sandbox.control import SandboxControl
from integrations.connectors.miro.sandbox.messages import Request
from tests.support.guards.network import allow
from tests.support.servers.sandbox_command import command, first_line
from tests.support.vendor.sandbox_client import PATCH_OP, Client, port_of, until

Make = Callable[..., Client]
MIX = {"rate_limited": 0.025, "error_before": 0.02, "error_after": 0.015, "truncated": 0.02, "hang_after": 0.02}
WILD = {"rate_limited": 0.2, "error_before": 0.15, "error_after": 0.15, "truncated": 0.15, "cut": 0.1}


def ordinary(miro: Client, number: int) -> list[str]:
    """People that SCIM may deactivate."""
    miro.control.set_toggles(team_admin_deactivation="allow")
    found = [m.id for m in miro.people() if m.active and m.role == "organization_internal_user"]
    assert len(found) >= number
    return found[:number]


def storm_of_reads(miro: Client, seed: int) -> list[Any]:
    """The fault of each of a hundred reads."""
    miro.control.storm(seed=seed, mix=WILD)
    begun = miro.control.truth()["requests"]
    for _ in range(100):
        try:
            miro.rest("/v1/oauth-token")
        except requests.ConnectionError:
            continue
    miro.control.storm_off()
    return [entry["fault"] for entry in miro.control.requests(since=begun)]


def test_the_same_seed_is_the_same_storm(make: Make) -> None:
    first, same, other = (storm_of_reads(make(20), seed) for seed in (1, 1, 2))
    assert first == same != other
    assert set(first) == {None, *WILD}
    assert 55 <= sum(fault is not None for fault in first) <= 92


def test_the_shares_are_as_asked_for(miro: Client) -> None:
    fault_mix = FaultMix(seed=1, mix=MIX)
    found = Counter(fault_mix.kind(Request("PATCH", "/", {}, "", {}, b"", n=n)) for n in range(20_000))
    assert {kind: round(number / 20_000, 2) for kind, number in found.items() if kind} == {
        kind: pytest.approx(share, abs=0.006) for kind, share in MIX.items()
    }


@pytest.mark.parametrize(
    ("kind", "applied", "status"),
    [("rate_limited", False, 429), ("error_before", False, 500), ("error_after", True, 500), ("truncated", True, 200),
     ("hang_after", True, 200), ("cut", False, None)],
)  # fmt: skip
def test_each_kind_in_a_storm(
    miro: Client, kind: str, applied: bool, status: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = miro.ordinary()
    miro.control.storm(seed=1, mix={kind: 1.0}, match={"method": "PATCH"}, hang_seconds=0.3)
    wait = Mock()
    monkeypatch.setattr(miro.sandbox.stopping, "wait", wait)
    assert miro.scim(f"/Users/{member.id}").status_code == 200, "reads are not meant"
    try:
        answered: int | None = miro.patch(member.id).status_code
    except requests.ConnectionError:
        answered = None
    assert answered == status
    hangs = [seconds for (seconds,), _ in wait.call_args_list if seconds]
    assert hangs == ([0.3] if kind == "hang_after" else [])
    assert miro.sandbox.world.members[member.id].active is not applied
    assert miro.control.storm_off() == {"storm": None, "struck": {kind: 1}}
    assert miro.patch(member.id).status_code == 200
    assert miro.control.summary()["faults"] == {kind: 1}


def test_a_429_of_a_storm_is_short_and_needs_no_limits(miro: Client) -> None:
    miro.control.limits(on=False)
    assert "X-RateLimit-Limit" not in miro.rest("/v1/oauth-token").headers
    miro.control.storm(seed=1, mix={"rate_limited": 1})
    refused = miro.patch(miro.ordinary().id)
    assert refused.status_code == 429
    assert int(refused.headers["X-RateLimit-Reset"]) - time.time() <= 1
    miro.control.limits(on=True)
    assert miro.control.toggles()["rate_limits"] is True


def test_a_single_fault_comes_before_the_storm(miro: Client) -> None:
    miro.control.storm(seed=1, mix={"error_before": 1})
    miro.control.fault("html")
    assert miro.rest("/v1/oauth-token").text.startswith("<!DOCTYPE")
    assert miro.rest("/v1/oauth-token").status_code == 500


@pytest.mark.parametrize(
    "wrong",
    [{"mix": {"fire": 0.1}}, {"mix": {"hang": 0.6, "cut": 0.6}}, {"mix": {"cut": -1}}, {"mix": {"cut": "x"}},
     {"mix": {}, "match": {"color": "red"}}, {"mix": {}, "wind": 3}],
)  # fmt: skip
def test_invalid_storms_are_refused(miro: Client, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        miro.control.storm(seed=1, **wrong)


def test_a_share_of_people_is_activated_by_hand(make: Make) -> None:
    chosen = []
    for order in (1, -1):
        miro = make(200)
        people = ordinary(miro, 60)[::order]
        miro.control.manual_changes(share=0.3, after=0.3, seed=5)
        deactivate(miro.urls, people)
        until(
            lambda miro=miro: (
                (told := miro.control.manual_changes(share=0.3, after=0.3, seed=5))["done"] == told["chosen"]
            )
        )
        chosen.append(set(miro.control.summary()["activated_by_human"]))
        assert 8 <= len(chosen[-1]) <= 30
        assert chosen[-1] == {key for key in people if miro.sandbox.world.members[key].active}
        assert miro.control.summary()["deactivated_again_after_human"] == []
        check_times(miro, chosen[-1], after=0.3)
    assert chosen[0] == chosen[1], "whoever comes first"


def check_times(miro: Client, chosen: Iterable[str], *, after: float) -> None:
    history = miro.control.history()
    for member in chosen:
        down, up = history[member]
        waited = datetime.fromisoformat(up["at"]) - datetime.fromisoformat(down["at"])
        assert (down["by"], up["by"]) == ("scim", "human")
        assert after - 0.01 <= waited.total_seconds() < after + 2


def test_only_a_change_by_scim_is_undone_and_only_once(miro: Client) -> None:
    first, second = ordinary(miro, 2)
    miro.control.manual_changes(share=1, after=0)
    miro.control.change(first, active=False)
    deactivate(miro.urls, [second])
    until(lambda: len(miro.control.history().get(second, [])) == 2)
    deactivate(miro.urls, [second])
    time.sleep(0.1)
    assert [step["by"] for step in miro.control.history()[first]] == ["human"]
    assert [step["by"] for step in miro.control.history()[second]] == ["scim", "human", "scim"]
    told = miro.control.summary()
    assert told["deactivated_again_after_human"] == told["deactivated_more_than_once"] == [second]
    assert (told["most_deactivations"], told["activated_by_human"]) == (2, [second])


@pytest.mark.parametrize("wrong", [{"share": 2}, {"share": "x"}, {"share": 0.1, "after": -1}])
def test_invalid_manual_changes_are_refused(miro: Client, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        miro.control.manual_changes(**wrong)


def test_manual_changes_end_with_their_sandbox(miro: Client) -> None:
    miro.control.manual_changes(share=1, after=60)
    deactivate(miro.urls, ordinary(miro, 1))
    begun = time.monotonic()
    miro.sandbox.stop()
    assert time.monotonic() - begun < 5


def test_every_patch_with_its_time_and_id(miro: Client) -> None:
    first, second = ordinary(miro, 2)
    miro.control.clock(offset_seconds=5000)
    miro.control.fault("error_before", match={"member": second})
    begun = datetime.now(UTC)
    deactivate(miro.urls, [first, second])
    patches = miro.control.summary()["patches"]
    assert [(patch[1], patch[3]) for patch in patches] == [(first, True), (second, False)]
    assert begun <= datetime.fromisoformat(patches[0][0]) <= datetime.fromisoformat(patches[1][0]) <= datetime.now(UTC)
    assert miro.control.requests()[patches[1][2] - 1]["fault"] == "error_before"
    assert miro.control.summary()["deactivated_by_scim"] == [first]


def deactivate(urls: dict[str, str], people: Iterable[str], *, workers: int = 1) -> list[int | None]:
    """Send each request once, with errors allowed. Returns the statuses."""

    def one(member: str) -> int | None:
        headers = {"Authorization": f"Bearer {urls['scim_token']}"}
        body = {"schemas": [PATCH_OP], "Operations": [{"op": "Replace", "path": "active", "value": False}]}
        try:
            url = f"{urls['scim_url']}/Users/{member}"
            return requests.patch(url, json=body, headers=headers, timeout=30).status_code
        except requests.RequestException:
            return None

    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(one, people))


def test_a_large_organization_in_a_process_of_its_own() -> None:
    """The same as in a chaos test: thousands of people, four workers, a storm, and changes by hand."""
    with command("--members", "12000") as process:
        urls = first_line(process)
        allow(port_of(urls))
        control = SandboxControl(urls["api_url"])
        control.limits(on=False)
        control.set_toggles(team_admin_deactivation="allow")
        people = _internal(urls, 400)
        control.storm(seed=3, mix={**MIX, "hang_after": 0.005}, match={"method": "PATCH"}, hang_seconds=3)
        control.manual_changes(share=0.1, after=0.6, seed=3)
        statuses = deactivate(urls, people, workers=4)
        assert set(statuses) >= {200, 429, 500}
        until(lambda: (now := control.manual_changes(share=0))["done"] == now["chosen"])
        told, struck = control.summary(), control.storm_off()["struck"]
        process.terminate()
        assert process.wait(30) == 0
    assert told["members"] == 12_000 and told["faults"] == struck
    assert sorted(patch[1] for patch in told["patches"]) == sorted(people)
    assert set(told["deactivated_by_scim"]) == {patch[1] for patch in told["patches"] if patch[3]}
    assert len(told["deactivated_by_scim"]) == 400 - struck["rate_limited"] - struck["error_before"]
    assert told["activated_by_human"] and told["deactivated_more_than_once"] == []


def _internal(urls: dict[str, str], number: int) -> list[str]:
    headers = {"Authorization": f"Bearer {urls['scim_token']}"}
    users = requests.get(f"{urls['scim_url']}/Users", params={"count": 1000}, headers=headers, timeout=10).json()
    found = [
        user["id"]
        for user in users["Resources"]
        if user["active"] and user["roles"][0]["value"] == "ORGANIZATION_INTERNAL_USER"
    ]
    return found[:number]
