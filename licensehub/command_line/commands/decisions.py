"""`licensehub decisions`: approve and reject as oneself, by the API: it demands a second person and a fresh proof."""

from __future__ import annotations

import sys

import click

from licensehub.api.client import bodies
from licensehub.command_line import output
from licensehub.command_line.calls import Session
from licensehub.command_line.commands.requests import read_request, show_done, show_whole
from licensehub.command_line.options import examples, json_option

AS = click.option("--as", "account", metavar="USERNAME", help="Refuse to act if the token is not this person's.")


@click.group()
def decisions() -> None:
    """Approve and reject requests with your own token, as the second person.

    The token must be at most some hours old, and made with a second factor: `licensehub me` shows whose it is.
    """


@decisions.command(
    "approve",
    epilog=examples(
        "licensehub decisions approve 12 --as bob",
        "licensehub decisions approve 12 --digest DIGEST --revision 0      (as `requests show` printed them)",
    ),
)
@click.argument("request", type=click.IntRange(1))
@click.option("--comment", default="", help="For the people who read it later.")
@click.option("--digest", help="The digest of the list that you have read. Without it you are shown the list.")
@click.option("--revision", type=click.IntRange(0), help="The revision that belongs to the digest.")
@AS
@json_option
def approve(
    session: Session, request: int, comment: str, digest: str | None, revision: int | None, account: str | None
) -> None:
    """Approve a request. An approval is about a list of people that was read: it names its digest."""
    if (digest is None) != (revision is None):
        raise click.UsageError("--digest and --revision belong together.")
    whose = _own(session, account)
    if digest is None or revision is None:
        digest, revision = _read(session, request, whose)
    body: bodies.Approval = {"digest": digest, "revision": revision, "comment": comment}
    made = session.act(lambda key: session.client.approve(request, body, idempotency_key=key))
    session.show(made, show_done)


def _own(session: Session, account: str | None) -> str:
    whose = session.client.me()["account"]
    if account is not None and whose != account:
        raise click.UsageError(output.printable(f"This token is one of {whose}, not of {account}. Nothing was done."))
    return whose


def _read(session: Session, request: int, whose: str) -> tuple[str, int]:
    """Show the list to the person at the terminal, who then says yes. Returns its digest and revision."""
    if not sys.stdin.isatty():
        raise click.UsageError("Without a terminal, give --digest and --revision of the list that you have read.")
    found = read_request(session, request)
    show_whole(found)
    people = output.printable(f"Approve {found['number']} with {found['people']} people, as {whose}?")
    click.confirm(people, abort=True, err=True)
    return found["digest"], found["revision"]


@decisions.command("reject", epilog=examples('licensehub decisions reject 12 --comment "Needed for the audit"'))
@click.argument("request", type=click.IntRange(1))
@click.option("--comment", required=True, help="Why.")
@AS
@json_option
def reject(session: Session, request: int, comment: str, account: str | None) -> None:
    """Reject a request. Its people are Ready again."""
    _own(session, account)
    made = session.act(lambda key: session.client.reject(request, {"comment": comment}, idempotency_key=key))
    session.show(made, show_done)
