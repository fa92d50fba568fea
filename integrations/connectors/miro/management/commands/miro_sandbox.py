"""`manage.py miro_sandbox`: a stateful emulator of Miro's REST and SCIM APIs on this machine."""

from __future__ import annotations

import signal
import threading
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from integrations.connectors.miro.sandbox.messages import SandboxError
from integrations.connectors.miro.sandbox.server import first_line, start


class Command(BaseCommand):
    help = "Serve a made-up Miro organization on 127.0.0.1. The first line of output has its addresses and tokens."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
        parser.add_argument("--members", type=int, default=400, help="people in a new organization")
        parser.add_argument("--seed", type=int, default=1, help="the same seed makes the same people and tokens")
        parser.add_argument("--state", type=Path, default=None, help="file that keeps the organization")

    def handle(self, *args: Any, **options: Any) -> None:
        done = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: done.set())
        try:
            sandbox = start(
                members=options["members"], seed=options["seed"], port=options["port"], state=options["state"]
            )
        except SandboxError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(first_line(sandbox))
        self.stdout.flush()
        done.wait()
        sandbox.stop()
