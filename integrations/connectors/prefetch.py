"""Asking for the next page before anybody has looked at the one that is in.

A thread of its own asks, one page ahead of the caller. It sends the next request before it hands over the page before:
the vendor works on that one while the caller works on this, and the two threads do not want the interpreter at once.
"""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Self

from integrations.connectors.request import Begun
from integrations.connectors.response import Answer

# None ends the chain.
Tokens = SimpleQueue[str | None]


class ReadAhead:
    """The first tries of the calls for one page after another; what a call gives is for its caller to judge.

    `token` gives the token to send; it may ask a database, which belongs to the caller's thread, so it is called there.
    `begin` makes the call for the page at a cursor with a token, `attempt` makes its first try and calls what it was
    given once it has nothing to do but wait. `cursor_of` guesses the next cursor of an answer that nobody has read yet;
    "" means that nothing is begun behind it, and a wrong guess costs a request.
    """

    def __init__(
        self,
        *,
        token: Callable[[], str],
        begin: Callable[[str, str], Begun],
        attempt: Callable[[Begun, Callable[[], None]], Answer],
        cursor_of: Callable[[Answer], str],
    ) -> None:
        self._token, self._begin, self._attempt, self._cursor_of = token, begin, attempt, cursor_of
        self._thread: Thread | None = None
        self._tokens: Tokens = SimpleQueue()
        self._begun: tuple[str, Begun] | None = None
        self._kept: tuple[Begun, Answer] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def page(self, cursor: str) -> Begun:
        """The call for the page at `cursor`; allows the one behind it. Raises what `token` and `begin` raise.

        It was begun already, unless it is the first, the one before had to be tried again, or its cursor was not
        guessed.
        """
        token = self._token()
        if self._begun is None or self._begun[0] != cursor:
            self._end()
            self._begun = cursor, self._begin(cursor, token)
            self._start(self._begun[1])
        begun = self._begun[1]
        self._tokens.put(token)
        return begun

    def _end(self) -> None:
        """The thread makes no call more than the one it may be in."""
        self._tokens.put(None)
        if self._thread:
            self._thread.join()

    def _start(self, begun: Begun) -> None:
        """A thread that ends with the first call that fails. No such thread keeps a process from ending."""
        self._tokens = SimpleQueue()
        self._thread = Thread(target=self._ask, args=(begun, self._tokens), name="read-ahead", daemon=True)
        self._thread.start()

    def _ask(self, begun: Begun, tokens: Tokens) -> None:
        following: Begun | None = begun
        while following:
            following = self._ask_one(following, tokens)

    def _ask_one(self, begun: Begun, tokens: Tokens) -> Begun | None:
        """Make this call; the one behind it, to be made next, or None when there is none."""
        try:
            answer = self._attempt(begun, self._hand_over)
        except BaseException as error:  # noqa: BLE001 - raised where the answer is waited for
            self._hand_over()
            begun.answer.set_exception(error)
            return None
        self._hand_over()
        self._kept = begun, answer
        following = self._following(answer, tokens)
        if following is None:
            self._hand_over()
        return following

    def _following(self, answer: Answer, tokens: Tokens) -> Begun | None:
        """Waits until the caller wants this answer, so that it is never more than one page ahead."""
        try:
            cursor = self._cursor_of(answer)
            token = tokens.get() if cursor else None
            if token is None:
                return None
            self._begun = cursor, self._begin(cursor, token)
        except Exception:  # noqa: BLE001 - the caller comes upon the same, and raises it
            return None
        return self._begun[1]

    def _hand_over(self) -> None:
        if self._kept:
            (begun, answer), self._kept = self._kept, None
            begun.answer.set_result(answer)
