"""A server of members that renders its pages before the first request, so that it takes no time from the client.

    python -m benchmarks.pages --members 100000 [50000 ...] [--churn 5] [--latency 50] [--per-minute 200]

It prints its address. There is one organization for each number of members; the token of a call, `token_of(number)`,
says for which of them it is. `GET /generation/2` turns to the second state of the first one, in which `--churn` percent
of the members were active again. `GET /counted` says how often a page was refused, and when
each organization got its pages. All other paths answer as
Miro does.
"""

from __future__ import annotations

import argparse
import json
import random
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache

ORGANIZATION = "3074457345821140946"
AUTHORIZATION = "\r\nAuthorization: Bearer "
PAGE = 100
# People on a page of the directory, and teams of the organization.
NAMES = 1000
TEAMS = 100
FIRST_ID = 3074457345000000000
LICENSES = ("full", "full", "full", "advanced", "standard", "basic", "free_restricted", "free")
ROLES = ("organization_internal_user",) * 18 + ("organization_internal_admin", "organization_team_guest_user")
NOW = datetime(2026, 11, 24, tzinfo=UTC)
DATE = "%Y-%m-%dT%H:%M:%S.000Z"
# The last part of a wait, in seconds, in which the process does not sleep.
SPIN = 0.0005
HEAD = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n"


def organization_id(number: int) -> str:
    return str(int(ORGANIZATION) + number)


def token_of(number: int) -> str:
    """The token of organization `number`, 0 for the first one."""
    return f"token-of-organization-{number}"


def member(number: int, chance: random.Random) -> dict[str, object]:
    """One member as Miro shows it; about one in twenty was never active."""
    assigned = NOW - timedelta(days=chance.randrange(1, 900), seconds=chance.randrange(86400))
    seen = {} if chance.random() < 0.05 else {"lastActivityAt": _between(assigned, chance)}
    return {
        "id": str(FIRST_ID + number),
        "active": chance.random() > 0.04,
        "email": f"first{number % 977}.last{number}@northwind.example",
        "license": chance.choice(LICENSES),
        "licenseAssignedAt": assigned.strftime(DATE),
        "role": chance.choice(ROLES),
        "type": "organization-member",
        **seen,
    }


def _between(earliest: datetime, chance: random.Random) -> str:
    span = max(1, int((NOW - earliest).total_seconds()))
    return (NOW - timedelta(seconds=int(span * chance.random() ** 3))).strftime(DATE)


def _teams(target: str) -> list[dict[str, object]]:
    """All teams, or the admin of one of them."""
    if "/members?" in target:
        number = int(target.partition("/teams/")[2].partition("/")[0])
        return [{"id": str(FIRST_ID + number), "role": "admin"}]
    return [{"id": str(number), "name": f"Team {number}"} for number in range(TEAMS)]


def members(count: int, seed: int) -> Iterator[dict[str, object]]:
    chance = random.Random(seed)  # noqa: S311 - made-up people
    return (member(number, chance) for number in range(count))


@cache
def render(count: int, *, seed: int, churn: float, generation: int) -> dict[str, bytes]:
    """Cursor -> the whole answer. In later generations some of the members were active again.

    Organizations of one size share their pages.
    """
    chance = random.Random(seed + 1)  # noqa: S311 - made up, the same in each run
    pages: dict[str, bytes] = {}
    batch: list[dict[str, object]] = []
    cursor = ""
    for number, one in enumerate(members(count, seed), start=1):
        if generation > 1 and chance.random() < churn / 100:
            one["lastActivityAt"] = (NOW + timedelta(days=generation - 1, seconds=number % 86400)).strftime(DATE)
        batch.append(one)
        if len(batch) == PAGE or number == count:
            following = str(one["id"]) if number < count else ""
            pages[cursor] = _answer(
                {"limit": PAGE, "size": len(batch), "data": batch, "cursor": following, "type": "cursor-list"}
            )
            batch, cursor = [], following
    return pages


def _answer(value: object) -> bytes:
    body = json.dumps(value, separators=(",", ":")).encode()
    return HEAD.format(len(body)).encode() + body


class Pages:
    """The pages of one organization, and the limit of requests for them."""

    def __init__(self, number: int, *, count: int, churn: float, latency: float, per_minute: int) -> None:
        self.organization = organization_id(number)
        self.count, self.churn, self.latency, self.per_minute = count, churn, latency, per_minute
        self.asked: deque[float] = deque()
        self.granted: list[float] = []
        self.refused = 0
        self.turn(1)

    def turn(self, generation: int) -> None:
        self.pages = render(self.count, seed=7, churn=self.churn, generation=generation)

    def answer(self, target: str) -> bytes:
        """The whole answer to `GET target`."""
        if target.startswith("/generation/"):
            self.turn(int(target.rsplit("/", 1)[1]))
            return _answer({})
        if "/Users?" in target:
            return self._names(target)
        if "/teams" in target:
            return _answer({"data": _teams(target), "cursor": ""})
        if "/members?" in target:
            return self._page(target)
        if target.startswith("/v1/oauth-token"):
            return _answer({"organization": {"id": self.organization}, "scopes": ["organizations:read"]})
        return _answer({"id": self.organization, "name": "Northwind", "plan": "company", "fullLicensesPurchased": 500})

    def _names(self, target: str) -> bytes:
        """https://developers.miro.com/reference/listusers"""
        start = int(target.partition("startIndex=")[2].partition("&")[0])
        numbers = range(start - 1, min(start - 1 + NAMES, self.count))
        people = [{"id": str(FIRST_ID + n), "displayName": f"First{n % 977} Last{n}"} for n in numbers]
        return _answer({"totalResults": self.count, "Resources": people})

    def _page(self, target: str) -> bytes:
        if self.per_minute and not self._has_room():
            self.refused += 1
            return b"HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
        self.granted.append(time.monotonic())
        return self.pages[target.partition("cursor=")[2].partition("&")[0]]

    def _has_room(self) -> bool:
        """Whether the limit of a sliding minute allows one more request. It is stricter than a fixed minute."""
        now = time.monotonic()
        while self.asked and self.asked[0] <= now - 60:
            self.asked.popleft()
        if len(self.asked) >= self.per_minute:
            return False
        self.asked.append(now)
        return True


def serve(organizations: list[Pages], listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_talk, args=(organizations, connection), daemon=True).start()


def _talk(organizations: list[Pages], connection: socket.socket) -> None:
    by_token = {token_of(number): pages for number, pages in enumerate(organizations)}
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    read = b""
    while True:
        while b"\r\n\r\n" not in read:
            chunk = connection.recv(65536)
            if not chunk:
                connection.close()
                return
            read += chunk
        asked = time.monotonic()
        head, _, read = read.partition(b"\r\n\r\n")
        text = head.decode()
        target = text.split(" ", 2)[1]
        pages = by_token.get(text.partition(AUTHORIZATION)[2].partition("\r\n")[0], organizations[0])
        answer = _counted(organizations) if target == "/counted" else pages.answer(target)
        if pages.latency and "/members?" in target:
            _sleep_until(asked + pages.latency / 1000)
        connection.sendall(answer)


def _counted(organizations: list[Pages]) -> bytes:
    """How often the limit refused a page, and the moments of the pages of each organization, in seconds."""
    moments = [pages.granted for pages in organizations]
    return _answer({"refused": sum(pages.refused for pages in organizations), "granted": moments})


def _sleep_until(moment: float) -> None:
    """Wait exactly, to a few microseconds: a sleep alone ends up to a quarter of a millisecond late."""
    time.sleep(max(0.0, moment - time.monotonic() - SPIN))
    while time.monotonic() < moment:
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, nargs="+", required=True)
    parser.add_argument("--churn", type=float, default=5.0)
    parser.add_argument("--latency", type=float, default=0.0, help="milliseconds for each page")
    parser.add_argument("--per-minute", type=int, default=0, help="pages a minute, 0 for no limit")
    options = parser.parse_args()
    limits = {"churn": options.churn, "latency": options.latency, "per_minute": options.per_minute}
    organizations = [Pages(number, count=count, **limits) for number, count in enumerate(options.members)]
    listener = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"http://127.0.0.1:{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    serve(organizations, listener)


if __name__ == "__main__":
    main()
