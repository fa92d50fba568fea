"""`licensehub completion`: the script by which a shell completes commands and options."""

from __future__ import annotations

from typing import Final

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from licensehub.command_line.options import examples

VARIABLE: Final = "_LICENSEHUB_COMPLETE"
SHELLS: Final[dict[str, type[ShellComplete]]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@click.command(
    epilog=examples(
        "licensehub completion bash > ~/.local/share/bash-completion/completions/licensehub",
        "licensehub completion fish > ~/.config/fish/completions/licensehub.fish",
    )
)
@click.argument("shell", type=click.Choice(list(SHELLS)))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion of a shell."""
    click.echo(SHELLS[shell](context.find_root().command, {}, "licensehub", VARIABLE).source())
