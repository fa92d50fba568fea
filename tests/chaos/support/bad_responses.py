"""Scripts of pages that no good vendor sends, made by chance and the same for the same number.

A script is what Miro answers to each request of one download. `bad` says that nothing of it may be believed.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.servers.scripted_server import Reply, Seen

ORGANIZATION = "3074457300000000001"
OTHER = "3074457399999999999"
PAGES, ON_A_PAGE = 6, 8
PEOPLE = PAGES * ON_A_PAGE
WEB_PAGE = b"<!DOCTYPE html><html><body><h1>Sign in</h1></body></html>"
Json = dict[str, Any]


def person(number: int) -> Json:
    return {
        "id": str(5000 + number),
        "email": f"person{number}@northwind.example",
        "active": True,
        "license": "full",
        "role": "organization_internal_user",
        "licenseAssignedAt": "2024-01-01T00:00:00Z",
        "lastActivityAt": f"2025-01-{1 + number % 28:02d}T10:00:00Z",
    }


def good_pages() -> list[Json]:
    everybody = [person(number) for number in range(PEOPLE)]
    found = []
    for page in range(PAGES):
        data = everybody[page * ON_A_PAGE : (page + 1) * ON_A_PAGE]
        cursor = f"c{page + 1}" if page + 1 < PAGES else ""
        found.append({"limit": 100, "size": len(data), "cursor": cursor, "data": data})
    return found


@dataclass
class Script:
    """`pages` by number; `replies` stand in for whole answers; `where` names what was done to it."""

    pages: list[Json] = field(default_factory=good_pages)
    replies: dict[int, Reply] = field(default_factory=dict)
    organization: Reply = field(default_factory=lambda: Reply(data=organization(ORGANIZATION)))
    directory: Reply = field(default_factory=lambda: Reply(data=names(PEOPLE)))
    bad: bool = False
    done: list[str] = field(default_factory=list)
    asked: int = 0

    def respond(self, seen: Seen) -> Reply:
        self.asked += 1
        parts = urlsplit(seen.path)
        if parts.path.startswith("/scim"):
            return self.directory
        if not parts.path.endswith("/members"):
            return self.organization
        cursor = parse_qs(parts.query).get("cursor", [""])[0]
        number = next((n for n, page in enumerate(self.pages) if n and self.pages[n - 1]["cursor"] == cursor), 0)
        if not cursor:
            number = 0
        reply = self.replies.get(number)
        return reply or Reply(raw=json.dumps(self.pages[number]).encode())

    def any_page(self, rng: random.Random) -> Json:
        return rng.choice([page for page in self.pages if page["data"]])

    def any_person(self, rng: random.Random) -> Json:
        data = self.any_page(rng)["data"]
        found: Json = data[rng.randrange(len(data))]
        return found


def organization(organization_id: str) -> Json:
    return {"id": organization_id, "name": "Northwind", "plan": "company", "fullLicensesPurchased": 100}


def names(count: int) -> Json:
    people = [{"id": str(5000 + number), "displayName": f"Person {number}"} for number in range(count)]
    return {"totalResults": count, "startIndex": 1, "itemsPerPage": count, "Resources": people}


# --- What can be wrong ------------------------------------------------------------------------------------------------

Spoil = Callable[[Script, random.Random], None]
BAD: dict[str, Spoil] = {}
HARMLESS: dict[str, Spoil] = {}


def _as(kinds: dict[str, Spoil]) -> Callable[[Spoil], Spoil]:
    def keep(spoil: Spoil) -> Spoil:
        kinds[spoil.__name__.replace("_", " ")] = spoil
        return spoil

    return keep


@_as(BAD)
def empty_answer(script: Script, rng: random.Random) -> None:
    script.replies[rng.randrange(PAGES)] = Reply(raw=rng.choice([b"", b"null", b"[]", b'""', b"0", b"{}"]))


@_as(BAD)
def web_page(script: Script, rng: random.Random) -> None:
    script.replies[rng.randrange(PAGES)] = Reply(raw=WEB_PAGE, headers={"Content-Type": "text/html"})


@_as(BAD)
def truncated(script: Script, rng: random.Random) -> None:
    number = rng.randrange(PAGES)
    whole = json.dumps(script.pages[number]).encode()
    half = whole[: rng.randrange(1, len(whole) - 1)]
    script.replies[number] = Reply(raw=half) if rng.random() < 0.5 else Reply(raw=whole, manner="short")


@_as(BAD)
def hung_up(script: Script, rng: random.Random) -> None:
    script.replies[rng.randrange(PAGES)] = Reply(manner="cut")


@_as(BAD)
def error_at_a_page(script: Script, rng: random.Random) -> None:
    status = rng.choice([400, 401, 403, 404, 408, 409, 410, 418, 425, 429, 500, 502, 503, 302, 204, 299])
    body = rng.choice([b"", WEB_PAGE, b'{"status":0,"code":"\\u0000","message":null}', b"[[[["])
    script.replies[rng.randrange(PAGES)] = Reply(status=status, raw=body)


@_as(BAD)
def the_same_cursor_again(script: Script, rng: random.Random) -> None:
    """A-A."""
    number = rng.randrange(1, PAGES - 1)
    script.pages[number]["cursor"] = script.pages[number - 1]["cursor"]


@_as(BAD)
def cursors_in_a_circle(script: Script, rng: random.Random) -> None:
    """A-B-A, and longer."""
    number = rng.randrange(2, PAGES)
    script.pages[number]["cursor"] = script.pages[rng.randrange(number - 1)]["cursor"]


@_as(BAD)
def strange_cursor(script: Script, rng: random.Random) -> None:
    cursor = rng.choice([17, True, ["c1"], {"a": 1}, "c" * 5000, " c1", "c\x001", "\ud800", 1.5])
    script.pages[rng.randrange(PAGES)]["cursor"] = cursor


@_as(BAD)
def missing_pages(script: Script, rng: random.Random) -> None:
    """Two of six: a third of all people."""
    at = rng.randrange(1, PAGES - 2)
    script.pages[at - 1]["cursor"] = script.pages[at + 1]["cursor"]
    del script.pages[at : at + 2]


@_as(BAD)
def ended_early(script: Script, rng: random.Random) -> None:
    number = rng.randrange(PAGES - 2)
    script.pages[number]["cursor"] = rng.choice(["", None])
    del script.pages[number + 1 :]


@_as(BAD)
def half_of_them(script: Script, rng: random.Random) -> None:
    for page in script.pages:
        page["data"] = rng.sample(page["data"], len(page["data"]) // 2)


@_as(BAD)
def nobody(script: Script, rng: random.Random) -> None:
    for page in script.pages:
        page["data"] = []


@_as(BAD)
def no_list(script: Script, rng: random.Random) -> None:
    script.any_page(rng)["data"] = rng.choice([None, {}, "people", 7, [[]], [None], ["5000"]])


@_as(BAD)
def other_organization(script: Script, rng: random.Random) -> None:
    data: Any = rng.choice(
        [organization(OTHER), {}, None, {"id": None}, {"id": 7}, [], {"id": "../../" + ORGANIZATION}]
    )
    script.organization = Reply(data=data)


@_as(BAD)
def people_of_another_organization(script: Script, rng: random.Random) -> None:
    for page in script.pages:
        page["data"] = [{**found, "id": f"77{found['id']}"} for found in page["data"]]


@_as(BAD)
def swapped_person(script: Script, rng: random.Random) -> None:
    """In one person's place stands another one, who comes again elsewhere."""
    first, second = rng.sample(range(PAGES), 2)
    missing, other = script.pages[first]["data"][0]["id"], script.pages[second]["data"][1]
    for page in script.pages:
        page["data"] = [dict(other) if found["id"] == missing else found for found in page["data"]]


@_as(BAD)
def contradiction(script: Script, rng: random.Random) -> None:
    """One id stands for two people, on one page or on two."""
    first, second = rng.choices(range(PAGES), k=2)
    double = {
        **script.pages[first]["data"][0],
        **rng.choice([{"active": False}, {"license": "free"}, {"email": "x@y"}]),
    }
    script.pages[second]["data"].append(double)


@_as(BAD)
def no_usable_id(script: Script, rng: random.Random) -> None:
    ids: list[Any] = [None, "", 5000, True, [], {}, "a/b", "..", "1\x00", "\ud800", "9" * 41, "５０００"]
    script.any_person(rng)["id"] = rng.choice(ids)


@_as(BAD)
def no_active(script: Script, rng: random.Random) -> None:
    script.any_person(rng)["active"] = rng.choice([None, "true", 1, 0, [], "yes"])


@_as(BAD)
def no_date(script: Script, rng: random.Random) -> None:
    key = rng.choice(["lastActivityAt", "licenseAssignedAt"])
    dates = ["yesterday", 17, True, [], {}, "2025-13-01", "2025-01-01T25:00:00Z", "\x00"]
    script.any_person(rng)[key] = rng.choice([*dates, "9" * 400])


@_as(BAD)
def too_large(script: Script, rng: random.Random) -> None:
    script.any_person(rng)["email"] = "a" * 600_000


@_as(BAD)
def no_json(script: Script, rng: random.Random) -> None:
    raw = rng.choice([b'{"data": NaN}', b"[" * 100_000, b"\xff\xfe{}", b'{"data": [1e400]}', b"{'data': []}"])
    script.replies[rng.randrange(PAGES)] = Reply(raw=raw)


@_as(HARMLESS)
def same_person_twice_on_a_page(script: Script, rng: random.Random) -> None:
    page = script.any_page(rng)
    page["data"].append(copy.deepcopy(page["data"][0]))


@_as(HARMLESS)
def same_person_on_two_pages(script: Script, rng: random.Random) -> None:
    first, second = rng.sample(range(PAGES), 2)
    script.pages[second]["data"].append(copy.deepcopy(script.pages[first]["data"][0]))


@_as(HARMLESS)
def another_order(script: Script, rng: random.Random) -> None:
    everybody = [found for page in script.pages for found in page["data"]]
    rng.shuffle(everybody)
    for number, page in enumerate(script.pages):
        page["data"] = everybody[number::PAGES]


@_as(HARMLESS)
def empty_pages_at_the_end(script: Script, rng: random.Random) -> None:
    script.pages[-1]["cursor"] = "empty"
    script.pages.append({"limit": 100, "size": 0, "cursor": "", "data": []})
    if rng.random() < 0.5:
        script.pages[-1]["cursor"] = "another"
        script.pages.append({"limit": 100, "size": 0, "cursor": None, "data": []})


@_as(HARMLESS)
def strange_words(script: Script, rng: random.Random) -> None:
    strange: list[Any] = [
        None,
        "",
        "a" * 10_000,
        "x\x00y",
        "\ud800",
        7,
        [],
        {"a": 1},
        "🧑‍🚀" * 300,
        "'; DROP TABLE x; --",
    ]
    script.any_person(rng)[rng.choice(["email", "license", "role", "more"])] = rng.choice(strange)


@_as(HARMLESS)
def new_people(script: Script, rng: random.Random) -> None:
    script.pages[-1]["data"] += [person(900 + number) for number in range(3)]


@_as(HARMLESS)
def strange_names(script: Script, rng: random.Random) -> None:
    """The directory is read after the run is complete, which holds without it."""
    script.directory = rng.choice(
        [
            Reply(raw=WEB_PAGE),
            Reply(raw=b""),
            Reply(status=500, raw=b""),
            Reply(status=403, data={"detail": "\x00\ud800"}),
            Reply(data={"Resources": [{"id": "5000", "displayName": "n" * 100_000}], "totalResults": 1}),
            Reply(raw=b'{"Resources": [{"id": "5001", "displayName": "a\\u0000b\\ud800"}], "totalResults": 1}'),
            Reply(data={"Resources": [None, 7, {"id": None}, {}], "totalResults": 4}),
            Reply(data={"Resources": "everybody", "totalResults": -1}),
            Reply(data={**names(PEOPLE), "totalResults": 10_000}),
        ]
    )


def make(number: int) -> Script:
    """One or two things are wrong, and so often a harmless one, too."""
    rng = random.Random(f"hostile {number}")  # noqa: S311 - the same scripts in each run
    script = Script()
    harmless = rng.sample(sorted(HARMLESS), rng.choice([0, 0, 1, 1, 2]))
    bad = rng.sample(sorted(BAD), 1) if rng.random() < 0.8 or not harmless else []
    # What changes people comes before what changes pages.
    harmless.sort(key=lambda name: name == "empty pages at the end")
    for name in harmless:
        HARMLESS[name](script, rng)
    for name in bad:
        BAD[name](script, rng)
    script.bad, script.done = bool(bad), harmless + bad
    return script
