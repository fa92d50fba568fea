"""The cases in which nobody is asked: paused, held, unreachable, withdrawn, or back at work."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from integrations import sending
from integrations.models import IntegrationProfile
from licensehub.audit.models import AuditEvent
from licensehub.checks.configuration import check_mail
from subscriptions import sweep, tasks
from subscriptions.approvals.closing import cancel
from subscriptions.models import Notice
from subscriptions.notices import delivery, outbox
from tests.support.people.notices import Asking, candidate_of, due_again, not_reached, people, states
from tests.support.servers import mail_server as smtp


def test_a_paused_profile_mails_nobody_and_its_request_ends_after_a_week(asking: Asking):
    request = asking.request(2)
    IntegrationProfile.objects.update(state="paused")

    assert delivery.profiles_to_ask() == []
    assert asking.hand_over() == 0
    sweep.repair()
    assert states(request) == ["due", "due"]

    with time_machine.travel(timezone.now() + timedelta(days=7, minutes=1), tick=True):
        sweep.repair()
    for person in people(request):
        not_reached(person)
    request.refresh_from_db()
    assert request.state == "empty"
    assert asking.server.mails == []


def test_a_restored_backup_mails_nobody(asking: Asking):
    asking.request(1)
    sending.hold("This database may be a restored backup.")

    assert asking.hand_over() == 0
    assert asking.server.mails == []


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("EMAIL_BACKEND", "django.core.mail.backends.console.EmailBackend", "Set EMAIL_URL."),
        ("PUBLIC_URL", "http://localhost:8000", "Set PUBLIC_URL."),
    ],
)
def test_a_mail_that_can_reach_nobody_is_no_question(asking: Asking, settings, setting, value, words):
    request = asking.request(1)
    settings.HTTPS, settings.PUBLIC_URL = True, "https://licenses.northwind.example"
    setattr(settings, setting, value)
    assert [finding.id for finding in check_mail()] == ["licensehub.W002"]

    for _ in range(outbox.MAX_TRIES + 1):
        assert asking.hand_over() == 0
        due_again()
    assert words in Notice.objects.get().problem
    assert states(request) == ["due"]
    with time_machine.travel(timezone.now() + outbox.MAX_TOTAL_WAIT, tick=True):
        sweep.repair()

    not_reached(people(request)[0])
    assert asking.server.mails == []


def test_a_withdrawn_request_mails_nobody(asking: Asking, alice):
    request = asking.request(1)
    cancel(request, actor=alice)

    assert asking.hand_over() == 0
    sweep.repair()

    assert states(request) == ["canceled"]
    assert asking.server.mails == []


def test_who_came_back_is_not_asked(asking: Asking):
    request = asking.request(1)
    [person] = people(request)
    asking.world.miro.change(person.evidence["external_id"], last_activity_at="now")
    asking.world.download()

    assert asking.hand_over() == 0
    sweep.repair()

    assert candidate_of(person).close_reason == "active_again"
    assert states(request) == ["canceled"]
    assert asking.server.mails == []


def test_an_archived_profile_asks_nobody_any_more(asking: Asking):
    from subscriptions.profiles.archive import archive

    request = asking.request(1)
    archive(asking.world.profile, typed_name=asking.world.profile.name, actor=None)
    sweep.repair()

    request.refresh_from_db()
    assert request.state == "canceled"
    assert states(request) == ["canceled"]


def test_the_sweep_enqueues_due_mails(asking: Asking, monkeypatch):
    asking.request(1)
    workers_called = []
    monkeypatch.setattr(tasks, "enqueue_task", lambda task, *ids: workers_called.append((task, ids)))

    tasks.sweep()
    assert (tasks.ask_people, (asking.world.profile.pk,)) in workers_called
    tasks.ask_people(asking.world.profile.pk)

    assert len(asking.server.mails) == 1
    workers_called.clear()
    tasks.sweep()
    assert tasks.ask_people not in [task for task, _ in workers_called]


def test_the_audit_names_the_try_and_the_outcome(asking: Asking):
    request = asking.request(1)
    asking.server.mode = smtp.BUSY
    asking.hand_over()

    events = AuditEvent.objects.filter(action__startswith="notice.").order_by("sequence")
    assert [event.action for event in events] == ["notice.sending", "notice.failed"]
    assert events[0].data == {"kind": "ask", "request": request.number, "try": 1}
    assert events[1].data["problem"] == "The mail server answered: 450 4.2.1 Mailbox busy"
    assert events[1].actor_name == "LicenseHub"
