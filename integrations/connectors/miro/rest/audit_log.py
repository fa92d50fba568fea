"""Miro's own log of the changes in the organization and their authors.

https://developers.miro.com/reference/enterprise-get-audit-logs. All calls only read.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import NamedTuple

from integrations.connectors.contract import BadAnswer, VendorEvent, english
from integrations.connectors.miro.errors import optional
from integrations.connectors.miro.parse import event, next_cursor
from integrations.connectors.miro.rest.client import LEVEL_2, PAGE_SIZE, MiroRest
from integrations.connectors.miro.rest.pages import walk
from integrations.connectors.parsing import mapping

SCOPE = "auditlogs:read"
# Miro publishes no list of event names. These follow the two that it shows (sign_in_succeeded, board_opened). Events
# with other names are read as well, but confirm nothing.
DEACTIVATED = frozenset({"user_deactivated"})
ACTIVATED = frozenset({"user_activated"})
# createdBy.type of the organization's SCIM token.
PROVISIONERS = frozenset({"scim_provisioner"})

# Miro gives times to the millisecond.
TICK = timedelta(milliseconds=1)


class _Log(NamedTuple):
    events: list[VendorEvent]
    cursor: str


def events(rest: MiroRest, *, since: datetime, until: datetime) -> Iterator[VendorEvent]:
    """Implements `Connector.events`. Both moments have a time zone."""
    since, until = _whole(since), _whole(until)
    # Miro does not document whether the ends are included: ask for a little more, and filter here.
    span = {"createdAfter": _text(since - TICK), "createdBefore": _text(until + TICK)}
    for page in walk(partial(_page, rest, span), max_pages=rest.max_pages, what="the audit log"):
        yield from (found for found in page.events if since <= found.at < until)


def _page(rest: MiroRest, span: dict[str, str], cursor: str) -> _Log:
    query: dict[str, str | int] = {**span, "limit": PAGE_SIZE, "sorting": "ASC"}
    if cursor:
        query["cursor"] = cursor
    with optional(SCOPE, english("Miro's own log")):
        data = mapping(rest.get_own("/v2/audit/logs", query, cost=LEVEL_2))
    items = data.get("data")
    if not isinstance(items, list):
        raise BadAnswer(english("Miro's answer holds no list of events. Nothing of it is used."), code="not_a_list")
    found = [
        event(
            item,
            where=english("Event {number} of Miro's answer").format(number=number),
            organization_id=rest.organization_id,
        )
        for number, item in enumerate(items, start=1)
    ]
    return _Log(found, next_cursor(data))


def _whole(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _text(moment: datetime) -> str:
    """UTC with milliseconds and a Z, as Miro wants it."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
