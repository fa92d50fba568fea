"""`licensehub`: the command line. It calls the REST API with a token, so rights, limits and audit are those of the API.

docs/command-line.md is its manual. `doctor`, `apply` and `dump` act on the host instead.
"""

from __future__ import annotations

import sys
from typing import Any

import click

from licensehub.api.client import ApiError
from licensehub.build import version
from licensehub.command_line import output
from licensehub.command_line.access import TOKEN, TOKEN_FILE, URL
from licensehub.command_line.calls import Session
from licensehub.command_line.commands import (
    accounts,
    decisions,
    host,
    people,
    profiles,
    protections,
    requests,
    runs,
    webhooks,
)
from licensehub.command_line.commands.completion import completion
from licensehub.command_line.exit_codes import Exit, code_of
from licensehub.command_line.options import examples


def _show_version(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted:
        click.echo(f"LicenseHub {version()}")
        context.exit()


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=examples(
        f"export {URL}=https://licensehub.example {TOKEN_FILE}=~/.config/licensehub/token",
        "licensehub subscriptions list --idle-before 2026-06-01 --holds-seat",
        'licensehub requests create 101 102 --reason "True-up"',
        "licensehub decisions approve 12 --as bob",
    ),
)
@click.option("--url", default="", help=f"Where LicenseHub answers ({URL}).")
@click.option("--token-file", default="", help=f"A file with the token, readable by you only ({TOKEN_FILE}, {TOKEN}).")
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version, help="The version.")
@click.pass_context
def cli(context: click.Context, url: str, token_file: str) -> None:
    """Finds unused licenses, and reclaims them after a second person's approval.

    Exit codes: 0 done, 1 failed, 2 wrong usage or values, 3 refused, 4 not allowed, 5 not found, 6 no answer,
    7 there are differences.
    """
    context.obj = Session(url, token_file)


for _command in (
    *(accounts.me, profiles.profiles, profiles.connections, profiles.rules, protections.protections),
    *(requests.candidates, requests.requests, decisions.decisions, runs.history, runs.runs),
    *(people.subscriptions, people.export, people.savings, people.audit, accounts.users, accounts.roles),
    webhooks.webhooks,
    *host.commands(),
    completion,
):
    cli.add_command(_command)


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Returns its exit code."""
    try:
        result = cli.main(arguments, prog_name="licensehub", standalone_mode=False)
        return result if isinstance(result, int) else Exit.DONE
    except click.exceptions.Abort:
        output.note("Nothing was done.")
        return Exit.FAILED
    except click.ClickException as error:
        error.show()
        return Exit.USAGE
    except ApiError as error:
        _report(error)
        return code_of(error)
    except BrokenPipeError:
        # Whoever read the output has enough, e.g. `head`.
        sys.stderr.close()
        return Exit.DONE


def _report(error: ApiError) -> None:
    output.note(f"licensehub: {error}")
    problems: Any = error.problem.get("errors")
    for one in problems if isinstance(problems, list) else ():
        output.note(f"  {one.get('place')}: {one.get('detail')}")
