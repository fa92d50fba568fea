"""The ids that each log line carries: of the request of a page, of the task, and of the run or reclaim at work.

A request has a new id. A message carries it to the worker, signed like the rest of the message, and the events of the
audit that the request itself writes have it as their `correlation`.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from structlog.contextvars import bind_contextvars, bound_contextvars, clear_contextvars, get_contextvars

REQUEST: Final = "request_id"
# Not taken from a message that came in otherwise: letters and digits only, and not long.
PLAIN: Final = re.compile(r"[\w.-]{1,64}")


def begin_request() -> str:
    """A page begins: forget the request before, and give this one an id."""
    clear_contextvars()
    request_id = str(uuid.uuid4())
    bind_contextvars(**{REQUEST: request_id, "in_request": True})
    return request_id


def begin_task(name: str, task_id: str, carried: object, ids: Mapping[str, int]) -> None:
    """A task begins. `carried` came with its message; `ids` are its arguments, e.g. profile_id."""
    clear_contextvars()
    given = str(carried.get(REQUEST, "")) if isinstance(carried, dict) else ""
    request = {REQUEST: given} if PLAIN.fullmatch(given) else {}
    bind_contextvars(task=name, task_id=task_id, **request, **ids)


def end() -> None:
    """The page or the task has ended: a thread or process must not carry its ids on."""
    clear_contextvars()


def to_carry() -> dict[str, str]:
    """Return the ids that a message carries to the worker."""
    request_id = get_contextvars().get(REQUEST)
    return {REQUEST: request_id} if request_id else {}


def correlation() -> uuid.UUID | None:
    """The id of the request that is being answered. None in a task: it does many things, each with an id of its own."""
    bound = get_contextvars()
    return uuid.UUID(bound[REQUEST]) if bound.get("in_request") else None


@contextmanager
def bound(**ids: Any) -> Iterator[None]:
    """In the `with` block, each log line carries these ids, too."""
    with bound_contextvars(**ids):
        yield
