"""Download the subscriptions of one profile, now."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from subscriptions.downloads.lease import DownloadError
from subscriptions.downloads.run import download_subscriptions
from subscriptions.management.profile_command import ProfileCommand
from subscriptions.models import DownloadRun, RunState
from subscriptions.models.download import StartedBy

COUNTS = ("read", "new", "changed", "gone", "unchanged")


class Command(ProfileCommand):
    help = "Download the subscriptions of the profile NAME: who holds which license, and when each was last active."

    def handle(self, *args: Any, **options: Any) -> None:
        profile = self.profile(options["name"])
        try:
            with _Bar(profile.name) as bar:
                run = download_subscriptions(profile, actor=None, started_by=StartedBy.COMMAND, progress=bar.advance)
        except DownloadError as error:
            raise CommandError(str(error)) from error
        counts = {name: getattr(run, name) for name in COUNTS}
        if options["json"] and run.state != RunState.COMPLETE:
            self.write_json({"run": run.number, "state": run.state, **counts})
        if run.state != RunState.COMPLETE:
            raise CommandError(f"{run} {run.get_state_display().lower()}: {run.problem}")
        self.stdout.write(f"{run} complete: " + ", ".join(f"{n} {name}" for name, n in counts.items()) + ".")
        if run.problem:
            self.stdout.write(run.problem)
        if options["json"]:
            self.write_json({"run": run.number, "state": run.state, **counts})


class _Bar:
    """A progress bar on a terminal; elsewhere nothing."""

    def __init__(self, title: str) -> None:
        console = Console(stderr=True)
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("members"),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self.task: TaskID = self.progress.add_task(f"Downloading {title}", total=None)

    def __enter__(self) -> _Bar:
        self.progress.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self.progress.stop()

    def advance(self, run: DownloadRun, expected: int) -> None:
        self.progress.update(self.task, completed=run.read, total=expected or None)
