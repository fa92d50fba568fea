"""A thread reads the next page while the caller works on the page before."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from integrations.connectors.contract import BadAnswer, ConfigError, RateBudget, TransientError
from integrations.connectors.http import ApiSession, Token
from integrations.connectors.miro.rest.client import MiroRest
from integrations.connectors.prefetch import Prefetch
from integrations.connectors.rate_limit import LocalRateBudget
from tests.integrations.connectors.miro.rest.test_members import by_cursor, page, query_of
from tests.support.servers.scripted_server import Reply, ScriptedServer, Seen
from tests.support.vendor.connector_sessions import ORGANIZATION, PATIENT, TOKEN, explain

MAX_WAIT = 30.0


def eventually(condition: Callable[[], bool]) -> bool:
    ends = time.monotonic() + MAX_WAIT
    while not condition() and time.monotonic() < ends:
        time.sleep(0.005)
    return condition()


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("prefetch")]


@dataclass
class Numbered:
    """The page at "3" has the cursor "4"; the last has none."""

    number: int
    last: int

    @property
    def cursor(self) -> str:
        return str(self.number + 1) if self.number < self.last else ""


@dataclass
class Vendor:
    """Notes each call: cursor, token, name of the thread. `fails` maps a cursor to errors, one for each call."""

    last: int = 9
    calls: list[tuple[str, str | None, str]] = field(default_factory=list)
    fails: dict[str, list[Exception]] = field(default_factory=dict)
    # Each call in the thread waits for one.
    may_answer: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(1000))
    tokens: list[str] = field(default_factory=list)
    token_error: Exception | None = None

    def fetch(self, cursor: str, token: str | None) -> Numbered:
        self.calls.append((cursor, token, threading.current_thread().name))
        if token is not None:
            assert self.may_answer.acquire(timeout=MAX_WAIT)
        if errors := self.fails.get(cursor):
            raise errors.pop(0)
        return Numbered(int(cursor or "0"), self.last)

    def token(self) -> str:
        if self.token_error:
            raise self.token_error
        self.tokens.append(threading.current_thread().name)
        return f"token {len(self.tokens)}"

    def cursors(self) -> list[str]:
        return [cursor for cursor, _, _ in self.calls]

    def prefetch(self) -> Prefetch[Numbered]:
        return Prefetch(self.fetch, token=self.token)


@pytest.fixture
def vendor() -> Vendor:
    return Vendor()


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    assert not threads()


def test_the_next_page_is_read_while_the_caller_works(vendor: Vendor) -> None:
    with vendor.prefetch() as prefetch:
        assert prefetch.page("").number == 0
        assert eventually(lambda: vendor.cursors() == ["", "1"])
        assert prefetch.page("1").number == 1


def test_it_is_never_more_than_one_page_ahead(vendor: Vendor) -> None:
    with vendor.prefetch() as prefetch:
        prefetch.page("")
        assert eventually(lambda: vendor.cursors() == ["", "1"])
        time.sleep(0.05)
        assert vendor.cursors() == ["", "1"]
        prefetch.page("1")
        assert eventually(lambda: vendor.cursors() == ["", "1", "2"])
        time.sleep(0.05)
        assert vendor.cursors() == ["", "1", "2"]


def test_the_caller_waits_for_a_page_that_is_on_its_way(vendor: Vendor) -> None:
    vendor.may_answer = threading.Semaphore(0)
    with vendor.prefetch() as prefetch:
        prefetch.page("")
        threading.Timer(0.05, vendor.may_answer.release).start()
        assert prefetch.page("1").number == 1
        vendor.may_answer.release()


def test_after_the_last_page_nothing_is_read(vendor: Vendor) -> None:
    vendor.last = 1
    with vendor.prefetch() as prefetch:
        assert [prefetch.page(cursor).cursor for cursor in ("", "1")] == ["1", ""]
    assert vendor.cursors() == ["", "1"]


def test_a_list_of_one_page_needs_no_thread(vendor: Vendor) -> None:
    vendor.last = 0
    with vendor.prefetch() as prefetch:
        assert prefetch.page("").cursor == "" and not threads()


def test_each_page_has_a_token_of_its_own_read_in_the_callers_thread(vendor: Vendor) -> None:
    with vendor.prefetch() as prefetch:
        for cursor in ("", "1", "2"):
            prefetch.page(cursor)
        assert eventually(lambda: len(vendor.calls) == 4)
    first, *others = vendor.calls
    assert first == ("", None, "MainThread")
    assert [(cursor, token) for cursor, token, _ in others] == [("1", "token 1"), ("2", "token 2"), ("3", "token 3")]
    assert {name for _, _, name in others} == {"prefetch_0"} and set(vendor.tokens) == {"MainThread"}


@pytest.mark.parametrize("error", [TransientError("later"), ZeroDivisionError(), ConfigError("403", status=403)])
def test_an_error_of_the_thread_reaches_the_caller(vendor: Vendor, error: Exception) -> None:
    vendor.fails = {"1": [error]}
    with vendor.prefetch() as prefetch:
        assert prefetch.page("").number == 0
        with pytest.raises(type(error)):
            prefetch.page("1")
    assert vendor.cursors() == ["", "1"]


def test_a_rejected_token_is_renewed_in_the_callers_thread(vendor: Vendor) -> None:
    vendor.fails = {"1": [ConfigError("dead", status=401)]}
    with vendor.prefetch() as prefetch:
        assert [prefetch.page(cursor).number for cursor in ("", "1", "2")] == [0, 1, 2]
    assert [call[1:] for call in vendor.calls if call[0] == "1"] == [
        ("token 1", "prefetch_0"),
        (None, "MainThread"),
    ]


@pytest.mark.parametrize("error", [ConfigError("erased"), TransientError("being refreshed")])
def test_without_a_token_for_the_next_page_the_page_before_is_given_first(vendor: Vendor, error: Exception) -> None:
    vendor.token_error = error
    with vendor.prefetch() as prefetch:
        assert prefetch.page("").number == 0
        with pytest.raises(type(error)):
            prefetch.page("1")
    assert vendor.cursors() == [""]


def test_a_rejected_token_that_cannot_be_renewed_is_reported(vendor: Vendor) -> None:
    vendor.fails = {"1": [ConfigError("dead", status=401), ConfigError("still dead", status=401)]}
    with vendor.prefetch() as prefetch:
        prefetch.page("")
        with pytest.raises(ConfigError, match="still dead"):
            prefetch.page("1")


def test_an_error_of_the_caller_ends_the_thread(vendor: Vendor) -> None:
    with pytest.raises(KeyError), vendor.prefetch() as prefetch:
        prefetch.page("")
        raise KeyError
    assert not threads()


def test_closing_waits_for_the_request_on_its_way(vendor: Vendor) -> None:
    vendor.may_answer = threading.Semaphore(0)
    with vendor.prefetch() as prefetch:
        prefetch.page("")
        assert eventually(lambda: len(vendor.calls) == 2)
        threading.Timer(0.05, vendor.may_answer.release).start()
    assert not threads() and vendor.cursors() == ["", "1"]


# With a session, against a server.


def session_of(server: ScriptedServer, *, budget: RateBudget | None = None, token: Token | None) -> ApiSession:
    return ApiSession(
        vendor="Miro",
        slot="rest",
        base=server.url,
        token=token,
        budget=budget or LocalRateBudget(),
        explain=explain,
        limits=PATIENT,
    )


def rest_of(server: ScriptedServer, *, budget: RateBudget | None = None, token: Token | None = None) -> MiroRest:
    session = session_of(server, budget=budget, token=token or (lambda rejected: TOKEN))
    return MiroRest(session, organization_id=ORGANIZATION, account="f")


def endless(server: ScriptedServer) -> None:
    """Page after page, for ever."""
    server.respond = lambda seen: page(str(len(server.seen)), str(len(server.seen)))


def cursors(server: ScriptedServer) -> list[str]:
    return [query_of(seen).get("cursor", [""])[0] for seen in server.seen]


BROKEN = [Reply(status=503, data={}), Reply(raw=b'{"data": [}, "cursor": "B"}')]


@pytest.mark.parametrize("broken", BROKEN, ids=["503", "no JSON"])
def test_a_try_that_fails_in_the_thread_is_repeated_and_the_pages_go_on(server: ScriptedServer, broken: Reply) -> None:
    answers = {"": page("A", "1"), "A": page("B", "2"), "B": page("C", "3"), "C": page("", "4")}
    failed = set[str]()

    def respond(seen: Seen) -> Reply:
        cursor = query_of(seen).get("cursor", [""])[0]
        if cursor in "AC" and cursor not in failed:
            failed.add(cursor)
            return broken
        return answers[cursor]

    server.respond = respond
    found = [member.external_id for each in rest_of(server).members() for member in each.members]
    assert found == ["1", "2", "3", "4"]
    assert cursors(server) == ["", "", "A", "A", "B", "C", "C"]


@dataclass
class Tokens:
    """The second is good for the pages after "A". Notes who asks."""

    now: str = "first"
    asked_by: set[str] = field(default_factory=set)

    def __call__(self, rejected: str) -> str:
        self.asked_by.add(threading.current_thread().name)
        if rejected == self.now:
            self.now = "second"
        return self.now


def test_a_token_that_expires_is_replaced_in_the_callers_thread(server: ScriptedServer) -> None:
    answers = by_cursor(first=page("A", "1"), A=page("B", "2"), B=page("C", "3"), C=page("", "4"))

    def respond(seen: Seen) -> Reply:
        late = query_of(seen).get("cursor", [""])[0] not in ("", "A")
        wanted = "second" if late else "first"
        return answers(seen) if seen.headers["Authorization"] == f"Bearer {wanted}" else Reply(status=401, data={})

    def explain_401(answer: object) -> ConfigError:
        return ConfigError("refused", slot="rest", status=401)

    server.respond = respond
    tokens = Tokens()
    session = session_of(server, token=tokens)
    session._check._explain = explain_401
    rest = MiroRest(session, organization_id=ORGANIZATION, account="f")
    assert [found.cursor for found in rest.members()] == ["A", "B", "C", ""]
    # The thread, and then the caller, are rejected with the first one.
    assert [seen.headers["Authorization"][7:] for seen in server.seen] == ["first"] * 4 + ["second"] * 2
    assert tokens.asked_by == {"MainThread"}


def test_without_a_token_nothing_more_is_sent(server: ScriptedServer) -> None:
    """The connection is erased while the second page is on its way."""
    endless(server)
    given = iter(["good", "good"])

    def token(rejected: str) -> str:
        if (found := next(given, None)) is None:
            raise ConfigError("The connection was erased.", slot="rest")
        return found

    pages = rest_of(server, token=token).members()
    assert [next(pages).cursor, next(pages).cursor] == ["1", "2"]
    with pytest.raises(ConfigError, match="erased"):
        next(pages)
    assert len(server.seen) == 2 and not threads()


@pytest.mark.parametrize("token", [None, lambda rejected: ""], ids=["none", "empty"])
def test_a_session_without_a_token_sends_none_and_an_empty_one_stops_it(
    server: ScriptedServer, token: Token | None
) -> None:
    server.respond = by_cursor(first=page("A", "1"), A=page("", "2"))
    rest = MiroRest(session_of(server, token=token), organization_id=ORGANIZATION, account="f")
    if token:
        with pytest.raises(ConfigError, match="token is empty"):
            list(rest.members())
    else:
        assert len(list(rest.members())) == 2
    assert ["Authorization" in seen.headers for seen in server.seen] == ([] if token else [False, False])


def test_a_reader_that_stops_leaves_no_thread(server: ScriptedServer) -> None:
    endless(server)
    pages = rest_of(server).members()
    assert next(pages).cursor == "1" and threads()
    pages.close()
    assert not threads() and len(server.seen) == 2


def test_a_bad_cursor_is_reported_with_its_page(server: ScriptedServer) -> None:
    server.respond = by_cursor(first=page("A", "1"), A=page(["no cursor"], "2"))
    pages = rest_of(server).members()
    assert next(pages).cursor == "A"
    with pytest.raises(BadAnswer, match="cursor"):
        next(pages)


class Noting(LocalRateBudget):
    """Notes which thread takes, and how many requests were sent before."""

    def __init__(self, server: ScriptedServer) -> None:
        super().__init__()
        self.server = server
        self.taken: list[tuple[str, int]] = []

    def take(self, bucket: str, *, cost: int, limit: int, window: float) -> float:
        wait = super().take(bucket, cost=cost, limit=limit, window=window)
        if not wait:
            self.taken.append((threading.current_thread().name, len(self.server.seen)))
        return wait


def test_each_page_takes_its_units_just_before_it_is_sent(server: ScriptedServer) -> None:
    server.respond = by_cursor(first=page("A", "1"), A=page("B", "2"), B=page("", "3"))
    budget = Noting(server)
    rest = rest_of(server, budget=budget)
    assert len(list(rest.members())) == 3
    assert budget.taken == [("MainThread", 0), ("prefetch_0", 1), ("prefetch_0", 2)]
    assert rest.credits == 3 * 500


def test_a_page_is_given_while_the_thread_waits_for_the_budget(server: ScriptedServer) -> None:
    server.respond = by_cursor(first=page("A", "1"), A=page("", "2"))
    room = threading.Event()

    class Spent(LocalRateBudget):
        def take(self, bucket: str, *, cost: int, limit: int, window: float) -> float:
            return 0.01 if server.seen and not room.is_set() else 0.0

    pages = rest_of(server, budget=Spent()).members()
    assert next(pages).cursor == "A" and cursors(server) == [""]
    room.set()
    assert [found.cursor for found in pages] == [""]


def test_a_429_in_the_thread_holds_the_budget(server: ScriptedServer) -> None:
    replies = {"first": page("A", "1"), "A": Reply(status=429, data={}, headers={"Retry-After": "60"})}
    server.respond = by_cursor(**replies)
    budget = LocalRateBudget()
    pages = rest_of(server, budget=budget).members()
    next(pages)
    with pytest.raises(TransientError, match="rate limit"):
        next(pages)
    assert len(server.seen) == 2
