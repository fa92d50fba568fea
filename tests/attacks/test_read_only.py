"""A database that takes no changes: the load balancer hears of it, a page says so, and nothing reaches the vendor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.urls import reverse

from integrations.models import Installation
from licensehub.audit.actions import Action
from licensehub.audit.models import AuditEvent
from licensehub.site import unwritable
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.models import Reclaim, ReclaimRequest
from subscriptions.reclaims.engine import reclaim_due
from tests.support.data.cached_rows import rows

FULL = "database or disk is full"


def sql(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


@contextmanager
def read_only() -> Iterator[None]:
    """Make the database read-only, like a standby, or a file system that was mounted read-only after an error."""
    if connection.vendor == "sqlite":
        sql("PRAGMA query_only = ON")
        try:
            yield
        finally:
            connection.needs_rollback = False
            sql("PRAGMA query_only = OFF")
        return
    savepoint = transaction.savepoint()
    sql("SET LOCAL transaction_read_only = on")
    try:
        yield
    finally:
        # A statement that failed outside of an atomic block ends the transaction of the test.
        connection.needs_rollback = False
        transaction.savepoint_rollback(savepoint)


@contextmanager
def audit_that_takes_nothing() -> Iterator[None]:
    """The table of events alone cannot grow, e.g. in a tablespace of its own that is full."""
    if connection.vendor == "sqlite":
        sql(f"CREATE TRIGGER full BEFORE INSERT ON audit_auditevent BEGIN SELECT RAISE(ABORT, '{FULL}'); END")
        yield
        sql("DROP TRIGGER full")
        return
    sql(
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{FULL}' USING ERRCODE = '53100'; END $$"
    )
    sql("CREATE TRIGGER full_disk BEFORE INSERT ON audit_auditevent FOR EACH ROW EXECUTE FUNCTION full_disk()")
    yield
    sql("DROP FUNCTION full_disk() CASCADE")


@pytest.fixture(autouse=True)
def never_tried() -> Iterator[None]:
    unwritable.forget()
    yield
    unwritable.forget()


@pytest.fixture
def approved(world, alice, bob) -> ReclaimRequest:
    world.first_download()
    request = request_reclaim(world.candidates(3), actor=alice)
    decide.approve(request, actor=bob)
    return request


def patches(world) -> int:
    return sum(request["method"] == "PATCH" for request in world.miro.requests())


def test_ready_means_that_it_can_write(db, client, monkeypatch):
    monkeypatch.setattr("licensehub.site.middleware.health.broker_answers", lambda: True)
    assert client.get("/health").json() == {"status": "ok"}
    first = Installation.objects.get().written_at
    for _ in range(20):
        client.get("/health")
    assert Installation.objects.get().written_at == first, "at most one write in some seconds"
    assert Installation.objects.count() == 1
    unwritable.forget()
    with read_only():
        answer = client.get("/health")
    assert (answer.status_code, answer.json()) == (503, {"status": "unavailable"})
    assert client.get("/health").status_code == 503, "for some seconds"
    unwritable.forget()
    assert client.get("/health").status_code == 200
    # Control: the answer was ok without the write.
    unwritable.forget()
    monkeypatch.setattr("licensehub.site.middleware.health.can_write", lambda: True)
    with read_only():
        assert client.get("/health").status_code == 200


@pytest.mark.parametrize("fault", [read_only, audit_that_takes_nothing])
def test_a_page_says_that_nothing_was_done(world, alice, bob, fault):
    world.first_download()
    request = request_reclaim(world.candidates(2), actor=alice)
    client = Client(raise_request_exception=False)
    client.force_login(bob)
    address = reverse("admin:subscriptions_reclaimrequest_change", args=[request.pk])
    approve = reverse("admin:subscriptions_reclaimrequest_approve", args=[request.pk])
    assert client.get(address).status_code == 200
    before, sent, form = rows(), patches(world), {"comment": "ok", "revision": request.revision}
    with fault():
        page = client.post(approve, form, HTTP_ACCEPT_LANGUAGE="en")
        german = client.post(approve, form, HTTP_ACCEPT_LANGUAGE="de")
    assert page.status_code == 503 and page["Retry-After"] == "60"
    assert "Nothing can be saved now" in page.content.decode() and "Error 503" in page.content.decode()
    assert "Zurzeit kann nichts gespeichert werden" in german.content.decode()
    assert (rows(), patches(world)) == (before, sent)
    assert ReclaimRequest.objects.get(pk=request.pk).state == "open"


def test_another_error_is_still_an_error(client, carol, monkeypatch):
    client.force_login(carol)
    client.raise_request_exception = False
    for error, status in (
        (RuntimeError("a bug"), 500),
        (DatabaseError("a wrong statement"), 500),
        (DatabaseError("attempt to write a readonly database"), 503),
    ):

        def fail(*args, cause=error, **kwargs):
            raise cause

        monkeypatch.setattr("licensehub.site.dashboard.overview.overview", fail)
        assert client.get("/admin/").status_code == status, error


@pytest.mark.parametrize("fault", [read_only, audit_that_takes_nothing])
def test_without_its_audit_a_worker_sends_nothing(approved, world, fault):
    assert Reclaim.objects.count() == 3
    with fault(), pytest.raises(DatabaseError):
        reclaim_due(world.profile)
    assert patches(world) == 0 and world.deactivated_by_us() == []
    # When the database can be written again, the same items are sent, once.
    Reclaim.objects.update(state="queued", token=None, lease_until=None)
    assert reclaim_due(world.profile).reclaimed == 3
    assert patches(world) == 3
    assert AuditEvent.objects.filter(action=Action.RECLAIM_SENDING).count() == 3


def test_control_a_send_whose_event_is_forgotten_reaches_the_vendor(approved, world, monkeypatch):
    """The vendor gets a send when the intent is not recorded in the transaction that commits it."""
    monkeypatch.setattr("subscriptions.reclaims.engine.record", lambda *args, **kwargs: None)
    with audit_that_takes_nothing(), pytest.raises(DatabaseError):
        reclaim_due(world.profile)
    assert patches(world) == 1
