"""`licensehub runs` and `history`: what was downloaded, and what was sent."""

from __future__ import annotations

import time
from typing import Any, Final

import click

from licensehub.command_line import output
from licensehub.command_line.calls import Session, pages
from licensehub.command_line.exit_codes import Exit
from licensehub.command_line.lists import LISTS
from licensehub.command_line.options import (
    examples,
    json_option,
    list_options,
    profile_argument,
    profile_option,
    reason_option,
)

POLL: Final = 2.0  # seconds


@click.group()
def runs() -> None:
    """Downloads, and sending."""


@runs.command("list", epilog=examples("licensehub runs list --profile Northwind --limit 5"))
@profile_option
@click.option("--state", help="Only those in this state, e.g. quarantined.")
@list_options
@json_option
def list_runs(session: Session, profile: str | None, state: Any, most: int | None) -> None:
    """List the download runs, the newest first."""
    pk = session.profile(profile) if profile else None
    rows = list(pages(session.client.runs, most, profile=pk, state=state))
    session.show(rows, lambda shown: output.show_table(shown, LISTS["runs"]))


@runs.command("start", epilog=examples("licensehub runs start Northwind --wait"))
@profile_argument
@click.option("--reclaim", is_flag=True, help="Send now what is approved and due, in place of a download.")
@click.option("--wait", is_flag=True, help="Wait until the download has ended, and show its progress.")
@click.option("--timeout", type=click.IntRange(1), default=3600, show_default=True, help="Seconds to wait.")
@json_option
def start_run(session: Session, profile: str, reclaim: bool, wait: bool, timeout: int) -> None:
    """Start a download. Nothing is ever sent that nobody approved."""
    if reclaim and wait:
        raise click.UsageError("--wait is about a download. `licensehub history list` shows what was sent.")
    pk, client = session.profile(profile), session.client
    last = next(pages(client.runs, 1, profile=pk), None)
    call = client.reclaim_now if reclaim else client.download_now
    noted = session.act(lambda key: call(pk, idempotency_key=key))
    if not wait:
        session.show(noted, lambda shown: output.say(shown["detail"]))
        return
    ended = _wait(session, pk, after=last["id"] if last else 0, timeout=timeout)
    session.show(ended, lambda shown: output.show_table([shown], LISTS["runs"]))
    if ended["state"]["code"] != "complete":
        raise SystemExit(Exit.DIFFERENT)


def _wait(session: Session, profile: int, *, after: int, timeout: int) -> dict[str, Any]:
    """The run that began after this one, when it has ended. Shows how many people were read."""
    until, shown = time.monotonic() + timeout, -1
    while time.monotonic() < until:
        run = next(pages(session.client.runs, 1, profile=profile), None)
        if run and run["id"] > after:
            if run["state"]["code"] != "running":
                return run
            if run["read"] != shown:
                shown = run["read"]
                output.note(f"{run['number']}: {shown} people read …")
        time.sleep(POLL)
    output.note(f"The download has not ended in {timeout} seconds. It goes on; `licensehub runs list` shows it.")
    raise SystemExit(Exit.NO_ANSWER)


@runs.command(
    "stop",
    epilog=examples("licensehub runs stop Northwind", 'licensehub runs stop --everything --reason "Wrong people"'),
)
@click.argument("profile", required=False)
@click.option("--everything", is_flag=True, help="Stop all sending, in every profile.")
@click.option("--reason", default="", help="Why; needed with --everything.")
@json_option
def stop(session: Session, profile: str | None, everything: bool, reason: str) -> None:
    """Stop sending, for a profile or everywhere. Approved seats wait. A person allows it again, in the browser."""
    if everything == bool(profile):
        raise click.UsageError("Name a profile, or say --everything.")
    if everything and not reason:
        raise click.UsageError("Say with --reason why everything is stopped.")
    pk = session.profile(profile) if profile else 0

    def call(key: str) -> Any:
        if everything:
            return session.client.stop_everything({"reason": reason}, idempotency_key=key)
        return session.client.stop(pk, idempotency_key=key)

    session.show(session.act(call), lambda shown: output.say(shown["detail"]))


@click.group()
def history() -> None:
    """Reclaims and restores: what was sent to the vendors, and how it ended."""


@history.command(
    "list", epilog=examples("licensehub history list --request 12", "licensehub history list --all --json")
)
@profile_option
@click.option("--state", help="Only those in this state, e.g. done.")
@click.option("--request", "request_id", type=click.IntRange(1), help="Only those of this request.")
@list_options
@json_option
def list_history(session: Session, profile: str | None, state: Any, request_id: int | None, most: int | None) -> None:
    """List reclaims and restores, the newest first."""
    pk = session.profile(profile) if profile else None
    rows = list(pages(session.client.history, most, profile=pk, state=state, request_id=request_id))
    session.show(rows, lambda shown: output.show_table(shown, LISTS["history"]))


@history.command("restore", epilog=examples('licensehub history restore 31 --reason "Back from leave"'))
@click.argument("ids", nargs=-1, required=True, type=click.IntRange(1), metavar="ID...")
@reason_option
@json_option
def restore(session: Session, ids: tuple[int, ...], reason: str) -> None:
    """Give people their seats back, by ids of the history: one at once; of several, another person decides."""

    def call(key: str) -> Any:
        if len(ids) == 1:
            return session.client.restore(ids[0], {"reason": reason}, idempotency_key=key)
        return session.client.request_restore({"reclaims": list(ids), "reason": reason}, idempotency_key=key)

    made = session.act(call)
    session.show(made, lambda shown: output.say(f"{shown['number']} (id {shown['request']}): {shown['state']}."))
