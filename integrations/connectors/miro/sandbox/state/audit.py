"""The audit log in Miro's format. The world adds an event for each change.

https://developers.miro.com/reference/enterprise-get-audit-logs
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from integrations.connectors.miro.sandbox.messages import Json, Request, invalid_parameter
from integrations.connectors.miro.sandbox.state.seed import Member

KEPT = timedelta(days=90)
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
SORTINGS = ("ASC", "DESC")
IP = "192.0.2.10"  # of nobody: RFC 5737

# Miro publishes the form of an event and two of its words (sign_in_succeeded, board_opened), but no list of them. The
# others are made up in the same style. They are written only here.
OPENED = ("board_opened", "board")
ACTIVATED = ("user_activated", "user_management")
DEACTIVATED = ("user_deactivated", "user_management")
LICENSE = ("user_license_changed", "user_management")
ROLE = ("user_role_changed", "user_management")
EMAIL = ("user_email_changed", "user_management")
REMOVED = ("user_removed", "user_management")
_WORDS = {"license": LICENSE, "role": ROLE, "email": EMAIL}


class Doer(NamedTuple):
    """The author of an event; `kind` is one of Miro's: user, application, scim_provisioner, miro_automation."""

    kind: str
    id: str
    name: str
    email: str = ""

    def as_json(self) -> Json:
        found = {"type": self.kind, "id": self.id, "name": self.name}
        return found | ({"email": self.email} if self.email else {})


def user(member: Member) -> Doer:
    return Doer("user", member.id, member.display_name, member.email)


def provisioner(organization: Json) -> Doer:
    """The SCIM token as an author: it belongs to the organization, not to a person."""
    return Doer("scim_provisioner", str(organization["id"]), "SCIM")


class AuditLog:
    """Events in the order of their ids, which is the order of time. It has no lock: the world holds one."""

    def __init__(self, organization: Json, kept: Iterable[Json]) -> None:
        self._context = {"ip": IP, "organization": {key: organization[key] for key in ("id", "name")}}
        self._events: list[Json] = sorted(kept, key=_id)
        self._number = len(self._events)

    def event(self, word: tuple[str, str], at: datetime, *, by: Doer, about: Json, details: Json) -> Json:
        """A new event, inserted in the order of time."""
        self._number += 1
        made = {
            "id": f"{_micro(at)}#{self._number:019d}-DDB",
            "event": word[0],
            "category": word[1],
            "createdAt": f"{_milli(at)}+0000",
            "createdBy": by.as_json(),
            "object": about,
            "details": details,
            "context": self._context,
        }
        bisect.insort(self._events, made, key=_id)
        return made

    def opened(self, member: Member, at: datetime) -> Json:
        """The person opened a board: the only activity that the sandbox simulates."""
        board = {"id": f"uXjV{member.id[-8:]}=", "name": f"Board of {member.display_name}"}
        return self.event(OPENED, at, by=user(member), about=board, details={"role": "OWNER"})

    def changed(self, member: Member, before: Json, at: datetime, *, by: Doer) -> list[Json]:
        """One event for each value that differs from `before` (name -> value)."""
        made = []
        for name, value in before.items():
            now = getattr(member, name)
            if name == "active" and value != now:
                word = ACTIVATED if now else DEACTIVATED
                made.append(self.event(word, at, by=by, about=_person(member), details={"email": member.email}))
            elif name in _WORDS and value != now:
                details = {"email": member.email, "from": value, "to": now}
                made.append(self.event(_WORDS[name], at, by=by, about=_person(member), details=details))
        return made

    def removed(self, member: Member, at: datetime, *, by: Doer) -> Json:
        return self.event(REMOVED, at, by=by, about=_person(member), details={"email": member.email})

    def page(self, request: Request, now: datetime, *, limit: int) -> list[Json]:
        """The events that a request asks for, from its cursor on, at most `limit`. Raises Refusal."""
        after, before = _asked(request, "createdAfter"), _asked(request, "createdBefore")
        sorting, cursor = request.query.get("sorting", "ASC"), request.query.get("cursor", "")
        if sorting not in SORTINGS:
            raise invalid_parameter("sorting", f"One of {', '.join(SORTINGS)}")
        # Both ends are excluded, as the names of the parameters say.
        start = bisect.bisect_left(self._events, _past(max(after, now - KEPT)), key=_id)
        end = bisect.bisect_left(self._events, _micro(before), key=_id)
        if sorting == "DESC":
            end = min(end, bisect.bisect_left(self._events, cursor, key=_id)) if cursor else end
            return self._events[max(start, end - limit) : end][::-1] if end > start else []
        start = max(start, bisect.bisect_right(self._events, cursor, key=_id)) if cursor else start
        return self._events[start : min(end, start + limit)]


def openings(organization: Json, members: Iterable[Member]) -> list[Json]:
    """The last time that each person of a new organization opened a board."""
    log = AuditLog(organization, [])
    return [log.opened(member, datetime.fromisoformat(member.last_activity_at)) for member in members
            if member.last_activity_at]  # fmt: skip


def _person(member: Member) -> Json:
    return {"id": member.id, "name": member.display_name}


def _id(event: Json) -> str:
    return str(event["id"])


def _milli(at: datetime) -> str:
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")


def _micro(at: datetime) -> str:
    """The beginning of an id, to the millisecond as in `createdAt`."""
    return f"{_milli(at)}000Z"


def _past(at: datetime) -> str:
    """Sorts after all ids of this moment: "~" comes after all characters of an id."""
    return f"{_micro(at)}~"


def _asked(request: Request, name: str) -> datetime:
    """UTC with milliseconds and a Z at the end, as documented; both are required."""
    text: Any = request.query.get(name, "")
    if not MOMENT.fullmatch(text):
        raise invalid_parameter(name, "A date and time in UTC, like 2023-03-30T17:26:50.000Z")
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise invalid_parameter(name, "There is no such date") from error
