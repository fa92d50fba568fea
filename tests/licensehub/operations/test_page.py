"""The page *Operations*: what is wrong comes first. It is cheap, names no person, and says when nobody reports."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core import mail
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.translation import override
from kombu.exceptions import OperationalError

from integrations import sending
from integrations.models import CheckResult, Heartbeat, MailTrial, ProcessKind
from licensehub.build import version
from licensehub.database.clock import database_now
from licensehub.logs.known_secrets import keys_mark
from licensehub.operations import results, tasks
from licensehub.operations.doctor.findings import CHECKS, Check, Finding, Level, Step
from licensehub.operations.page import CARDS, LABELS, TILES, shown_to
from licensehub.queues import TASKS
from licensehub.site.navigation import navigation
from tests.support.fixtures import person
from tests.support.web.pages import text_of

PAGE = "admin:integrations_checkresult_changelist"


@pytest.fixture
def nils(db):
    return person("nils", "Operator")


@pytest.fixture
def well(db, valkey, monkeypatch) -> None:
    """All checks are well, and so are the processes."""
    for name in CHECKS:
        if name != "queues":
            monkeypatch.setitem(CHECKS, name, Check(name, lambda context: Finding(Level.OK, "The database answers")))
    now = database_now()
    shared = {"host": "one", "version": version(), "started_at": now, "seen_at": now, "facts": {"keys": keys_mark()}}
    Heartbeat.objects.create(kind=ProcessKind.WORKER, name="celery@one", queues=list(TASKS), **shared)
    Heartbeat.objects.create(kind=ProcessKind.BEAT, name="gen7@one", scheduled_at=now, **shared)
    results.run_and_keep()


def test_each_check_has_a_place_and_a_name():
    places = [*TILES, *(name for _title, names in CARDS for name in names), "queues"]
    assert sorted(places) == sorted(CHECKS)
    assert set(LABELS) == set(CHECKS)


def test_what_is_wrong_comes_first_with_what_to_do(well, nils, as_user, monkeypatch):
    assert shown_to(nils).headline == "All is well"
    steps = (Step("Restart the workers of this host.", "sudo systemctl restart licensehub-worker@mail"),)
    began = database_now() - timedelta(minutes=77)
    wrong = Finding(Level.ACT, "Mails are not sent", "14 wait", "535 5.7.8 refused", "None is lost.", steps, began)
    monkeypatch.setitem(CHECKS, "mail", Check("mail", lambda context: wrong))
    drill = Finding(Level.NONE, "The installation is new", "none recorded")
    monkeypatch.setitem(CHECKS, "drill", Check("drill", lambda context: drill))
    monkeypatch.setitem(CHECKS, "disk", Check("disk", lambda context: Finding(Level.LOOK, "A token is old")))
    results.run_and_keep(everything=True)
    shown = shown_to(nils)
    assert (shown.headline, shown.first.title, [line.title for line in shown.others]) == (
        "1 thing to do",
        "Mails are not sent",
        ["A token is old"],
    )
    assert "1 hour ago" in shown.first.since
    [line] = [line for card in shown.cards for line in card["lines"] if line.name == "drill"]
    assert (line.tone, line.icon, line.value) == ("neutral", "do_not_disturb_on", "none recorded")
    client = as_user(nils)
    text = text_of(client.get(reverse(PAGE)))
    assert text.index("Mails are not sent") < text.index("A token is old") < text.index("Queues")
    assert "535 5.7.8 refused" in text
    # Also in the sidebar of who may see it.
    request = client.get(reverse("admin:index")).wsgi_request
    badges = {str(item["title"]): item.get("badge") for group in navigation(request) for item in group["items"]}
    assert badges["Operations"] == "1"
    with override("de"):
        german = shown_to(nils)
    assert german.first.title == "E-Mails werden nicht gesendet"
    assert german.first.steps[0]["text"] == "Starten Sie die Worker dieses Hosts neu."


def test_it_says_when_the_workers_do_not_report(db, nils, well):
    CheckResult.objects.update(checked_at=database_now() - timedelta(minutes=12))
    shown = shown_to(nils)
    assert shown.first.title == "The workers do not report"
    assert "12 minutes ago" in shown.checked
    # It looks itself which processes live, and names the cause first.
    Heartbeat.objects.filter(kind=ProcessKind.WORKER).delete()
    assert [shown_to(nils).first.title, shown_to(nils).others[0].title] == [
        "No worker runs",
        "The workers do not report",
    ]
    CheckResult.objects.all().delete()
    titles = [line.title for line in shown_to(nils).others]
    assert "No worker has reported yet" in titles


def test_it_costs_three_queries_and_names_nobody(well, nils, as_user, alice):
    sending.stop_all(actor=alice, reason="Alice has a reason")
    results.run_and_keep(everything=True)
    with CaptureQueriesContext(connection) as queries:
        shown = shown_to(nils)
    assert len(queries) == 3, [query["sql"] for query in queries]
    client = as_user(nils)
    live = reverse("admin:integrations_checkresult_live")
    with CaptureQueriesContext(connection) as queries:
        same = client.get(live, {"was": shown.digest}).content.decode()
    assert len(queries) <= 8, "with the session and the account"
    assert "lh-operations-time" in same
    assert "lh-operations-body" not in same
    changed = client.get(live, {"was": "before"}).content.decode()
    assert 'id="lh-operations-body"' in changed
    for name in ("alice", "Alice"):
        assert name not in changed


def test_a_test_mail_is_sent_by_a_worker_and_to_oneself(well, nils, as_user):
    client, address = as_user(nils), reverse("admin:integrations_checkresult_mail")
    assert client.get(address).status_code == 405
    client.post(address)
    trial = MailTrial.objects.get()
    assert (trial.user, trial.ended_at) == (nils, None)
    assert not mail.outbox, "the page itself sends nothing"
    assert "waits for a worker" in shown_to(nils).trial["text"]
    # Once a minute.
    client.post(address)
    assert MailTrial.objects.count() == 1
    tasks.send_mail_trial(trial.pk)
    tasks.send_mail_trial(trial.pk)
    assert [message.to for message in mail.outbox] == [[nils.email]], "once, also when the task runs twice"
    assert "took your test mail" in shown_to(nils).trial["text"]
    assert shown_to(person("zoe", "Company admin")).trial == {}, "nobody sees the mails of others"
    MailTrial.objects.update(problem="The mail server answered: 535 5.7.8 invalid.")
    assert "535 5.7.8" in shown_to(nils).trial["text"]


def test_without_a_broker_the_buttons_say_so(well, nils, as_user, monkeypatch):
    def away(*ids: int) -> None:
        raise OperationalError("away")

    for task in (tasks.run_all_checks, tasks.send_mail_trial):
        monkeypatch.setattr(task, "delay", away)
    client = as_user(nils)
    for action in ("doctor", "mail"):
        page = client.post(reverse(f"admin:integrations_checkresult_{action}"), follow=True)
        assert "The broker does not answer" in text_of(page)
