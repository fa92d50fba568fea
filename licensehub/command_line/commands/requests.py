"""`licensehub candidates` and `requests`: who could lose a seat, and what waits for a decision."""

from __future__ import annotations

from typing import Any

import click

from licensehub.api.client import ApiError
from licensehub.command_line import output
from licensehub.command_line.calls import TRIES, Session, pages
from licensehub.command_line.lists import LISTS
from licensehub.command_line.options import examples, json_option, list_options, profile_option, reason_option

CANDIDATE_STATES = ("attention_required", "ready", "awaiting_user", "awaiting_approval", "awaiting_revocation")
IDS = click.argument("ids", nargs=-1, required=True, type=click.IntRange(1), metavar="ID...")


@click.group()
def candidates() -> None:
    """Removal candidates."""


@candidates.command("list", epilog=examples("licensehub candidates list --state ready --profile Northwind"))
@profile_option
@click.option("--state", type=click.Choice(CANDIDATE_STATES), help="Only those in this state.")
@list_options
@json_option
def list_candidates(session: Session, profile: str | None, state: Any, most: int | None) -> None:
    """List the candidates, the longest idle first."""
    pk = session.profile(profile) if profile else None
    rows = list(pages(session.client.candidates, most, profile=pk, state=state))
    session.show(rows, lambda shown: output.show_table(shown, LISTS["candidates"]))


@click.group()
def requests() -> None:
    """Requests to reclaim seats. Another person decides: see `licensehub decisions`."""


@requests.command("list", epilog=examples("licensehub requests list --state open"))
@profile_option
@click.option("--state", help="Only those in this state, e.g. open.")
@list_options
@json_option
def list_requests(session: Session, profile: str | None, state: Any, most: int | None) -> None:
    """List the requests, the newest first."""
    pk = session.profile(profile) if profile else None
    rows = list(pages(session.client.requests, most, profile=pk, state=state))
    session.show(rows, lambda shown: output.show_table(shown, LISTS["requests"]))


@requests.command("show", epilog=examples("licensehub requests show 12", "licensehub requests show 12 --json"))
@click.argument("request", type=click.IntRange(1))
@json_option
def show_request(session: Session, request: int) -> None:
    """Show a request with all of its people, and the digest that a decision names."""
    found = read_request(session, request)
    session.show(found, show_whole)


def read_request(session: Session, request: int) -> dict[str, Any]:
    """The request and its `people`: the list that its digest names. Read again if it changed in the meantime.

    Raises ApiError.
    """
    for _ in range(TRIES):
        page = session.client.request_page(request)
        people = list(pages(lambda **given: session.client.people(request, **given)))
        again = session.client.request_page(request)
        if (page["digest"], page["revision"]) == (again["digest"], again["revision"]):
            return {**again, "listed": people}
    detail = "This request changes again and again while it is read. Look at it in the browser."
    raise ApiError(409, {"code": "changed", "detail": detail})


def show_whole(found: dict[str, Any]) -> None:
    names = ("number", "direction", "people", "cap", "requested_by", "requested_at", "reason", "expires_at")
    more = ("decided_by", "decided_at", "comment", "revision", "digest", "may_decide", "why_not")
    state = ("state", found["state"]["label"])
    output.show_values(found, [*((name, found[name]) for name in names), state, *((n, found[n]) for n in more)])
    output.show_table(found["listed"], LISTS["people"])


@requests.command("create", epilog=examples('licensehub requests create 101 102 103 --reason "True-up in November"'))
@IDS
@reason_option
@json_option
def create_request(session: Session, ids: tuple[int, ...], reason: str) -> None:
    """Request the reclaim of candidates of one profile, by their ids. All of them must be Ready."""
    made = session.act(
        lambda key: session.client.make_request({"candidates": list(ids), "reason": reason}, idempotency_key=key)
    )
    session.show(made, show_done)


@requests.command("withdraw", epilog=examples("licensehub requests withdraw 12"))
@click.argument("request", type=click.IntRange(1))
@json_option
def withdraw_request(session: Session, request: int) -> None:
    """Withdraw an own request."""
    made = session.act(lambda key: session.client.withdraw(request, idempotency_key=key))
    session.show(made, show_done)


def show_done(made: Any) -> None:
    output.say(f"{made['number']} (id {made['request']}), {made['people']} people: {made['state']}.")
