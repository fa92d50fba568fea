"""`manage.py demo`: runs the whole job against the sandbox."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connections
from rich.console import Console
from rich.table import Table

from licensehub.embedded import demo, demo_sign_on
from licensehub.embedded.demo_accounts import ACCOUNTS, ensure_accounts
from licensehub.embedded.errors import CannotRunError
from licensehub.embedded.processes import LOOPBACK, free_port, prepare, processes, require_free
from licensehub.embedded.supervisor import Supervisor, wait_for_http
from subscriptions.stats import ProfileStats, profile_stats

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    help = "Run LicenseHub with a sandbox in the vendor's place: download, and serve until Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="drive the whole job without a person, then stop")
        parser.add_argument("--scene", choices=sorted(demo.SCENES), help="show what LicenseHub does with a fault")
        parser.add_argument("--sso", action="store_true", help="show single sign-on with a provider on this machine")
        parser.add_argument("--port", type=int, help="default: 8000, or a free one where that is taken")

    def handle(self, *_: Any, once: bool, port: int | None, scene: str | None, sso: bool, **__: Any) -> None:
        self.sso = sso
        try:
            code = self._run(port or _port(), once=once, scene=scene)
        except CannotRunError as problem:
            raise CommandError(str(problem)) from problem
        sys.exit(code)

    def _run(self, port: int, *, once: bool, scene: str | None) -> int:
        sandbox_port = free_port()
        control = demo.point_to_sandbox(sandbox_port)
        demo_sign_on.without_factor()
        provider = []
        if self.sso:
            provider_port = free_port()
            demo_sign_on.point_to_provider(provider_port, port)
            provider = [demo_sign_on.provider_process(provider_port)]
        prepare(port)
        demo.refuse_real_data()
        connections.close_all()
        children = [demo.sandbox_process(sandbox_port), *provider, *processes(port)]
        supervisor = Supervisor(children, logs=settings.VAR_DIR / "logs")
        driver = demo.Driver(control, supervisor.stopping, self.stdout.write)
        return supervisor.run(lambda: self._drive(driver, f"http://{LOOPBACK}:{port}/", once=once, scene=scene))

    def _drive(self, driver: demo.Driver, url: str, *, once: bool, scene: str | None) -> int | None:
        self.stdout.write("Starting the sandbox, the broker, web, worker and beat …")
        demo.sandbox_answers(driver.control, driver.stopping)
        passwords = ensure_accounts()
        driver.connect()
        self.stdout.write(f"“{demo.PROFILE}” is connected. Downloading its subscriptions …")
        driver.end_scenes()
        run = driver.download()
        driver.employ_accounts()
        wait_for_http(f"{url}health", stopping=driver.stopping)
        self._show(profile_stats(run.profile, run), demo.ready_candidates().count(), f"{demo.PROFILE}, {run.number}")
        if once:
            self.stdout.write(json.dumps(driver.once()))
            self._play(scene, driver, url)
            return 0
        renamed = driver.protect_and_rename()
        self.stdout.write(f"{renamed} is protected and has another address now; see Protections.")
        bounced = driver.ask_and_bounce()
        self.stdout.write(f"The mail to {bounced} came back; see Removal candidates, Attention Required.")
        self._play(scene, driver, url)
        self._invite(url, passwords)
        return None

    def _play(self, scene: str | None, driver: demo.Driver, url: str) -> None:
        """Play the scene. It is the last step, since a fault may hold all sends."""
        if scene:
            self.stdout.write(demo.SCENES[scene](driver, url))

    def _show(self, numbers: ProfileStats, candidates: int, title: str) -> None:
        table = Table(title=title)
        table.add_column("Seats")
        table.add_column("Count", justify="right")
        rows = {
            "Purchased": numbers.purchased,
            "Assigned": numbers.assigned,
            "Active": numbers.active_lately,
            "Inactive over threshold": numbers.inactive,
            "Never active": numbers.never,
            "Protected": numbers.protected,
            "Candidates": candidates,
        }
        for name, count in rows.items():
            table.add_row(name, "unknown" if count is None else f"{count:,}")
        Console().print(table)

    def _invite(self, url: str, passwords: dict[str, str]) -> None:
        table = Table(
            title="Sign in as",
            caption="The manager asks, the approver decides, the admin sets up and gives roles, the auditor reads.",
        )
        for column in ("Role", "User", "Password"):
            table.add_column(column)
        for username, role in ACCOUNTS.items():
            table.add_row(role, username, passwords[username])
        Console().print(table)
        if self.sso:
            self.stdout.write(demo_sign_on.invitation())
        self.stdout.write(f"LicenseHub is at {url}  (Ctrl-C stops it and everything that it started)")


def _port() -> int:
    """The usual port, or a free one where that is in use."""
    try:
        require_free(settings.WEB_PORT)
    except CannotRunError:
        return free_port()
    return int(settings.WEB_PORT)
