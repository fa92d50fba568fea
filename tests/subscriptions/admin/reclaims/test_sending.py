"""The switch for everything, the hold after a restored backup, and the reconciliations, as people see and use them."""

from __future__ import annotations

import pytest
from django.urls import reverse
from django.utils import timezone

from integrations import sending
from subscriptions import tasks
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.models import Reconciliation, RemovalCandidate
from tests.support.fixtures import actions
from tests.support.people.profile_states import ROLES

PAGE = reverse("admin:integrations_sendingcontrol_changelist")
LIST = reverse("admin:subscriptions_reconciliation_changelist")
INDEX = reverse("admin:index")
SWITCHING = ("Company admin", "Operator")
HOSTILE = "<script>alert(1)</script>"


def act(name: str) -> str:
    return reverse("admin:integrations_sendingcontrol_action", args=[name])


def text(client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


@pytest.mark.parametrize("role", ROLES)
def test_whoever_may_stop_may_and_nobody_else(run, sign_in, role):
    client = sign_in(role)
    assert "Stop all sending" in text(client, INDEX), "one click away"
    assert ('action="' + act("stop") in text(client, PAGE)) == (role in SWITCHING)
    assert client.get(act("stop")).status_code == (405 if role in SWITCHING else 403)
    assert client.post(act("stop"), {"reason": "A drill"}).status_code == (302 if role in SWITCHING else 403)
    assert sending.control().stopped == (role in SWITCHING)


def test_a_stranger_sees_no_switch(sign_in):
    assert sign_in("").get(PAGE).status_code == 403
    assert sign_in("").post(act("stop"), {"reason": "x"}).status_code == 403


def test_the_banner_is_on_every_page_while_it_is_stopped(run, sign_in):
    admin, auditor = sign_in("Operator"), sign_in("Auditor")
    admin.post(act("stop"), {"reason": HOSTILE})
    pages = [
        INDEX,
        LIST,
        reverse("admin:subscriptions_removalcandidate_changelist"),
        reverse("admin:auth_user_changelist"),
    ]
    for address in pages:
        page = text(auditor, address)
        assert "All sending is stopped." in page
        assert "by operator, " in page
        assert HOSTILE not in page and "&lt;script&gt;" in page
    admin.post(act("allow"))
    assert "All sending is stopped." not in text(auditor, INDEX)
    assert actions()[-2:] == ["sending.stopped", "sending.allowed"]


def test_without_a_reason_nothing_is_stopped(run, sign_in):
    client = sign_in("Operator")
    page = client.post(act("stop"), {"reason": "  "}, follow=True).content.decode()
    assert "Say in a few words why all sending is stopped" in page
    assert not sending.control().stopped
    assert client.post(act("nonsense")).status_code == 404


@pytest.fixture
def held(run, alice, bob):
    """One request approved, one waiting, and a hold."""
    ready = RemovalCandidate.objects.filter(state="ready").order_by("pk")
    approved = request_reclaim(ready.filter(pk=ready[0].pk), actor=alice)
    decide.approve(approved, actor=bob)
    waiting = request_reclaim(ready.filter(pk=ready[1].pk), actor=alice)
    sending.hold("Event #9 is unknown here: it looks like a restored backup.")
    return approved, waiting


def test_a_hold_says_why_and_what_to_check(held, sign_in):
    for role in ROLES:
        page = text(sign_in(role), PAGE)
        assert "Event #9 is unknown here" in page
        assert all(request.number in page for request in held)
        assert ('action="' + act("release") in page) == (role in SWITCHING)
        assert "this database may be a restored backup" in text(sign_in(role), INDEX)
    assert "Reconcile now" in text(sign_in("Operator"), PAGE)


def test_a_hold_is_released_with_words_only(held, sign_in):
    client = sign_in("Operator")
    page = client.post(act("release"), {"checked": "ok"}, follow=True).content.decode()
    assert "Say in a sentence what you checked" in page
    assert sending.control().held_at
    page = client.post(act("release"), {"checked": "Compared with Miro, all is well."}, follow=True).content.decode()
    assert "All others need a new" in page
    assert sending.control().held_at is None
    assert actions()[-1] == "sending.released"


@pytest.mark.parametrize("role", ["License manager", "Approver", "Auditor", ""])
def test_nobody_else_releases(held, sign_in, role):
    assert sign_in(role).post(act("release"), {"checked": "Compared with Miro, all is well."}).status_code == 403
    assert sending.control().held_at


# --- Reconciliations --------------------------------------------------------------------------------------------------


@pytest.fixture
def compared(run) -> Reconciliation:
    finding = {
        "kind": "unexplained",
        "external_id": "9000",
        "person": HOSTILE,
        "detail": "Miro's log tells of a deactivation.",
        "next_step": "Ask who else uses SCIM.",
        "reclaim": None,
        "at": timezone.now().isoformat(),
    }
    return Reconciliation.objects.create(
        profile=run.profile, finished_at=timezone.now(), people=3, audit_log_checked=True, findings=[finding] * 2
    )


@pytest.mark.parametrize("role", ROLES)
def test_who_sees_comparisons(compared, sign_in, role):
    client = sign_in(role)
    expected = 403 if role == "Operator" else 200
    assert client.get(LIST).status_code == expected
    answer = client.get(reverse("admin:subscriptions_reconciliation_change", args=[compared.pk]))
    assert answer.status_code == expected
    if expected == 200:
        page = answer.content.decode()
        assert "2 differences" in page and "Ask who else uses SCIM." in page
        assert HOSTILE not in page
        assert "2 differences" in text(client, INDEX)


def test_an_empty_list_says_when_it_runs(run, sign_in):
    assert "No reconciliation yet" in text(sign_in("Auditor"), LIST)
    assert "never yet" in text(sign_in("Auditor"), INDEX)


@pytest.mark.parametrize("role", [*ROLES, ""])
def test_reconcile_now(run, sign_in, role, monkeypatch):
    workers_called = []
    monkeypatch.setattr(tasks, "enqueue_task", lambda *args: workers_called.append(args) is None)
    address = reverse("admin:subscriptions_reconciliation_reconcile", args=[run.profile.pk])
    may = role in ("Company admin", "License manager", "Operator")
    client = sign_in(role)
    assert client.get(address).status_code == (405 if may else 403)
    answer = client.post(address, {"next": PAGE})
    assert (answer.status_code, bool(workers_called)) == ((302, True) if may else (403, False))
    if may:
        assert answer["Location"] == PAGE
        assert client.post(address, {"next": "https://elsewhere.example/"})["Location"] == LIST


def test_reconcile_now_without_a_broker_says_so(run, sign_in, monkeypatch):
    monkeypatch.setattr(tasks, "enqueue_task", lambda *args: False)
    client = sign_in("Company admin")
    address = reverse("admin:subscriptions_reconciliation_reconcile", args=[run.profile.pk])
    assert "The message broker cannot be reached" in client.post(address, follow=True).content.decode()
    Reconciliation.objects.create(profile=run.profile)
    assert "is already running" in client.post(address, follow=True).content.decode()


def test_one_that_failed_hides_no_difference(compared, sign_in):
    Reconciliation.objects.create(profile=compared.profile, finished_at=timezone.now(), problem="Miro is away.")
    assert "2 differences" in text(sign_in("Auditor"), INDEX)
    assert "Not finished" in text(sign_in("Auditor"), LIST)


def test_the_list_costs_no_query_for_each_row(compared, sign_in, django_assert_max_num_queries):
    client = sign_in("Auditor")
    client.get(LIST)
    for _ in range(20):
        Reconciliation.objects.create(profile=compared.profile, finished_at=timezone.now())
    with django_assert_max_num_queries(20):
        client.get(LIST)
