"""`licensehub webhooks`: where events are sent, and whether they arrive."""

from __future__ import annotations

from typing import Any, Final

import click

from licensehub.command_line import output
from licensehub.command_line.calls import Session, pages
from licensehub.command_line.lists import LISTS, of
from licensehub.command_line.options import examples, json_option, list_options

DELIVERIES: Final = of("id", "event", "occurred_at", "state.label as State", "tries", "status", "problem")


@click.group()
def webhooks() -> None:
    """Webhooks and their deliveries. A webhook is changed in the browser, or by `licensehub apply`."""


@webhooks.command("list", epilog=examples("licensehub webhooks list"))
@list_options
@json_option
def list_webhooks(session: Session, most: int | None) -> None:
    """List the webhooks, with what does not work."""
    rows = list(pages(session.client.webhooks, most))
    session.show(rows, lambda shown: output.show_table(shown, LISTS["webhooks"]))


@webhooks.command("show", epilog=examples("licensehub webhooks show 3"))
@click.argument("webhook", type=click.IntRange(1), metavar="ID")
@json_option
def show_webhook(session: Session, webhook: int) -> None:
    """Show one webhook."""
    row = session.client.webhook(webhook)
    everywhere = {"profiles": "all"} if row["profiles"] is None else {}
    session.show(row, lambda shown: output.show_values(shown, sorted({**shown, **everywhere}.items())))


@webhooks.command("deliveries", epilog=examples("licensehub webhooks deliveries 3 --state failed"))
@click.argument("webhook", type=click.IntRange(1), metavar="ID")
@click.option("--state", help="Only those in this state, e.g. failed.")
@list_options
@json_option
def list_deliveries(session: Session, webhook: int, state: Any, most: int | None) -> None:
    """List what was sent to a webhook, the newest first."""

    def call(**options: Any) -> Any:
        return session.client.webhook_deliveries(webhook, **options)

    rows = list(pages(call, most, state=state))
    session.show(rows, lambda shown: output.show_table(shown, DELIVERIES))
