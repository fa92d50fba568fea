"""`licensehub me`, `users` and `roles`."""

from __future__ import annotations

from typing import Any

import click

from licensehub.api.client import bodies
from licensehub.command_line import output
from licensehub.command_line.calls import Session, pages
from licensehub.command_line.lists import LISTS
from licensehub.command_line.options import examples, json_option, list_options

ROLE = click.option("--role", "roles", multiple=True, required=True, help="The name of a role; may be repeated.")


@click.command(epilog=examples("licensehub me"))
@json_option
def me(session: Session) -> None:
    """Show whose token this is, and what it may do."""
    found = session.client.me()
    session.show(found, lambda shown: output.show_values(shown, list(shown.items())))


@click.group()
def users() -> None:
    """Accounts. They are deactivated in the browser, and never deleted."""


@users.command("list", epilog=examples("licensehub users list --all"))
@list_options
@json_option
def list_users(session: Session, most: int | None) -> None:
    """List the accounts and their roles."""
    rows = list(pages(session.client.users, most))
    session.show(rows, lambda shown: output.show_table(shown, LISTS["users"]))


@users.command(
    "invite", epilog=examples('licensehub users invite pat@northwind.example Pat Lee --role "License manager"')
)
@click.argument("email")
@click.argument("first_name")
@click.argument("last_name")
@ROLE
@json_option
def invite(session: Session, email: str, first_name: str, last_name: str, roles: tuple[str, ...]) -> None:
    """Invite a person, who gets a mail with a link. A right to decide waits, also until they have joined."""
    body: bodies.Invitation = {"email": email, "first_name": first_name, "last_name": last_name, "roles": list(roles)}
    session.show(session.client.invite(body), _show_granted)


@users.command("grant", epilog=examples("licensehub users grant pat@northwind.example --role Approver"))
@click.argument("user")
@ROLE
@json_option
def grant(session: Session, user: str, roles: tuple[str, ...]) -> None:
    """Give an account roles. A right to decide waits: a second admin confirms it in the browser, or a day passes."""
    _change(session, user, {"add": list(roles)})


@users.command("revoke", epilog=examples("licensehub users revoke pat@northwind.example --role Approver"))
@click.argument("user")
@ROLE
@json_option
def revoke(session: Session, user: str, roles: tuple[str, ...]) -> None:
    """Take roles from an account, at once."""
    _change(session, user, {"remove": list(roles)})


def _change(session: Session, user: str, body: bodies.RoleChange) -> None:
    pk = _user(session, user)
    made = session.act(lambda key: session.client.change_roles(pk, body, idempotency_key=key))
    session.show(made, _show_granted)


def _user(session: Session, given: str) -> int:
    """The id of an account, by its username. An address is not asked: it changes."""
    for row in pages(session.client.users):
        if row["username"] == given:
            return int(row["id"])
    raise click.UsageError(output.printable(f"There is no account with the username “{given}”."))


def _show_granted(made: Any) -> None:
    output.say(f"{made['username']}: {', '.join(made['roles']) or 'no role'}. {made['detail']}")


@users.command("changes", epilog=examples("licensehub users changes --state waiting"))
@click.option("--state", type=click.Choice(["waiting", "effective", "refused", "withdrawn"]))
@list_options
@json_option
def changes(session: Session, state: Any, most: int | None) -> None:
    """List changes of rights: those that wait for a second admin, and what became of the others."""
    rows = list(pages(session.client.rights_changes, most, state=state))
    session.show(rows, lambda shown: output.show_table(shown, LISTS["rights_changes"]))


@click.group()
def roles() -> None:
    """Roles and their rights."""


@roles.command("list", epilog=examples("licensehub roles list"))
@list_options
@json_option
def list_roles(session: Session, most: int | None) -> None:
    """List the roles. The whole list of rights is in the JSON."""
    rows = list(pages(session.client.roles, most))
    session.show(rows, lambda shown: output.show_table(shown, LISTS["roles"]))
