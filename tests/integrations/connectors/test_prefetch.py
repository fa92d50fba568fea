"""The next page is asked for by another thread, one page ahead, and before anybody sees the page before."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import pytest

from integrations.connectors.contract import BadAnswer, ConfigError, RateBudget, TransientError
from integrations.connectors.http import ApiSession
from integrations.connectors.miro.rest import MiroRest
from integrations.connectors.prefetch import ReadAhead
from integrations.connectors.rate_limit import LocalRateBudget
from integrations.connectors.request import Begun, Call, Failure, Rate
from integrations.connectors.response import Answer
from tests.support.connector_sessions import ORGANIZATION, PATIENT, RATE, explain, new_session
from tests.support.miro_members import by_cursor, page, query_of
from tests.support.scripted_server import Reply, ScriptedServer, Seen

LONG = 5.0


def eventually(true: Callable[[], bool]) -> bool:
    ends = time.monotonic() + LONG
    while not true() and time.monotonic() < ends:
        time.sleep(0.005)
    return true()


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "read-ahead"]


@dataclass
class Vendor:
    """Answers page "3" with cursor "4", for ever; each `attempt` waits until it may send, and until it may answer."""

    begun: list[Begun] = field(default_factory=list)
    may_send: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    may_answer: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def begin(self, cursor: str, token: str) -> Begun:
        self.begun.append(Begun(Call("GET", cursor, RATE, time.monotonic() + LONG, token=token)))
        return self.begun[-1]

    def attempt(self, begun: Begun, idle: Callable[[], None]) -> Answer:
        assert self.may_send.acquire(timeout=LONG)
        idle()
        assert self.may_answer.acquire(timeout=LONG)
        return Answer(200, {}, b'{"cursor": "%d"}' % (int(begun.call.url or "0") + 1))


@pytest.fixture
def vendor() -> Vendor:
    return Vendor()


@pytest.fixture
def ahead(vendor: Vendor) -> Iterator[ReadAhead]:
    reading = ReadAhead(
        token=lambda: "token",
        begin=vendor.begin,
        attempt=vendor.attempt,
        cursor_of=lambda answer: str(answer.data["cursor"]),
    )
    with reading:
        yield reading
        vendor.may_send.release(9)
        vendor.may_answer.release(9)
    assert not threads()


def test_the_next_request_is_sent_before_the_page_is_handed_over(vendor: Vendor, ahead: ReadAhead) -> None:
    first = ahead.page("").answer
    vendor.may_send.release()
    vendor.may_answer.release()
    assert eventually(lambda: len(vendor.begun) == 2)
    time.sleep(0.02)
    assert not first.done()  # the next one is begun, and not on its way yet
    vendor.may_send.release()
    assert first.result(LONG).data == {"cursor": "1"}
    assert not vendor.begun[1].answer.done()


def test_it_is_never_more_than_one_page_ahead(vendor: Vendor, ahead: ReadAhead) -> None:
    vendor.may_send.release(9)
    vendor.may_answer.release(9)
    assert ahead.page("").answer.result(LONG).data == {"cursor": "1"}
    time.sleep(0.05)
    assert [begun.call.url for begun in vendor.begun] == ["", "1"]
    assert ahead.page("1").answer.result(LONG).data == {"cursor": "2"}
    assert [begun.call.url for begun in vendor.begun] == ["", "1", "2"]


def rest_of(session: ApiSession) -> MiroRest:
    return MiroRest(session, organization_id=ORGANIZATION, account="f")


def cursors(server: ScriptedServer) -> list[str]:
    return [query_of(seen).get("cursor", [""])[0] for seen in server.seen]


def test_a_page_is_handed_over_before_its_next_waits_for_room(server: ScriptedServer) -> None:
    server.respond = by_cursor(first=page("A", "1"), A=page("", "2"))
    room = threading.Event()

    class Spent(LocalRateBudget):
        def take(self, bucket: str, *, cost: int, limit: int, window: float) -> float:
            return 0.01 if server.seen and not room.is_set() else 0.0

    pages = rest_of(new_session(server.url, Spent(), PATIENT)).members()
    assert next(pages).cursor == "A" and cursors(server) == [""]
    room.set()
    assert [found.cursor for found in pages] == [""]


def test_a_first_try_that_fails_is_tried_again_and_the_pages_go_on(server: ScriptedServer) -> None:
    answers = {"": page("A", "1"), "A": page("B", "2"), "B": page("C", "3"), "C": page("", "4")}
    failed = set[str]()

    def respond(seen: Seen) -> Reply:
        cursor = query_of(seen).get("cursor", [""])[0]
        if cursor in "AC" and cursor not in failed:
            failed.add(cursor)
            return Reply(status=503, data={})
        return answers[cursor]

    server.respond = respond
    found = [member.external_id for each in rest_of(_session(server)).members() for member in each.members]
    assert found == ["1", "2", "3", "4"]
    assert sorted(cursors(server)) == sorted(["", "", "A", "A", "B", "C", "C"])
    assert not threads()


def _session(server: ScriptedServer, budget: RateBudget | None = None) -> ApiSession:
    return new_session(server.url, budget or LocalRateBudget(), PATIENT)


@dataclass
class Tokens:
    """The second is good for the pages behind "A"; who asks is noted."""

    now: str = "first"
    asked_by: set[str] = field(default_factory=set)

    def __call__(self, rejected: str) -> str:
        self.asked_by.add(threading.current_thread().name)
        if rejected == self.now:
            self.now = "second"
        return self.now


def test_a_token_that_ends_on_the_way_is_replaced_in_the_callers_thread(server: ScriptedServer) -> None:
    answers = by_cursor(first=page("A", "1"), A=page("B", "2"), B=page("C", "3"), C=page("", "4"))

    def respond(seen: Seen) -> Reply:
        late = query_of(seen).get("cursor", [""])[0] not in ("", "A")
        wanted = "second" if late else "first"
        return answers(seen) if seen.headers["Authorization"] == f"Bearer {wanted}" else Reply(status=401, data={})

    server.respond = respond
    tokens = Tokens()
    session = ApiSession(
        vendor="Miro",
        slot="rest",
        base=server.url,
        token=tokens,
        budget=LocalRateBudget(),
        explain=explain,
        limits=PATIENT,
    )
    assert [found.cursor for found in rest_of(session).members()] == ["A", "B", "C", ""]
    assert [seen.headers["Authorization"][7:] for seen in server.seen] == ["first"] * 3 + ["second"] * 2
    assert tokens.asked_by == {"MainThread"}


def test_without_a_token_nothing_more_is_asked(server: ScriptedServer) -> None:
    """The connection is taken away while the second page is under way, of which the caller never sees anything."""
    server.respond = lambda seen: page(str(len(server.seen)), str(len(server.seen)))
    given = iter(["good"])

    def token(rejected: str) -> str:
        if (one := next(given, None)) is None:
            raise ConfigError("The connection was erased.", slot="rest")
        return one

    session = _session(server)
    session._token = token
    pages = rest_of(session).members()
    assert next(pages).cursor == "1"
    with pytest.raises(ConfigError, match="erased"):
        next(pages)
    assert len(server.seen) == 2 and not threads()


@pytest.mark.parametrize("token", [None, lambda rejected: ""], ids=["of no kind", "empty"])
def test_a_session_of_no_token_sends_none_and_an_empty_one_stops_it(
    server: ScriptedServer, token: Callable[[str], str] | None
) -> None:
    server.respond = by_cursor(first=page("A", "1"), A=page("", "2"))
    session = _session(server)
    session._token = token
    if token:
        with pytest.raises(ConfigError, match="token is empty"):
            list(rest_of(session).members())
    else:
        assert len(list(rest_of(session).members())) == 2
    assert ["Authorization" in seen.headers for seen in server.seen] == ([] if token else [False, False])


def test_who_stops_reading_leaves_no_thread_behind(server: ScriptedServer) -> None:
    server.respond = lambda seen: page(str(len(server.seen)), str(len(server.seen)))
    pages = rest_of(_session(server)).members()
    assert next(pages).cursor == "1" and threads()
    pages.close()  # type: ignore[attr-defined]
    assert not threads() and len(server.seen) == 2


@pytest.mark.parametrize("fails", [False, True], ids=["answers at once", "fails before it is sent"])
def test_a_page_is_handed_over_also_when_its_next_never_waits(vendor: Vendor, fails: bool) -> None:
    def attempt(begun: Begun, idle: Callable[[], None]) -> Answer:
        if fails and begun.call.url:
            raise ZeroDivisionError  # what is no error of ours comes to the caller, too
        return Answer(200, {}, b'{"cursor": ""}' if begun.call.url else b'{"cursor": "1"}')

    reading = ReadAhead(
        token=lambda: "token", begin=vendor.begin, attempt=attempt, cursor_of=lambda answer: str(answer.data["cursor"])
    )
    with reading:
        assert reading.page("").answer.result(LONG).data == {"cursor": "1"}
        second = reading.page("1").answer
        if fails:
            with pytest.raises(ZeroDivisionError):
                second.result(LONG)
        else:
            assert second.result(LONG).data == {"cursor": ""}


def test_a_bad_cursor_is_told_with_its_page(server: ScriptedServer) -> None:
    server.respond = by_cursor(first=page("A", "1"), A=page(["no cursor"], "2"))
    pages = rest_of(_session(server)).members()
    assert next(pages).cursor == "A"
    with pytest.raises(BadAnswer, match="cursor"):
        next(pages)


class Counting(LocalRateBudget):
    def __init__(self) -> None:
        super().__init__()
        self.taken = 0

    def take(self, bucket: str, *, cost: int, limit: int, window: float) -> float:
        wait = super().take(bucket, cost=cost, limit=limit, window=window)
        self.taken += wait <= 0
        return wait


def attempt(session: ApiSession, rate: Rate) -> None:
    session.attempt(session.begin("/x", rate=rate, token="token"), idle=lambda: None)


# Room that is taken ahead keeps for twelve seconds, and for no time at all.
KEEPING = replace(RATE, window=6000.0)
FLEETING = replace(RATE, window=0.001)


def test_behind_a_quick_answer_room_is_taken_while_the_next_is_waited_for(server: ScriptedServer) -> None:
    budget, when_asked = Counting(), list[int]()

    def respond(seen: Seen) -> Reply:
        if len(server.seen) == 2:
            eventually(lambda: budget.taken == 3)
        when_asked.append(budget.taken)
        return Reply(data={})

    server.respond = respond
    session = _session(server, budget)
    for _ in range(3):
        attempt(session, KEEPING)
    assert when_asked[:2] == [1, 3] and session.credits == 3


def test_behind_a_slow_answer_no_room_is_taken_ahead(server: ScriptedServer) -> None:
    server.replies = [Reply(data={})]
    budget = Counting()
    session = _session(server, budget)
    for _ in range(3):
        attempt(session, FLEETING)
    assert budget.taken == 3


def test_room_that_was_taken_too_long_ago_is_not_used(server: ScriptedServer) -> None:
    server.replies = [Reply(data={})]
    budget = Counting()
    session = _session(server, budget)
    session._take_ahead(FLEETING)
    time.sleep(0.01)
    session.get("/x", rate=FLEETING)
    assert budget.taken == 2


def test_room_that_is_not_there_is_not_waited_for(server: ScriptedServer) -> None:
    server.replies = [Reply(data={})]
    budget = Counting()
    session = _session(server, budget)
    for _ in range(2):
        attempt(session, replace(KEEPING, limit=2))
    assert budget.taken == 2 and len(server.seen) == 2


def test_a_429_takes_back_the_room_that_was_taken_ahead(server: ScriptedServer) -> None:
    server.replies = [Reply(data={}), Reply(status=429, data={}, headers={"Retry-After": "60"}), Reply(data={})]
    session = _session(server)
    attempt(session, KEEPING)
    with pytest.raises(Failure):
        attempt(session, KEEPING)
    with pytest.raises(TransientError, match="rate limit"):
        session.get("/x", rate=KEEPING)
    assert len(server.seen) == 2


def spelled(data: str) -> Reply:
    return Reply(raw=data.encode())


MEMBER = '{"id":"%s","active":true,"role":"organization_internal_user","license":"full"%s}'


def test_the_next_page_is_asked_for_before_this_one_is_read(server: ScriptedServer) -> None:
    """A page that turns out to be none is tried again, and the one behind it is asked for once."""
    whole = by_cursor(first=page("A", "1"), A=page("B", "2"), B=page("", "3"))
    spoiled = iter([spelled('{"data": [}, "cursor": "B"}')])

    def respond(seen: Seen) -> Reply:
        at_a = query_of(seen).get("cursor") == ["A"]
        return next(spoiled, whole(seen)) if at_a else whole(seen)

    server.respond = respond
    session = _session(server)
    found = [member.external_id for each in rest_of(session).members() for member in each.members]
    assert found == ["1", "2", "3"]
    assert cursors(server) == ["", "A", "B", "A"] and session.requests == 4
    assert not threads()


@pytest.mark.parametrize(
    ("first", "asked"),
    [
        ('{"data":[%s],"curs\\u006fr":"A"}', ["", "A"]),
        ('{"data":[%s],"cursor":"\\u0041"}', ["", "A"]),
        ('{"cursor" : "A", "data":[%s]}', ["", "A"]),
    ],
    ids=["its name is escaped", "it is escaped", "it stands before"],
)
def test_a_cursor_may_be_spelled_in_any_way(server: ScriptedServer, first: str, asked: list[str]) -> None:
    server.respond = by_cursor(first=spelled(first % MEMBER % ("1", "")), A=page("", "2"))
    found = [member.external_id for each in rest_of(_session(server)).members() for member in each.members]
    assert found == ["1", "2"] and cursors(server) == asked


def test_a_wrong_guess_costs_one_request_and_nothing_else(server: ScriptedServer) -> None:
    """A member with a cursor of its own, on a page whose cursor has a name that nobody would guess."""
    misleading = '{"data":[%s],"curs\\u006fr":"A"}' % (MEMBER % ("1", ',"cursor":"X"'))
    server.respond = by_cursor(first=spelled(misleading), X=page("Y", "9"), A=page("B", "2"), B=page("", "3"))
    session = _session(server)
    found = [member.external_id for each in rest_of(session).members() for member in each.members]
    assert found == ["1", "2", "3"]
    assert sorted(cursors(server)) == ["", "A", "B", "X"] and session.requests == 4
    assert not threads()
