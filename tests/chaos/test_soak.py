"""Soak: downloads and reclaims for a long time, one fault after another. Nothing is lost, and nothing grows.

`SOAK_MINUTES` is how long, 3 by default. From 8 minutes on, there is one fault a minute.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import cycle
from pathlib import Path

import pytest
import redis
from django.contrib.auth.models import User

from integrations.connectors.miro.sandbox.control import SandboxControl
from integrations.models import IntegrationProfile
from licensehub.database.clock import database_now
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.models import DownloadRun, Reclaim, ReclaimRequest, RemovalCandidate
from tests.chaos.support.checker import Histories, states
from tests.chaos.support.figures import Figures
from tests.chaos.support.growth import ALLOWED, Sample, grown, growth
from tests.chaos.support.processes import Beat, Workers, patiently, restart_database, sandbox_process
from tests.chaos.support.storm import MIX, Plan, approved_people
from tests.support.guards.network import AllowHttp
from tests.support.servers import mail_server
from tests.support.servers.workers import BrokerProcess

SECONDS = float(os.environ.get("SOAK_MINUTES", "3")) * 60
# The kinds of faults, so that a short run has each of them once.
FAULTS = 6
FAULT_EVERY = min(60.0, SECONDS / (FAULTS + 2))
FAULT_LASTS = FAULT_EVERY / 4
# People of one request, and seconds from one to the next.
PEOPLE, EVERY = 10, 5.0
MAX_OPEN = 60
DOWNLOAD_EVERY = 6  # requests
REST = 180.0  # seconds
PLAN = Plan(approved=PEOPLE, by_hand=0.0, doubts=0.05, seed=6, lease=6.0, read=2.0, hang=3.5, workers=2)


class SoakPlan(Plan):
    @property
    def members(self) -> int:
        """Enough people for all requests, and as many bystanders."""
        return int(SECONDS / EVERY * PEOPLE * 2.2) + 200


@dataclass
class Soak:
    miro: SandboxControl
    profile: IntegrationProfile
    workers: Workers
    broker: BrokerProcess
    mail: mail_server.MailServer
    people: tuple[User, User]
    samples: list[Sample] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def run(self) -> None:
        self.beat = self._beat()
        self.workers.start()
        began, requests = time.monotonic(), 0
        faults = cycle(self._faults())
        undo: Callable[[], object] | None = None
        while (passed := time.monotonic() - began) < SECONDS:
            if passed > FAULT_EVERY * (len(self.faults) + 1):
                name, act, undo = next(faults)
                act()
                self.faults.append(name)
            elif undo and passed > FAULT_EVERY * len(self.faults) + FAULT_LASTS:
                undo()
                undo = None
            if passed > requests * EVERY:
                requests += 1
                patiently(self._approve)
                if requests % DOWNLOAD_EVERY == 0:
                    patiently(self._download)
                self._note()
            time.sleep(0.1)
        if undo:
            undo()
        self._rest()

    def _faults(self) -> list[tuple[str, Callable[[], object], Callable[[], object]]]:
        """The name of each fault, what it does, and how it ends."""

        def nothing() -> None: ...

        found = [
            ("workers killed", self._kill_workers, nothing),
            ("beat away", self.beat.stop, self._beat_again),
            ("broker killed", self.broker.restart, nothing),
            ("database crashed", restart_database, nothing),
            ("vendor fails", self._vendor_fails, self.miro.storm_off),
            ("mail server refuses", lambda: self._mails(mail_server.NO_LOGIN), lambda: self._mails(mail_server.ACCEPT)),
        ]
        assert len(found) == FAULTS
        return found

    def _kill_workers(self) -> None:
        self.workers.kill()
        self.workers.start()

    def _beat(self) -> Beat:
        beat = Beat(self.broker, every=1.0)
        beat.start()
        return beat

    def _beat_again(self) -> None:
        self.beat = self._beat()

    def _vendor_fails(self) -> None:
        mix = {kind: share * 5 for kind, share in MIX.items()} | {"html": 0.05, "other_json": 0.05}
        self.miro.storm(seed=PLAN.seed, mix=mix, hang_seconds=PLAN.hang)

    def _mails(self, mode: str) -> None:
        self.mail.mode = mode

    def _approve(self) -> None:
        """Another person, who had a mail, approves what was requested before. Then ten people more are requested."""
        asking, deciding = self.people
        for waiting in ReclaimRequest.objects.filter(state="open"):
            decide.approve(waiting, actor=deciding)
        # On a busy machine, people are approved no faster than they are reclaimed.
        if Reclaim.objects.filter(finished_at=None).count() > MAX_OPEN:
            return
        ready = RemovalCandidate.objects.filter(profile=self.profile, state="ready").order_by("pk")
        chosen = RemovalCandidate.objects.filter(pk__in=list(ready.values_list("pk", flat=True)[:PEOPLE]))
        request_reclaim(chosen, actor=asking)

    def _download(self) -> None:
        IntegrationProfile.objects.filter(pk=self.profile.pk).update(download_due_at=database_now())

    def _note(self) -> None:
        with suppress(redis.RedisError), redis.Redis(unix_socket_path=str(self.broker.socket)) as client:
            waiting = self.broker.waiting()
            self.samples.append(patiently(lambda: Sample.take(self.workers.running, client, waiting)))

    def _rest(self) -> None:
        until = time.monotonic() + REST
        while patiently(lambda: Reclaim.objects.filter(finished_at=None).exists()):
            assert time.monotonic() < until, f"not at rest in time: {patiently(states)}, {patiently(_holds)}"
            time.sleep(0.5)


def _holds() -> dict[str, int]:
    """Why open items wait."""
    return dict(Counter(Reclaim.objects.filter(finished_at=None).values_list("hold_reason", flat=True)))


@pytest.fixture
def soak(
    real_transactions, broker_process: BrokerProcess, tmp_path: Path, allow_http: AllowHttp, settings, alice, bob
) -> Iterator[Soak]:
    plan = SoakPlan(**{name: getattr(PLAN, name) for name in PLAN.__dataclass_fields__})
    mail, server = mail_server.start()
    with sandbox_process(members=plan.members, seed=plan.seed) as urls:
        allow_http(urls["api_url"])
        addresses = {"api": urls["api_url"], "authorize": urls["authorize_url"], "scim": urls["scim_url"]}
        settings.CONNECTOR_ADDRESSES = {"miro_enterprise": addresses}
        variables = {"MIRO_API_URL": urls["api_url"], "MIRO_SCIM_URL": urls["scim_url"]}
        variables |= {"EMAIL_URL": f"smtp://127.0.0.1:{mail.port}"}
        workers = Workers(tmp_path / "workers.log", plan.workers, {**variables, **plan.variables()})
        broker_process.flush()
        profile = approved_people(plan, urls, (alice, bob))
        miro = SandboxControl(urls["api_url"])
        miro.limits(on=False)
        miro.set_toggles(team_admin_deactivation="allow")
        made = Soak(miro, profile, workers, broker_process, mail, (alice, bob))
        try:
            yield made
        finally:
            made.beat.stop()
            workers.end()
            broker_process.flush()
            server.shutdown()
            server.server_close()


@pytest.mark.chaos
@pytest.mark.timeout(int(SECONDS + REST + 300))
def test_nothing_is_lost_and_nothing_grows(soak: Soak, figures: Figures):
    soak.run()
    runs = DownloadRun.objects.filter(state="complete").count()
    figures.note(
        minutes=SECONDS / 60,
        faults=", ".join(soak.faults),
        mails=len(soak.mail.mails),
        downloads=runs,
        **states(),
        **{f"growth of {name}": by for name, by in growth(soak.samples).items()},
        last_sample=soak.samples[-1],
    )
    assert Histories.read(soak.miro).findings(doubts=PLAN.doubts) == []
    assert len(soak.faults) >= FAULTS and runs > 1 and soak.mail.mails
    assert grown(soak.samples) == []


def test_growth_is_found():
    """The control of the last line: one connection more in each sample, and a worker that keeps 1 MB."""
    calm = [replace(ALLOWED, connections=8.0 + number % 3) for number in range(40)]
    assert grown(calm) == []
    leaking = [replace(one, connections=one.connections + n, worker_mb=n) for n, one in enumerate(calm)]
    assert [line.split(" grew")[0] for line in grown(leaking)] == ["worker_mb", "connections"]
