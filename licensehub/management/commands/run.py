"""`manage.py run`: web, worker, beat and broker on this machine, until Ctrl-C."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from licensehub.embedded.errors import CannotRunError
from licensehub.embedded.processes import LOOPBACK, prepare, processes
from licensehub.embedded.supervisor import Supervisor, wait_for_http

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """The embedded mode without the sandbox; the demo adds that."""

    help = "Run LicenseHub on this machine: web, worker, beat and broker, until Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The port, and the place that the processes write to."""
        parser.add_argument("--port", type=int, default=settings.WEB_PORT, help="default: WEB_PORT, or 8000")
        parser.add_argument("--quiet", action="store_true", help="write to var/logs/ instead of the terminal")

    def handle(self, *_: Any, port: int, quiet: bool, **__: Any) -> None:
        """Prepare, start, serve."""
        url = f"http://{LOOPBACK}:{port}/"
        supervisor = Supervisor(processes(port), logs=settings.VAR_DIR / "logs" if quiet else None)
        try:
            prepare(port)
            code = supervisor.run(lambda: self.announce(url, supervisor))
        except CannotRunError as problem:
            raise CommandError(str(problem)) from problem
        sys.exit(code)

    def announce(self, url: str, supervisor: Supervisor) -> None:
        """Print the address, once it answers."""
        wait_for_http(f"{url}health", stopping=supervisor.stopping)
        self.stdout.write(f"LicenseHub is at {url}  (Ctrl-C stops it)")
