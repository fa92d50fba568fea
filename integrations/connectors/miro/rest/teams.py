"""The only admins of teams: Miro does not deactivate them.

https://developers.miro.com/reference/enterprise-get-teams and .../enterprise-get-team-members. All calls only read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from integrations.connectors.contract import BadAnswer, PermanentError
from integrations.connectors.miro.errors import optional
from integrations.connectors.miro.parse import next_cursor
from integrations.connectors.miro.rest.client import LEVEL_1, LEVEL_2, PAGE_SIZE, MiroRest
from integrations.connectors.miro.rest.pages import walk
from integrations.connectors.parsing import clean, mapping, safe_id

SCOPE = "organizations:teams:read"
ADMIN = "admin"
MAX_NAME = 120


class _Listing(NamedTuple):
    items: list[Mapping[str, Any]]
    cursor: str


def sole_admins(rest: MiroRest) -> dict[str, tuple[str, ...]]:
    """Implements `Connector.sole_team_admins`.

    One call per hundred teams, one per team for its admins. A team lists deactivated people without a mark, so they
    are read once for all teams.
    """
    admins = [(name, set(_admins(rest, team_id))) for team_id, name in _teams(rest)]
    away = rest.deactivated() if admins else frozenset()
    found: defaultdict[str, list[str]] = defaultdict(list)
    for name, ids in admins:
        active = ids - away
        if len(active) == 1:
            found[active.pop()].append(name)
    return {external_id: tuple(sorted(names)) for external_id, names in found.items()}


def _teams(rest: MiroRest) -> Iterator[tuple[str, str]]:
    """Id and name of every team."""
    for page in walk(partial(_page, rest, "/teams", {}, LEVEL_1), max_pages=rest.max_pages, what="teams"):
        for team in page.items:
            team_id = safe_id(team.get("id"), where="A team in Miro's answer")
            yield team_id, clean(team.get("name"), max_length=MAX_NAME) or team_id


def _admins(rest: MiroRest, team_id: str) -> Iterator[str]:
    """The ids of a team's admins; none if the team was deleted meanwhile."""
    fetch = partial(_page, rest, f"/teams/{team_id}/members", {"role": ADMIN}, LEVEL_2)
    try:
        for page in walk(fetch, max_pages=rest.max_pages, what="team admins"):
            # Filtered again: if the vendor ignored the filter, all members would count as admins.
            ours = (item for item in page.items if item.get("role") == ADMIN)
            yield from (safe_id(item.get("id"), where="A team admin in Miro's answer") for item in ours)
    except PermanentError as error:
        if error.status != 404:
            raise


def _page(rest: MiroRest, tail: str, filters: Mapping[str, str], cost: int, cursor: str) -> _Listing:
    query: dict[str, str | int] = {"limit": PAGE_SIZE, **filters, **({"cursor": cursor} if cursor else {})}
    with optional(SCOPE, "who is the only admin of a team"):
        data = mapping(rest.get(tail, query, cost=cost, unknown_is_wrong=tail == "/teams"))
    items = data.get("data")
    if not isinstance(items, list):
        raise BadAnswer("Miro's answer holds no list of teams or their admins.", code="not_a_list")
    return _Listing([mapping(item) for item in items], next_cursor(data))
