"""The demo: the sandbox beside LicenseHub's own processes, and a driver that runs the main job on them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from threading import Event
from typing import Final
from urllib.parse import parse_qs, urlsplit

import requests
from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.urls import reverse
from django.utils import timezone

from integrations.connections import oauth_flow
from integrations.connections.validation import validate_connections
from integrations.connectors.registry import SandboxControl, connector_class, demo_sandbox
from integrations.credentials.credential_store import set_credentials
from integrations.models import Connection, IntegrationProfile
from licensehub.embedded.bounced_mail import ask_and_bounce
from licensehub.embedded.demo_accounts import account, employ_accounts
from licensehub.embedded.errors import CannotRunError
from licensehub.embedded.processes import LOOPBACK, Child
from licensehub.embedded.renamed_person import check_untouched, protect_and_rename
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.candidates.caps import caps_of
from subscriptions.company.company import CompanyInput, save_company
from subscriptions.company.texts import default_of, keys
from subscriptions.errors import NotActionable, Refused
from subscriptions.models import (
    CandidateState,
    DownloadRun,
    Per,
    Reclaim,
    ReclaimRequest,
    RemovalCandidate,
    RunState,
    Subscription,
    Verdict,
)
from subscriptions.models.download import UNDER_WAY
from subscriptions.money.prices import PriceInput, enter_price
from subscriptions.profiles.lifecycle import create_profile, publish
from subscriptions.reclaims.engine import Tally
from subscriptions.tasks import enqueue_task, reclaim

SANDBOX: Final = demo_sandbox()
PROFILE: Final = SANDBOX.PROFILE
MEMBERS: Final = 400
SEED: Final = 42
# No browser opens it: the driver gives the operator's consent.
DEMO_CALLBACK: Final = "http://localhost/demo"
MAX_WAIT: Final = 240.0  # seconds
COMPANY: Final = "Northfield"
DOMAIN: Final = "northfield.example"
# For one seat and year, in US dollars.
PRICE: Final = Decimal(240)


def refuse_real_data() -> None:
    """The demo makes accounts and sends every call to the sandbox: it must not touch real profiles."""
    real = IntegrationProfile.objects.exclude(name=PROFILE).first()
    if real:
        raise CannotRunError(
            f"This database holds the profile “{real}”, so the demo does not use it. Unset DATABASE_URL, or name an "
            "empty folder in LICENSEHUB_VAR."
        )


def point_to_sandbox(port: int) -> SandboxControl:
    """Send all calls to the sandbox, here and by the environment, which all children inherit."""
    base = f"http://{LOOPBACK}:{port}"
    addresses, declared = SANDBOX.addresses(base), connector_class(SANDBOX.KIND).addresses
    os.environ.update({declared[name].variable: address for name, address in addresses.items()})
    settings.CONNECTOR_ADDRESSES = {SANDBOX.KIND: addresses}
    return SANDBOX.control(base)


def introduce_company() -> None:
    """Name the company: the first thing that its admin would do."""
    texts = {key: default_of(key) for key in keys()}
    words = CompanyInput(COMPANY, "IT Asset Management", f"itam@{DOMAIN}", "", texts)
    save_company(words, seen=0, actor=account("admin"))


def sandbox_process(port: int) -> Child:
    state = str(settings.VAR_DIR / "sandbox.state")
    command = SANDBOX.command(port=port, members=MEMBERS, seed=SEED, state=state)
    return Child("sandbox", [sys.executable, "manage.py", *command], stops_last=True)


@dataclass
class Driver:
    """Runs the job step by step. `say` writes a line to the terminal."""

    control: SandboxControl
    stopping: Event
    say: Callable[[str], None]

    def connect(self) -> None:
        """Make the profile, connect it with a consent at the sandbox, and publish it. Does nothing the second time."""
        profile = IntegrationProfile.objects.filter(name=PROFILE).first()
        if profile is None:
            operator = account("operator")
            profile = create_profile(name=PROFILE, organization_id="", kind=SANDBOX.KIND, actor=operator)
            connections = {
                slot: set_credentials(profile, slot, secrets, actor=operator)
                for slot, secrets in SANDBOX.credentials(self.control).items()
            }
            self._consent(connections[SANDBOX.CONSENT_SLOT], operator)
            # The consent has given it the organization.
            profile.refresh_from_db()
            validate_connections(profile, actor=operator)
            publish(profile, actor=operator)
            start = timezone.localdate().replace(month=1, day=1)
            price = PriceInput(profile.connector.default_licenses[0], PRICE, "USD", Per.YEAR, start)
            enter_price(profile, price, actor=operator)
            introduce_company()

    def _consent(self, connection: Connection, operator: User) -> None:
        """Connect in the place of the operator's browser."""
        url = oauth_flow.start(connection, redirect_uri=DEMO_CALLBACK, browser="demo", actor=operator)
        [state] = parse_qs(urlsplit(url).query)["state"]
        code = self.control.install(DEMO_CALLBACK)
        oauth_flow.finish(state=state, code=code, error="", browser="demo", actor=operator)

    def employ_accounts(self) -> None:
        """The accounts of the demo belong to people whom the download has found."""
        employ_accounts(IntegrationProfile.objects.get(name=PROFILE))

    def ask_and_bounce(self) -> RemovalCandidate:
        """Ask one person by mail, and note that the mail came back. Returns the candidate."""
        profile = IntegrationProfile.objects.get(name=PROFILE)
        return ask_and_bounce(profile, manager=account("manager"), stopping=self.stopping)

    def protect_and_rename(self) -> Subscription:
        """Protect one person, and then change the person's address at the vendor. Returns this person."""
        profile = IntegrationProfile.objects.get(name=PROFILE)
        return protect_and_rename(profile, self.control, self.download, manager=account("manager"))

    def end_scenes(self) -> None:
        """End the faults that an earlier demo left in the sandbox, so that the first download has none."""
        self.control.freeze_activity(days=0)

    def download(self, *, expected: RunState = RunState.COMPLETE) -> DownloadRun:
        """Download now, or use the run that the sweep has started meanwhile."""
        newest = DownloadRun.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
        command = self._manage(["download_subscriptions", PROFILE], check=False)
        run = self._wait_for_run(newest)
        if run.state != expected:
            raise CannotRunError(f"The download is {run.state}, not {expected}: {run.problem or command.stderr}")
        return run

    def _wait_for_run(self, after: int) -> DownloadRun:
        deadline = time.monotonic() + MAX_WAIT
        runs = DownloadRun.objects.filter(pk__gte=after, profile__name=PROFILE).exclude(state__in=UNDER_WAY)
        while time.monotonic() < deadline and not self.stopping.is_set():
            running = DownloadRun.objects.filter(state__in=UNDER_WAY).exists()
            if not running and (run := runs.order_by("-pk").first()):
                return run
            time.sleep(0.3)
        raise CannotRunError(f"No download of “{PROFILE}” ended in time; see {settings.VAR_DIR / 'logs'}.")

    def _manage(self, argv: list[str], *, check: bool = True, **extra: str) -> subprocess.CompletedProcess[str]:
        """Run one of our own commands as a process; its progress bar goes to the terminal."""
        done = subprocess.run(  # noqa: S603 - our own manage.py
            [sys.executable, "manage.py", *argv],
            env={**os.environ, **extra},
            stdout=subprocess.PIPE,
            stderr=None if sys.stderr.isatty() else subprocess.PIPE,
            text=True,
            check=False,
        )
        if check and done.returncode:
            raise CannotRunError(f"{argv[0]} failed: {(done.stderr or '').strip()}")
        return done

    def once(self) -> dict[str, int | bool]:
        """The whole job without a person. Raises CannotRunError if our records and the sandbox do not agree."""
        renamed = self.protect_and_rename()
        bounced = self.ask_and_bounce()
        before = len(self.control.truth()["transitions"])
        ready = ready_candidates().count()
        request = self._request()
        approved = decide.approve(request, actor=account("approver"), comment="Demo") if request else 0
        if request:
            enqueue_task(reclaim, request.profile_id)
            self._wait_for_rest(request)
        summary = {
            "members": self.control.truth()["members"],
            "candidates": ready,
            "requested": request.removals.count() if request else 0,
            "approved": approved,
            **tally(request).as_dict(),
            "deactivated_at_vendor": len(self._deactivated(before)),
            "bounced_and_needs_attention": bounced.state == CandidateState.ATTENTION_REQUIRED,
            "renamed_and_still_protected": renamed.verdict == Verdict.PROTECTED,
        }
        self._compare(request, before)
        check_untouched(renamed, self.control)
        return summary

    def _request(self) -> ReclaimRequest | None:
        """Request the longest idle seats as the License manager, as many as the caps allow."""
        caps = caps_of(IntegrationProfile.objects.get(name=PROFILE))
        longest = ready_candidates().order_by("subscription__idle_since", "pk").values_list("pk", flat=True)
        chosen = RemovalCandidate.objects.filter(pk__in=list(longest[: min(caps.batch, caps.left)]))
        if not chosen:
            return None
        try:
            return request_reclaim(chosen, actor=account("manager"), reason="Demo: the longest idle seats")
        except (Refused, NotActionable) as error:
            raise CannotRunError(str(error)) from error

    def _wait_for_rest(self, request: ReclaimRequest) -> None:
        deadline = time.monotonic() + MAX_WAIT
        while Reclaim.objects.unfinished().filter(removal__request=request).exists():
            if time.monotonic() > deadline or self.stopping.is_set():
                raise CannotRunError(f"The worker did not finish {request} in time; see {settings.VAR_DIR / 'logs'}.")
            time.sleep(0.3)

    def _deactivated(self, before: int) -> list[str]:
        """Ids that SCIM changed from active to inactive since then, as the sandbox recorded them."""
        steps = self.control.truth()["transitions"][before:]
        return [step["id"] for step in steps if step["by"] == "scim" and step["from"] and not step["to"]]

    def _compare(self, request: ReclaimRequest | None, before: int) -> None:
        done = Reclaim.objects.filter(removal__request=request, state="done") if request else Reclaim.objects.none()
        ours = sorted(done.values_list("subscription__external_id", flat=True))
        theirs = sorted(self._deactivated(before))
        if ours != theirs:
            raise CannotRunError(
                f"LicenseHub and the sandbox do not agree: {len(ours)} reclaimed here, {len(theirs)} deactivated there."
            )


def frozen_feed(driver: Driver, url: str) -> str:
    """The vendor has not updated its activity dates for two weeks, so the next download is quarantined."""
    driver.control.freeze_activity(days=14)
    run = driver.download(expected=RunState.QUARANTINED)
    path = reverse("admin:subscriptions_downloadrun_change", args=[run.pk])
    return f"Scene “frozen-feed”: {run} is quarantined. {run.problem}\nIts page: {url.rstrip('/')}{path}"


# Each scene shows one fault after the first download. It returns a sentence with the page to look at.
SCENES: Final[dict[str, Callable[[Driver, str], str]]] = {"frozen-feed": frozen_feed}


def ready_candidates() -> QuerySet[RemovalCandidate]:
    return RemovalCandidate.objects.filter(profile__name=PROFILE, state=CandidateState.READY)


def tally(request: ReclaimRequest | None) -> Tally:
    """The outcomes of the people of this request, counted from our records."""
    items = Reclaim.objects.filter(removal__request=request) if request else Reclaim.objects.none()
    return Tally(
        reclaimed=items.filter(state="done").count(),
        skipped=items.filter(state="skipped").count(),
        refused=items.filter(state="failed").count(),
        held=items.filter(state="queued").count(),
        in_doubt=items.filter(state="in_doubt").count(),
    )


def sandbox_answers(control: SandboxControl, stopping: Event) -> None:
    """Wait until the sandbox answers: it makes its people first."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not stopping.is_set():
        try:
            control.truth()
        except requests.RequestException:
            time.sleep(0.2)
        else:
            return
    raise CannotRunError(f"The sandbox did not start; see {settings.VAR_DIR / 'logs' / 'sandbox.log'}.")
