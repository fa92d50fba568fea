"""The API session: deadlines, retries, limits, and secrets that it never shows."""

from __future__ import annotations

import gzip
import logging
import socket
import time
import traceback
from unittest.mock import Mock

import pytest

from integrations.connectors.contract import (
    BadAnswer,
    ConfigError,
    ConnectorError,
    OutcomeUnknown,
    PermanentError,
    TransientError,
)
from integrations.connectors.http import ApiSession, Limits, Rate, set_call_guard
from integrations.connectors.rate_limit import LocalRateBudget
from licensehub import stopping
from tests.support.guards.network import AllowHttp
from tests.support.servers.scripted_server import DRIP_SECONDS, Reply, ScriptedServer
from tests.support.vendor.connector_sessions import QUICK, RATE, TOKEN, new_session

GOOD = Reply(data={"ok": True})
HTML = Reply(raw=b"<html>Sign in</html>", headers={"Content-Type": "text/html"})


def closed_port() -> str:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{sock.getsockname()[1]}"


def test_a_read_answers_json_with_our_token(server: ScriptedServer, session: ApiSession) -> None:
    server.replies = [GOOD]
    answer = session.get("/x", rate=RATE, query={"emails": "a+b@example.com,c@example.com"})
    assert answer.data == {"ok": True}
    assert server.seen[0].path == "/x?emails=a%2Bb%40example.com,c%40example.com"
    assert server.seen[0].headers["Authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize("manner", ["drip", "drip_head"])
def test_a_slow_drip_is_cut_off_at_the_deadline(server: ScriptedServer, quick_session: ApiSession, manner: str) -> None:
    server.replies = [Reply(data="a" * 2000, manner=manner)]
    started = time.monotonic()
    with pytest.raises(TransientError, match="in time"):
        quick_session.get("/x", rate=RATE)
    assert time.monotonic() - started > QUICK.total - 0.1
    assert server.dripped * DRIP_SECONDS < 2 * QUICK.total


@pytest.mark.parametrize("manner", ["drip", "drip_head"])
def test_a_slow_drip_after_a_write_leaves_it_in_doubt(
    server: ScriptedServer, quick_session: ApiSession, manner: str
) -> None:
    server.replies = [Reply(data="a" * 2000, manner=manner)]
    with pytest.raises(OutcomeUnknown, match="not known whether"):
        quick_session.patch("/x", {}, rate=RATE)
    assert len(server.seen) == 1


def test_a_slow_body_without_a_length_does_not_count_as_complete(
    server: ScriptedServer, quick_session: ApiSession
) -> None:
    """Cutting it off looks to the client like its regular end."""
    server.replies = [Reply(data=1, raw=b"1" * 2000, headers={"Transfer-Encoding": "identity"}, manner="drip")]
    with pytest.raises(TransientError, match="in time"):
        quick_session.get("/x", rate=RATE)


@pytest.mark.parametrize("squeezed", [False, True])
def test_a_body_over_the_cap_is_refused_once(server: ScriptedServer, session: ApiSession, squeezed: bool) -> None:
    huge = b'"' + b"a" * 50_000 + b'"'
    headers = {"Content-Encoding": "gzip"} if squeezed else {}
    server.replies = [Reply(raw=gzip.compress(huge) if squeezed else huge, headers=headers)]
    with pytest.raises(BadAnswer, match="larger than 10,000 bytes"):
        session.get("/x", rate=RATE)
    assert len(server.seen) == 1


def test_a_huge_answer_to_a_write_leaves_it_in_doubt(server: ScriptedServer, session: ApiSession) -> None:
    server.replies = [Reply(raw=b'"' + b"a" * 50_000 + b'"')]
    with pytest.raises(OutcomeUnknown, match="larger"):
        session.patch("/x", {}, rate=RATE)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 304])
def test_no_redirect_is_followed(server: ScriptedServer, session: ApiSession, status: int) -> None:
    server.replies = [Reply(status=status, raw=b"", headers={"Location": f"{server.url}/other"})]
    with pytest.raises(ConfigError, match="redirect") as caught:
        session.get("/x", rate=RATE)
    assert caught.value.slot == "rest"
    assert [seen.path for seen in server.seen] == ["/x"]


@pytest.mark.parametrize(
    "first",
    [
        Reply(status=500, data={}),
        Reply(status=503, raw=b""),
        Reply(status=408, raw=b""),
        Reply(manner="cut"),
        Reply(data={"long": "a" * 100}, manner="short"),
        Reply(raw=b'{"a": 1'),
        Reply(raw=b""),
        HTML,
    ],
)
def test_a_read_is_tried_again(server: ScriptedServer, session: ApiSession, first: Reply) -> None:
    server.replies = [first, GOOD]
    assert session.get("/x", rate=RATE).data == {"ok": True}
    assert session.requests == len(server.seen) == 2


@pytest.mark.parametrize(
    ("reply", "expected", "words"),
    [
        (Reply(status=500, data={}), TransientError, r"problem of its own \(500\)"),
        (Reply(manner="cut"), TransientError, "broke off"),
        (Reply(data={"long": "a" * 100}, manner="short"), TransientError, "broke off"),
        (HTML, TransientError, "a web page instead of data"),
        (Reply(raw=b'{"a": 1'), TransientError, "not data"),
        (Reply(raw=b'{"a": NaN}'), TransientError, "not data"),
        (Reply(raw=b"[" * 9000), TransientError, "not data"),
        (Reply(raw=b"\xff\xfe\xff"), TransientError, "not data"),
    ],
)
def test_a_read_gives_up_after_three_tries(
    server: ScriptedServer, session: ApiSession, reply: Reply, expected: type[ConnectorError], words: str
) -> None:
    server.replies = [reply]
    with pytest.raises(expected, match=words):
        session.get("/x", rate=RATE)
    assert len(server.seen) == 3


@pytest.mark.parametrize(
    "reply",
    [
        Reply(status=500, data={}),
        Reply(status=503, data={}, headers={"Retry-After": "1"}),
        Reply(manner="cut"),
        Reply(data={"long": "a" * 100}, manner="short"),
        Reply(raw=b'{"a": 1'),
        HTML,
    ],
)
def test_a_write_is_never_tried_again(server: ScriptedServer, session: ApiSession, reply: Reply) -> None:
    server.replies = [reply]
    with pytest.raises(OutcomeUnknown, match="not known whether Miro has made the change"):
        session.patch("/x", {"a": 1}, rate=RATE)
    assert len(server.seen) == 1


def test_a_refused_connection_means_that_nothing_was_written(budget: LocalRateBudget, allow_http: AllowHttp) -> None:
    nobody = closed_port()
    allow_http(nobody)
    with pytest.raises(TransientError, match="cannot be reached"):
        new_session(nobody, budget).patch("/x", {}, rate=RATE)


def test_a_write_that_breaks_off_while_it_is_sent_is_in_doubt(budget: LocalRateBudget, allow_http: AllowHttp) -> None:
    """The connection stood, so a part of it has arrived. It is larger than what the sockets hold unread."""
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        address = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        allow_http(address)
        with pytest.raises(OutcomeUnknown):
            new_session(address, budget, QUICK).patch("/x", {"long": "a" * 20_000_000}, rate=RATE)


def test_reads_keep_a_connection_and_each_write_opens_its_own(server: ScriptedServer, session: ApiSession) -> None:
    """A write over a kept connection that is dead already would be in doubt for no reason."""
    server.replies = [GOOD]
    session.get("/x", rate=RATE)
    session.get("/x", rate=RATE)
    session.patch("/x", {}, rate=RATE)
    session.patch("/x", {}, rate=RATE)
    ports = [seen.port for seen in server.seen]
    assert ports[0] == ports[1]
    assert len(set(ports)) == 3


def test_a_429_to_a_write_means_that_nothing_was_written(server: ScriptedServer, session: ApiSession) -> None:
    server.replies = [Reply(status=429, data={}, headers={"Retry-After": "60"})]
    with pytest.raises(TransientError) as caught:
        session.patch("/x", {}, rate=RATE)
    assert caught.value.retry_after == 60
    with pytest.raises(TransientError, match="rate limit"):
        session.patch("/x", {}, rate=RATE)
    assert len(server.seen) == 1  # the second one was held back before it was sent


def test_a_429_waits_in_the_shared_budget_and_is_tried_again(
    server: ScriptedServer, session: ApiSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.replies = [Reply(status=429, data={}, headers={"Retry-After": "1"}), GOOD]
    sleep = Mock(side_effect=stopping.sleep)
    monkeypatch.setattr(stopping, "sleep", sleep)
    started = time.monotonic()
    assert session.get("/x", rate=RATE).data == {"ok": True}
    assert time.monotonic() - started > 0.9
    assert sum(seconds for (seconds,), _ in sleep.call_args_list) < 2


@pytest.mark.parametrize("status", [429, 503])
def test_a_long_wait_is_left_to_a_caller_that_has_other_work(
    server: ScriptedServer, budget: LocalRateBudget, status: int
) -> None:
    """Control: without `longest_wait`, the call waits for the 3 seconds, and succeeds."""
    server.replies = [Reply(status=status, data={}, headers={"Retry-After": "3"}), GOOD]
    busy = new_session(server.url, budget, Limits(total=20, backoff=0.001), longest_wait=1.0)
    with pytest.raises(TransientError) as caught:
        busy.get("/x", rate=RATE)
    assert 2 < (caught.value.retry_after or 0) <= 3.1
    assert len(server.seen) == 1


def test_a_short_wait_is_waited_for_by_everybody(server: ScriptedServer, budget: LocalRateBudget) -> None:
    server.replies = [Reply(status=503, data={}, headers={"Retry-After": "1"}), GOOD]
    busy = new_session(server.url, budget, Limits(total=20, backoff=0.001), longest_wait=1.0)
    assert busy.get("/x", rate=RATE).data == {"ok": True}


def test_a_limit_that_is_used_up_is_left_to_a_caller_that_has_other_work(
    server: ScriptedServer, budget: LocalRateBudget
) -> None:
    server.replies = [GOOD]
    all_of_it = Rate(bucket="used up", cost=10, limit=10, window=60.0)
    busy = new_session(server.url, budget, Limits(total=20), longest_wait=1.0)
    busy.get("/x", rate=all_of_it)
    with pytest.raises(TransientError) as caught:
        busy.get("/x", rate=all_of_it)
    assert 50 < (caught.value.retry_after or 0) < 61
    assert len(server.seen) == 1


def test_an_answer_with_nothing_left_delays_the_next_call(server: ScriptedServer, session: ApiSession) -> None:
    reset = str(int(time.time()) + 60)
    server.replies = [Reply(data=[], headers={"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset})]
    session.get("/x", rate=RATE)
    with pytest.raises(TransientError) as caught:
        session.get("/x", rate=RATE)
    assert 50 < caught.value.retry_after <= 61
    assert len(server.seen) == 1


def test_a_spent_budget_waits_when_the_deadline_allows_it(server: ScriptedServer) -> None:
    server.replies = [GOOD]
    waits = iter([0.05, 0.02, 0.0])

    class Spent(LocalRateBudget):
        def take(self, bucket: str, *, cost: int, limit: int, window: float) -> float:
            return next(waits)

    new_session(server.url, Spent()).get("/x", rate=RATE)
    assert next(waits, None) is None


def test_reserved_room_is_waited_for_once(server: ScriptedServer) -> None:
    server.replies = [GOOD]
    waits = iter([0.02, 0.0, 0.0])

    class Spent(LocalRateBudget):
        def take(self, bucket: str, *, cost: int, limit: int, window: float) -> float:
            return next(waits)

    session = new_session(server.url, Spent())
    session.reserve(RATE)
    session.reserve(RATE)
    session.patch("/x", {}, rate=RATE)
    assert next(waits) == 0.0  # neither the second time nor the call itself asked for room
    with pytest.raises(StopIteration):
        session.patch("/x", {}, rate=RATE)  # the reserved units are used up


def test_a_refusal_is_explained_by_the_vendor_and_not_tried_again(server: ScriptedServer, session: ApiSession) -> None:
    server.replies = [Reply(status=409, raw=b"<html>")]
    with pytest.raises(PermanentError, match="refused 409"):
        session.get("/x", rate=RATE)
    assert len(server.seen) == 1


def test_the_guard_stops_a_call_before_it_is_sent(server: ScriptedServer, session: ApiSession) -> None:
    def guard() -> None:
        raise RuntimeError("inside a transaction")

    server.replies = [GOOD]
    set_call_guard(guard)
    with pytest.raises(RuntimeError, match="transaction"):
        session.get("/x", rate=RATE)
    assert server.seen == []


def test_there_is_no_way_to_delete(session: ApiSession) -> None:
    public = {name for name in dir(session) if not name.startswith("_")}
    assert public == {"get", "patch", "post", "reserve", "requests", "credits", "current_token"}


@pytest.mark.parametrize(
    "address",
    [
        "http://api.miro.com",
        "http://169.254.169.254",
        "https://user:pw@api.miro.com",
        "ftp://api.miro.com",
        "//api.miro.com",
        "https://",
        "http://0.0.0.0:80",
        "http://localhost.example.com",
        "https://api.miro.com/?a=b",
    ],
)
def test_a_token_is_sent_to_no_unsafe_address(budget: LocalRateBudget, address: str) -> None:
    with pytest.raises(ConfigError, match="https"):
        new_session(address, budget)


@pytest.mark.parametrize("token", ["", "a\nb", "a b", "grün", "a\x00b"])
def test_an_invalid_token_is_reported_without_showing_it(
    server: ScriptedServer, budget: LocalRateBudget, token: str
) -> None:
    with pytest.raises(ConfigError, match="Enter it again") as caught:
        new_session(server.url, budget, token=token).get("/x", rate=RATE)
    assert server.seen == []
    assert not token or token not in str(caught.value)


def test_the_environment_has_no_effect(
    server: ScriptedServer, session: ApiSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", closed_port())
    server.replies = [GOOD]
    assert session.get("/x", rate=RATE).data == {"ok": True}


def test_no_cookie_is_kept(server: ScriptedServer, session: ApiSession) -> None:
    server.replies = [Reply(data={}, headers={"Set-Cookie": "a=b"})]
    session.get("/x", rate=RATE)
    session.get("/x", rate=RATE)
    assert "Cookie" not in server.seen[1].headers


@pytest.mark.parametrize("reply", [GOOD, HTML, Reply(manner="cut"), Reply(status=401, data={})])
def test_the_token_is_in_no_log_repr_or_traceback(
    server: ScriptedServer, session: ApiSession, reply: Reply, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.replies = [reply]
    shown = repr(session) + str(vars(session))
    try:
        shown += repr(session.get("/x", rate=RATE))
    except ConnectorError as error:
        shown += "".join(traceback.format_exception(error)) + repr(vars(error))
    assert TOKEN not in shown + caplog.text


def test_addresses_of_people_are_in_no_traceback(server: ScriptedServer, session: ApiSession) -> None:
    server.replies = [Reply(manner="cut")]
    query: dict[str, str | int] = {"emails": "@".join(["ada", "example.com"])}  # a traceback shows this line, too
    with pytest.raises(TransientError) as caught:
        session.get("/x", rate=RATE, query=query)
    assert "ada%40" not in "".join(traceback.format_exception(caught.value))


def test_the_deadline_holds_on_a_connection_that_is_used_again(
    server: ScriptedServer, quick_session: ApiSession
) -> None:
    server.replies = [GOOD, Reply(manner="drip_head")]
    quick_session.get("/x", rate=RATE)
    with pytest.raises(TransientError, match="in time"):
        quick_session.get("/x", rate=RATE)
    assert server.dripped * DRIP_SECONDS < 2 * QUICK.total
    assert server.seen[0].port == server.seen[1].port
