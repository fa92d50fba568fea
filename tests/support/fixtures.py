"""Fixtures of most tests: a sandbox with people, a profile that is connected to it, and the people of the company."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
import redis
from django.contrib.auth.models import Group, User
from django.db import connection, transaction

from integrations.connectors.miro.sandbox.control import SandboxControl
from integrations.connectors.miro.sandbox.server import Sandbox
from integrations.connectors.rate_limit import KEY_PREFIX
from integrations.credentials import credential_store
from integrations.installation import findings, instance
from integrations.models import IntegrationProfile
from licensehub.audit.actions import Action
from licensehub.audit.chain import checkpoint
from licensehub.audit.chain.offline_verifier import EMPTY
from licensehub.audit.log import record
from licensehub.audit.models import AuditEvent
from licensehub.audit.transactions import open_transactions
from licensehub.database import clock
from licensehub.sign_in.factors import credentials
from subscriptions.accounts import signed_rights
from subscriptions.accounts.rights import able
from subscriptions.downloads.run import download_subscriptions
from subscriptions.models import DecidingRight, DownloadRun, ReclaimRule, RemovalCandidate, RunState
from subscriptions.models.download import StartedBy
from subscriptions.profiles import lifecycle
from tests.support.audit_chain import verify_chain
from tests.support.data import cached_world
from tests.support.data.cached_world import CachedWorld

MEMBERS = 120


@pytest.fixture(autouse=True)
def _count_outer_transactions(request, settings):
    """A test's own transactions are not the application's: see integrations.transaction_guard."""
    if "db" in request.fixturenames or request.node.get_closest_marker("django_db"):
        request.getfixturevalue("_django_db_helper")
        settings.TRANSACTIONS_OF_TESTS = open_transactions()


@pytest.fixture(autouse=True)
def _the_database_has_the_clock_of_the_test(request, monkeypatch):
    """A test that moves the clock moves the one of the database, too; `real_database_clock` asks PostgreSQL."""
    if "real_database_clock" not in request.fixturenames:
        monkeypatch.setattr(clock, "skew", timedelta)


@pytest.fixture(autouse=True)
def _the_database_is_ours(request, monkeypatch):
    """Each test would begin with a database of nobody; `real_instance` asks for that."""
    if "real_instance" not in request.fixturenames:
        monkeypatch.setattr(instance, "is_ours", lambda: True)


@pytest.fixture
def real_instance(settings) -> None:
    """This installation has the id `production`."""
    settings.INSTANCE_ID = "production"


@pytest.fixture(autouse=True)
def _rights_need_no_event(request) -> Iterator[None]:
    """`in_effect` would write an event in most tests, and no cached rows would fit; `real_rights` asks for that."""
    with pytest.MonkeyPatch.context() as patch:  # a test may undo its own
        if "real_rights" not in request.fixturenames:
            patch.setattr(signed_rights, "is_granted", lambda user: True)
        if "real_credentials" not in request.fixturenames:
            # The accounts of most tests are made without a page, so no event knows their passwords.
            patch.setattr(credentials, "unsigned", lambda user: [])
        yield


@pytest.fixture(autouse=True)
def _an_error_in_a_step_ends_the_test(request) -> Iterator[None]:
    """`run_step` would hide it in a log; `real_steps` asks for that."""
    with pytest.MonkeyPatch.context() as patch:
        if "real_steps" not in request.fixturenames:
            patch.setattr(findings, "run_step", lambda name, step: step())
        yield


@pytest.fixture
def real_steps() -> None:
    """An error in one step of the work of every minute is reported in this test, as in production."""


@pytest.fixture
def real_credentials() -> None:
    """In this test a password or a factor needs its event in the audit, as in production."""


@pytest.fixture
def real_rights() -> None:
    """A right to decide needs its event in the audit in this test, as in production."""


@pytest.fixture
def real_database_clock() -> Iterator[None]:
    clock.forget()
    yield
    clock.forget()


SELF_JOIN = re.compile(r'^UPDATE "(\w+)" SET .* WHERE "\1"\."id" IN \(SELECT \w+\."id" FROM "\1" .*JOIN', re.DOTALL)


@pytest.fixture(autouse=True)
def _guards_stay_in_the_update(request):
    """A filter over a join moves the whole guard into a subquery, and PostgreSQL asks that only once.

    Two UPDATEs that wait for each other would then both find what the first has changed already.
    """
    if not ("db" in request.fixturenames or request.node.get_closest_marker("django_db")):
        yield
        return

    def refuse(execute, sql, params, many, context):
        assert not SELF_JOIN.match(sql), f"The guard of this UPDATE stands in a subquery: {sql}"
        return execute(sql, params, many, context)

    with connection.execute_wrapper(refuse):
        yield


@pytest.fixture(autouse=True)
def _kept_head_of_a_new_installation(request, settings):
    """Forget what the test before kept of its audit.

    Most tests roll back, so nothing of them is ever kept, and "nothing kept, but approvals open" would hold all their
    sends. So each begins as an installation does on its first day: with the head of an empty chain.
    """
    if "db" in request.fixturenames or request.node.get_closest_marker("django_db"):
        empty = checkpoint.Checkpoint(0, EMPTY, None).as_text()
        # To empty a file and to write it makes ext4 wait for the disk.
        if not settings.AUDIT_HEAD_FILE.exists() or settings.AUDIT_HEAD_FILE.read_text() != empty:
            settings.AUDIT_HEAD_FILE.write_text(empty)
        checkpoint._checkpoint_key.cache_clear()
        if settings.EMBEDDED_BROKER_SOCKET.exists():
            with redis.Redis(unix_socket_path=str(settings.EMBEDDED_BROKER_SOCKET)) as client:
                client.delete(checkpoint.KEY)


@pytest.fixture
def real_transactions(db, transactional_db) -> None:
    """For tests in which other processes or threads must see what was committed."""


@dataclass
class World:
    """A sandbox and the profile that LicenseHub has for it."""

    sandbox: Sandbox
    miro: SandboxControl
    profile: IntegrationProfile
    cache: CachedWorld

    def first_download(self) -> DownloadRun:
        """The first download, for tests of later steps. The cache replaces it if that makes no difference."""
        if self.cache.load_downloaded(self.sandbox):
            return DownloadRun.objects.get(profile=self.profile)
        return self.download()

    def download(self) -> DownloadRun:
        run = download_subscriptions(self.profile, actor=None, started_by=StartedBy.COMMAND)
        assert run.state == RunState.COMPLETE, run.problem
        return run

    def candidates(self, count: int):
        """The `count` longest idle ones that are Ready and whom Miro does not refuse, as a queryset."""
        ready = RemovalCandidate.objects.filter(profile=self.profile, state="ready")
        longest = [
            candidate.pk
            for candidate in ready.order_by("subscription__idle_since", "pk").select_related("subscription")
            if not self.sandbox.world.teams_without_other_admin(candidate.subscription.external_id)
        ]
        return RemovalCandidate.objects.filter(pk__in=longest[:count])

    def inactive(self) -> set[str]:
        return set(self.miro.truth()["inactive"])

    def deactivated_by_us(self) -> list[str]:
        """Ids in the order of the effective transitions active -> inactive that came in by SCIM."""
        return [
            step["id"]
            for step in self.miro.truth()["transitions"]
            if step["by"] == "scim" and step["from"] and not step["to"]
        ]


@pytest.fixture(autouse=True)
def fresh_rate_budget(settings) -> None:
    """Each test has Miro's limits to itself, though its profile has the same number as the one before.

    Once a test has started the broker, the budget of all later tests of this process is in it.
    """
    forget_rate_budget(settings)


def forget_rate_budget(settings) -> None:
    credential_store._budget.cache_clear()
    if settings.EMBEDDED_BROKER_SOCKET.exists():
        with redis.Redis(unix_socket_path=str(settings.EMBEDDED_BROKER_SOCKET)) as client:
            if keys := list(client.scan_iter(f"{KEY_PREFIX}*")):
                client.delete(*keys)


@pytest.fixture
def sandbox(allow_http) -> Iterator[Sandbox]:
    running = cached_world.current().start_sandbox(MEMBERS)
    allow_http(running.control_url)
    yield running
    running.stop()


@pytest.fixture
def at_sandbox(sandbox, settings) -> dict[str, str]:
    """Miro's addresses are the sandbox's; the values that an admin would copy from there."""
    urls: dict[str, str] = sandbox.urls()
    settings.CONNECTOR_ADDRESSES = addresses(urls)
    return urls


def addresses(urls: dict[str, str]) -> dict[str, dict[str, str]]:
    return {
        "miro_enterprise": {
            "api": urls["api_url"],
            "authorize": urls["authorize_url"],
            "scim": urls["scim_url"],
        }
    }


@pytest.fixture
def world(db, sandbox, at_sandbox, request, settings, allow_http) -> World:
    cache = cached_world.current()
    if not cache.downloaded and cached_world.may_load(request):
        fill(cache, settings, allow_http)
    loaded = cache.load_connected(sandbox)
    profile = IntegrationProfile.objects.get() if loaded else connect(at_sandbox)
    return World(sandbox, SandboxControl(sandbox.control_url), profile, cache)


def fill(cache: CachedWorld, settings, allow_http) -> None:
    """Fill the cache from a sandbox of its own, so that the test's sandbox has no requests yet."""
    other = cache.start_sandbox(MEMBERS)
    allow_http(other.control_url)
    usual, settings.CONNECTOR_ADDRESSES = settings.CONNECTOR_ADDRESSES, addresses(other.urls())
    connected: list[IntegrationProfile] = []

    def download() -> None:
        run = download_subscriptions(connected[0], actor=None, started_by=StartedBy.COMMAND)
        assert run.state == RunState.COMPLETE, run.problem

    cache.make(other, lambda: connected.append(connect(other.urls())), download)
    other.stop()
    settings.CONNECTOR_ADDRESSES = usual
    forget_rate_budget(settings)


def connect(urls: dict[str, str], *, name: str = "Northwind") -> IntegrationProfile:
    """A published profile for a sandbox."""
    profile = lifecycle.create_profile(
        name=name, organization_id=urls["organization_id"], kind="miro_enterprise", actor=None
    )
    credential_store.set_credentials(profile, "rest", {"access_token": urls["access_token"]}, actor=None)
    credential_store.set_credentials(profile, "scim", {"token": urls["scim_token"]}, actor=None)
    lifecycle.publish(profile, actor=None)
    without_caps(profile)
    return profile


def without_caps(profile: IntegrationProfile) -> None:
    """The organizations of most tests are so small that 5 percent of them are one or two people."""
    ReclaimRule.objects.filter(profile=profile).update(
        batch_cap_people=1000, batch_cap_percent=100, rolling_cap_percent=100
    )


# In each test the same, so that cached rows can name them.
IDS = {name: 10**9 + number for number, name in enumerate(("alice", "bob", "carol", "dave"))}


def person(name: str, group: str | None) -> User:
    user = User.objects.create_user(
        name, f"{name}@northwind.example", "a long password of " + name, is_staff=True, pk=IDS.get(name)
    )
    if group:
        user.groups.add(Group.objects.get(name=group))
        in_effect(user)
    return user


def in_effect(user: User) -> None:
    """The right of these roles to decide took effect long ago."""
    if able().filter(pk=user.pk).exists():
        DecidingRight.objects.get_or_create(user=user, defaults={"since": cached_world.long_ago()})
        if not signed_rights.is_granted(user):
            with transaction.atomic():
                record(Action.RIGHTS_TOOK_EFFECT, actor=None, target=user, data={"kind": "grant"})


@pytest.fixture
def alice(db) -> User:
    """Asks."""
    return person("alice", "License manager")


@pytest.fixture
def bob(db) -> User:
    """Decides."""
    return person("bob", "Approver")


@pytest.fixture
def erin(db) -> User:
    """Decides, too."""
    return person("erin", "Approver")


@pytest.fixture
def carol(db) -> User:
    """Reads."""
    return person("carol", "Auditor")


@pytest.fixture
def dave(db) -> User:
    """A stranger: staff, without any role."""
    return person("dave", None)


def actions() -> list[str]:
    """The audit's actions in their order; the chain must be whole whenever somebody looks."""
    assert verify_chain().findings == []
    return list(AuditEvent.objects.order_by("sequence").values_list("action", flat=True))
