"""The admins of teams: Miro does not deactivate the only one.

https://developers.miro.com/reference/enterprise-get-teams and .../enterprise-get-team-members. All calls only read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from integrations.connectors.contract import BadAnswer, PermanentError, Team, TeamsPage, english
from integrations.connectors.miro.errors import optional
from integrations.connectors.miro.parse import next_cursor
from integrations.connectors.miro.rest.client import LEVEL_1, LEVEL_2, PAGE_SIZE, MiroRest
from integrations.connectors.miro.rest.pages import walk
from integrations.connectors.parsing import clean, mapping, safe_id

SCOPE = "organizations:teams:read"
ADMIN = "admin"
MAX_NAME = 120
# Each team costs a call. So many calls take at most a minute, even if others use the limit, too.
TEAMS_AT_ONCE = 20


class _Listing(NamedTuple):
    items: list[Mapping[str, Any]]
    cursor: str


def team_admins(rest: MiroRest, cursor: str = "") -> Iterator[TeamsPage]:
    """Implements `Connector.team_admins`: one call per hundred teams, and one per team for its admins.

    The cursor is `place on the page:Miro's cursor of that page`.
    """
    place, _, at = cursor.partition(":")
    start = int(place) if place else 0
    for page in walk(partial(_page, rest, "/teams", {}, LEVEL_1), cursor=at, max_pages=rest.max_pages, what="teams"):
        following = f"0:{page.cursor}" if page.cursor else ""
        while start < len(page.items):
            end = start + TEAMS_AT_ONCE
            teams = [_team(rest, item) for item in page.items[start:end]]
            yield TeamsPage(teams, f"{end}:{at}" if end < len(page.items) else following)
            start = end
        if not page.items:
            yield TeamsPage([], following)
        start, at = 0, page.cursor


def _team(rest: MiroRest, item: Mapping[str, Any]) -> Team:
    team_id = safe_id(item.get("id"), where=english("A team in Miro's answer"))
    return Team(clean(item.get("name"), max_length=MAX_NAME) or team_id, frozenset(_admins(rest, team_id)))


def _admins(rest: MiroRest, team_id: str) -> Iterator[str]:
    """The ids of a team's admins; none if the team was deleted meanwhile."""
    fetch = partial(_page, rest, f"/teams/{team_id}/members", {"role": ADMIN}, LEVEL_2)
    try:
        for page in walk(fetch, max_pages=rest.max_pages, what="team admins"):
            # Filtered again: if the vendor ignored the filter, all members would count as admins.
            ours = (item for item in page.items if item.get("role") == ADMIN)
            yield from (safe_id(item.get("id"), where=english("A team admin in Miro's answer")) for item in ours)
    except PermanentError as error:
        if error.status != 404:
            raise


def _page(rest: MiroRest, tail: str, filters: Mapping[str, str], cost: int, cursor: str) -> _Listing:
    query: dict[str, str | int] = {"limit": PAGE_SIZE, **filters, **({"cursor": cursor} if cursor else {})}
    with optional(SCOPE, "who is the only admin of a team"):
        data = mapping(rest.get(tail, query, cost=cost, unknown_is_wrong=tail == "/teams"))
    items = data.get("data")
    if not isinstance(items, list):
        raise BadAnswer(english("Miro's answer holds no list of teams or their admins."), code="not_a_list")
    return _Listing([mapping(item) for item in items], next_cursor(data))
