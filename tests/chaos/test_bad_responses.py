"""Downloads of a vendor that is broken, or lies: nobody is marked gone by it, and the next good run is accepted."""

from __future__ import annotations

import random
from collections import Counter
from contextlib import contextmanager

import pytest
from django.conf import settings
from django.db import transaction

from integrations.connectors.contract import ConnectorConfig
from integrations.connectors.http import Limits
from integrations.connectors.miro.connector import MiroConnector
from integrations.credentials import credential_store
from integrations.models import IntegrationProfile
from licensehub.audit.transactions import open_transactions
from subscriptions.downloads import outages
from subscriptions.downloads import run as downloading
from subscriptions.downloads.run import download_subscriptions
from subscriptions.models import DownloadRun, Subscription
from subscriptions.models.download import StartedBy
from tests.chaos.support import bad_responses
from tests.chaos.support.bad_responses import ORGANIZATION, PEOPLE, Script
from tests.support.fixtures import connect
from tests.support.servers.scripted_server import ScriptedServer

HASTY = Limits(connect=2, read=2, total=4, body=300_000, tries=2, backoff=0.001, max_backoff=0.002)
# A loop may cost a few requests more than there are pages, each of them tried twice.
MAX_REQUESTS = 4 * (bad_responses.PAGES + 4)


class HastyMiro(MiroConnector):
    """Real HTTP, with less patience."""

    def __init__(self, config: ConnectorConfig) -> None:
        super().__init__(config, limits=HASTY)


class NoBudget:
    def take(self, bucket: str, *, cost: int, limit: int, window: float) -> float:
        return 0.0

    def drain(self, bucket: str, *, seconds: float) -> None:
        """Nobody is held back."""


@pytest.fixture
def server(allow_http):
    scripted = ScriptedServer()
    allow_http(scripted.url)
    yield scripted
    scripted.stop()


@pytest.fixture
def profile(db, server, settings, monkeypatch) -> IntegrationProfile:
    settings.CONNECTORS = {"miro_enterprise": "tests.chaos.test_bad_responses.HastyMiro"}
    addresses = {"api": server.url, "authorize": server.url, "scim": f"{server.url}/scim"}
    settings.CONNECTOR_ADDRESSES = {"miro_enterprise": addresses}
    monkeypatch.setattr(credential_store, "_budget", lambda url, share: NoBudget())
    monkeypatch.setattr(outages, "OUTAGE_DELAYS", ())
    monkeypatch.setattr(outages, "MAX_TOTAL_WAIT", 0.0)
    made = connect({"organization_id": ORGANIZATION, "access_token": "made-up", "scim_token": "made-up"})
    run = download(server, made, Script())
    assert run.state == "complete", run.problem
    return made


def download(server: ScriptedServer, profile: IntegrationProfile, script: Script) -> DownloadRun:
    server.respond = script.respond
    return download_subscriptions(profile, actor=None, started_by=StartedBy.COMMAND)


@contextmanager
def undone():
    """Not by the fixture: each of its changes lies on top of the one before, and a thousand are too many."""
    before = settings.TRANSACTIONS_OF_TESTS
    try:
        with transaction.atomic():
            settings.TRANSACTIONS_OF_TESTS = open_transactions()
            yield
            transaction.set_rollback(True)
    finally:
        settings.TRANSACTIONS_OF_TESTS = before


def facts() -> list[tuple[object, ...]]:
    return list(Subscription.objects.order_by("external_id").values_list("external_id", "email", "active", "gone_at"))


def survive(server, profile, script: Script) -> list[str]:
    """Return what went wrong with one script, in sentences."""
    before, found = facts(), []
    run = download(server, profile, script)
    if run.state == "complete" and script.bad:
        found.append("a bad run was believed")
    if run.state != "complete" and not script.bad:
        found.append(f"a harmless run was {run.state}: {run.problem}")
    if run.state not in ("complete", "quarantined", "failed"):
        found.append(f"the run is {run.state}")
    if run.state != "complete" and not run.problem:
        found.append("nobody says what was wrong")
    if Subscription.objects.exclude(gone_at=None).exists():
        found.append(f"{Subscription.objects.exclude(gone_at=None).count()} people were marked gone")
    if script.bad and facts() != before:
        found.append("facts of a bad run were written")
    if script.asked > MAX_REQUESTS:
        found.append(f"asked {script.asked} times")
    return found + after_it(server, profile, script, before)


def after_it(server, profile, script: Script, before: list[tuple[object, ...]]) -> list[str]:
    """A good run is accepted, and brings back what is true."""
    good = Script()
    if "new people" in script.done and not script.bad:
        good.pages[-1]["data"] += [bad_responses.person(900 + number) for number in range(3)]
    run = download(server, profile, good)
    if run.state != "complete":
        return [f"the next good run is {run.state}: {run.problem}"]
    known = [row for row in facts() if not str(row[0]).startswith("59")]
    return [] if known == before else ["the next good run did not bring back the facts"]


def survive_all(server, profile, numbers) -> tuple[list[str], Counter[str]]:
    failures, kinds = [], Counter[str]()
    for number in numbers:
        script = bad_responses.make(number)
        with undone():
            problems = survive(server, profile, script)
        kinds["bad" if script.bad else "harmless"] += 1
        failures += [f"script {number} ({', '.join(script.done)}): {problem}" for problem in problems]
    return failures, kinds


def test_a_few_hostile_downloads(server, profile):
    failures, kinds = survive_all(server, profile, range(15))
    assert failures == []
    assert min(kinds["bad"], kinds["harmless"]) > 1


@pytest.mark.chaos
@pytest.mark.parametrize("part", [0, 1])
def test_a_thousand_hostile_downloads(server, profile, figures, part):
    failures, kinds = survive_all(server, profile, range(part, 1000, 2))
    figures.note(scripts=sum(kinds.values()), **kinds, failures=len(failures))
    assert failures == []


def test_who_is_missing_where_others_came_twice_may_have_been_skipped(server, profile):
    script = Script()
    script.pages[1]["data"][0] = dict(script.pages[2]["data"][1])

    run = download(server, profile, script)

    assert (run.state, run.acceptable, run.gone) == ("quarantined", True, 0)
    assert run.problem.startswith("1 members came twice, and 1 known ones not at all")


def test_one_id_for_two_people_on_two_pages(server, profile):
    script = Script()
    script.pages[2]["data"].append({**script.pages[1]["data"][0], "active": False})

    run = download(server, profile, script)

    assert (run.state, run.acceptable) == ("quarantined", False)
    assert "contradict each other about the member 5008" in run.problem


def test_somebody_who_is_active_while_the_pages_are_read_may_come_twice(server, profile):
    script = Script()
    script.pages[2]["data"].append({**script.pages[1]["data"][0], "lastActivityAt": "2025-03-01T00:00:00Z"})

    assert download(server, profile, script).state == "complete"


@pytest.mark.parametrize("name", ["half of them", "people of another organization"])
def test_without_the_check_of_plausibility_people_are_marked_gone(server, profile, settings, monkeypatch, name):
    """The control."""
    script = Script(bad=True)
    bad_responses.BAD[name](script, random.Random(1))  # noqa: S311 - made up, the same in each run
    monkeypatch.setattr(downloading, "check_plausible", lambda *given, **more: None)
    assert any("marked gone" in problem for problem in survive(server, profile, script))
    assert Subscription.objects.filter(gone_at=None).count() - PEOPLE < PEOPLE
