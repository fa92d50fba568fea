"""Faults on demand: errors between a client and Miro, exactly when a test or a demo asks for them."""

from __future__ import annotations

import copy
import random
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from integrations.connectors.miro.sandbox.messages import (
    Answer,
    Json,
    Refusal,
    Request,
    SandboxError,
    server_error,
    too_many,
)

KINDS = (
    "rate_limited", "error_before", "error_after", "hang", "hang_after", "truncated", "cut", "html", "other_json",
    "cursor_loop", "empty_page", "wrong_organization", "missing_id", "unknown_license", "unknown_role",
)  # fmt: skip
BEFORE = {"rate_limited", "error_before", "hang"}
MATCHES = {"method", "path", "member"}
LOOPS = ("A-A", "A-B-A")
REPLACED = {"cut", "html", "other_json"}
HTML = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body><h1>Sign in</h1></body></html>"


@dataclass(slots=True)
class Fault:
    """`after` (cut, html, other_json): the request is carried out first. `late` (hang): after the client left.

    `page_status` is the status of `html` and `other_json`.
    """

    kind: str
    times: int = 1
    match: dict[str, str] = field(default_factory=dict)
    after_requests: int = 0
    probability: float = 1.0
    seconds: float = 30.0
    status: int = 500
    page_status: int = 200
    after: bool = False
    late: bool = False
    loop: str = "A-A"
    used: int = 0
    cursors: list[str] = field(default_factory=list)

    @property
    def is_before(self) -> bool:
        return self.kind in BEFORE or (self.kind in REPLACED and not self.after)

    def matches(self, request: Request, answer: Answer | None) -> bool:
        method = self.match.get("method", request.method).upper()
        in_path = self.match.get("path", "") in request.path
        return method == request.method and in_path and self._matches_member(request, answer)

    def _matches_member(self, request: Request, answer: Answer | None) -> bool:
        member = self.match.get("member", "")
        if not member or member == request.member:
            return True
        return answer is not None and any(item.get("id") == member for item in _people(answer.body))


class Faults:
    """The faults in force. A request is hit by the first one that matches it, and by no other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._random = random.Random(0)  # noqa: S311 - the same faults in each run

    def add(self, doc: Json) -> None:
        fault = _fault(doc)
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def as_json(self) -> list[Json]:
        with self._lock:
            return [asdict(fault) for fault in self._faults]

    def pick(self, request: Request, answer: Answer | None = None) -> Fault | None:
        """The fault for a request before it is carried out (no answer yet), or after it."""
        with self._lock:
            for fault in self._faults:
                if fault.is_before == (answer is None) and self._hits(fault, request, answer):
                    fault.used += 1
                    return copy.copy(fault)
        return None

    def _hits(self, fault: Fault, request: Request, answer: Answer | None) -> bool:
        if fault.used == fault.times or not fault.matches(request, answer) or not _applicable(fault, request, answer):
            return False
        if fault.after_requests > 0:
            fault.after_requests -= 1
            return False
        return fault.probability >= 1 or self._random.random() < fault.probability


def _fault(doc: Json) -> Fault:
    try:
        fault = Fault(**doc)
    except TypeError as error:
        raise SandboxError(f"A fault cannot be made of {doc!r}.") from error
    if fault.kind not in KINDS:
        raise SandboxError(f"There is no fault {fault.kind!r}; there are {', '.join(KINDS)}.")
    if set(fault.match) - MATCHES or fault.loop not in LOOPS:
        raise SandboxError(f"match takes {', '.join(sorted(MATCHES))}; loop is one of {', '.join(LOOPS)}.")
    return fault


def _applicable(fault: Fault, request: Request, answer: Answer | None) -> bool:
    """Some faults need a certain answer, e.g. a page; they wait for the first one that fits."""
    if answer is None or fault.kind not in _BREAKERS:
        return True
    if answer.status != 200:
        return False
    if fault.kind == "cursor_loop":
        return _loops(fault, request, answer)
    if fault.kind == "empty_page":
        return _listing(answer.body) is not None
    if fault.kind == "wrong_organization":
        return isinstance(answer.body, dict) and ("plan" in answer.body or "organization" in answer.body)
    return bool(_people(answer.body))


def _loops(fault: Fault, request: Request, answer: Answer) -> bool:
    """A-A repeats the cursor of the request; A-B-A gives two real ones first, then the first one again."""
    asked = request.query.get("cursor", "")
    if not isinstance(answer.body, dict) or "data" not in answer.body:
        return False
    if fault.loop == "A-A":
        fault.cursors = [asked]
        return bool(asked)
    if asked and fault.cursors[1:2] == [asked]:
        return True
    given = answer.body.get("cursor")
    if given and given not in fault.cursors and len(fault.cursors) < 2:
        fault.cursors.append(given)
    return False


def refuse(fault: Fault, request: Request) -> Answer | None:
    """The answer of a fault that replaces the request; None: the request is carried out."""
    if fault.kind == "rate_limited":
        return _answer(too_many(request.api))
    if fault.kind == "error_before":
        return _answer(server_error(request.api, fault.status))
    if fault.kind == "cut":
        return Answer(0, cut=True)
    if fault.kind == "html":
        return Answer(fault.page_status, raw=HTML, content_type="text/html; charset=utf-8")
    if fault.kind == "other_json":
        return Answer(fault.page_status, {"status": "ok"})
    return None


def spoil(fault: Fault, request: Request, answer: Answer) -> Answer:
    """The answer of a fault that acts after the request was carried out."""
    if fault.kind in REPLACED:
        spoiled = refuse(fault, request) or answer
    elif fault.kind == "error_after":
        spoiled = _answer(server_error(request.api, fault.status))
    elif fault.kind == "truncated":
        spoiled = Answer(answer.status, raw=answer.payload()[: len(answer.payload()) // 2])
        spoiled.headers, spoiled.content_type = answer.headers, answer.content_type
    else:
        spoiled = answer
        spoiled.body = copy.deepcopy(answer.body)
        if fault.kind in _BREAKERS:
            _BREAKERS[fault.kind](fault, spoiled.body)
    spoiled.applied = answer.applied
    return spoiled


def _answer(refusal: Refusal) -> Answer:
    return refusal.answer


# --- Broken bodies ---------------------------------------------------------------------------------------------------
def _listing(body: Any) -> list[Json] | None:
    if isinstance(body, list):
        return body
    if isinstance(body, dict):
        found = body.get("data", body.get("Resources"))
        return found if isinstance(found, list) else None
    return None


def _people(body: Any) -> list[Json]:
    """The members or users in an answer, whichever shape it has."""
    found = _listing(body)
    if found is None:
        found = [body] if isinstance(body, dict) else []
    return [item for item in found if isinstance(item, dict) and ("email" in item or "userName" in item)]


def _victim(fault: Fault, body: Any) -> Json:
    people = _people(body)
    return next((item for item in people if item.get("id") == fault.match.get("member")), people[0])


def _loop(fault: Fault, body: Any) -> None:
    body["cursor"] = fault.cursors[0]


def _empty(fault: Fault, body: Any) -> None:
    """The cursor, or SCIM's totalResults, still says that there is more."""
    (_listing(body) or []).clear()
    if isinstance(body, dict):
        body.update({key: 0 for key in ("size", "itemsPerPage") if key in body})


def _organization(fault: Fault, body: Any) -> None:
    body.get("organization", body)["id"] = "3074457399999999999"


def _missing_id(fault: Fault, body: Any) -> None:
    _victim(fault, body).pop("id", None)


def _license(fault: Fault, body: Any) -> None:
    victim = _victim(fault, body)
    victim["license" if "license" in victim else "userType"] = "platinum"


def _role(fault: Fault, body: Any) -> None:
    victim = _victim(fault, body)
    if "role" in victim:
        victim["role"] = "organization_visitor"
    elif victim.get("roles"):
        victim["roles"][0]["value"] = "ORGANIZATION_VISITOR"


_BREAKERS: dict[str, Callable[[Fault, Any], None]] = {
    "cursor_loop": _loop,
    "empty_page": _empty,
    "wrong_organization": _organization,
    "missing_id": _missing_id,
    "unknown_license": _license,
    "unknown_role": _role,
}
