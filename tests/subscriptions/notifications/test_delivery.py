"""The mail to a colleague is handed over once to a real mail server, never twice, and is not lost."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from integrations import sending
from subscriptions import sweep, tasks
from subscriptions.models import NotificationMail
from subscriptions.notices.outbox import MAX_TRIES, Outbox
from subscriptions.notices.transport import MailServer
from subscriptions.notifications.delivery import NotificationMails
from tests.support.fixtures import actions, person
from tests.support.people.colleagues import Colleagues
from tests.support.servers import mail_server as smtp


class Killed(BaseException):
    """SIGKILL, as far as one process can show it."""


def test_after_a_kill_between_intent_and_hand_over_a_mail_is_not_sent_again(
    colleagues: Colleagues, alice, bob, monkeypatch
):
    colleagues.ask(alice)

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(MailServer, "hand_over", killed)
        colleagues.minute()
    assert colleagues.states() == ["sending"]

    assert colleagues.minute() == 0
    NotificationMail.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert colleagues.minute() == 0
    assert colleagues.states() == ["in_doubt"]
    assert colleagues.server.mails == []
    assert actions()[-1] == "notification.failed"


def test_after_a_kill_before_the_intent_a_mail_is_sent_later(colleagues: Colleagues, alice, bob, monkeypatch):
    colleagues.ask(alice)

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(Outbox, "commit_intent", killed)
        colleagues.minute()

    assert colleagues.minute() == 1
    assert colleagues.states() == ["sent"]


@pytest.mark.parametrize(
    ("mode", "state", "mails"),
    [
        (smtp.BUSY, "due", 0),
        (smtp.NOBODY, "failed", 0),
        (smtp.CLOSE_AFTER, "in_doubt", 1),
        (smtp.CLOSE_AT_QUIT, "sent", 1),
    ],
)
def test_the_reply_of_the_server_decides_the_state(colleagues: Colleagues, alice, bob, mode, state, mails):
    colleagues.ask(alice)
    colleagues.server.mode = mode
    colleagues.minute()
    assert (colleagues.states(), len(colleagues.server.mails)) == ([state], mails)

    colleagues.server.mode = smtp.ACCEPT
    NotificationMail.objects.update(due_at=timezone.now())
    colleagues.minute()
    assert len(colleagues.server.mails) == (1 if state == "due" else mails)


def test_without_a_server_all_wait_and_no_try_is_counted(colleagues: Colleagues, alice, bob, settings, allow_http):
    allow_http("http://127.0.0.1:1")
    port, settings.EMAIL_PORT = settings.EMAIL_PORT, 1
    colleagues.ask(alice)
    assert colleagues.minute() == 0
    mail = NotificationMail.objects.get()
    assert (mail.state, mail.tries) == ("due", 0)
    assert mail.due_at > timezone.now() and "could not be reached" in mail.problem

    settings.EMAIL_PORT = port
    NotificationMail.objects.update(due_at=timezone.now(), created_at=timezone.now() - timedelta(days=8))
    assert colleagues.minute() == 0
    assert colleagues.states() == ["failed"]


def test_a_server_that_refuses_all_of_us_uses_up_nobodys_try(colleagues: Colleagues, alice, bob):
    person("zoe", "Approver")
    colleagues.ask(alice)
    colleagues.server.mode = smtp.QUOTA
    for _ in range(MAX_TRIES + 2):
        colleagues.minute()
        NotificationMail.objects.update(due_at=timezone.now())
    assert colleagues.states() == ["due", "due"]

    colleagues.server.mode = smtp.ACCEPT
    assert colleagues.minute() == 2
    assert colleagues.states() == ["sent", "sent"]


def test_a_mail_is_claimed_once(colleagues: Colleagues, alice, bob):
    colleagues.ask(alice)
    sweep.notify()
    first, second = NotificationMail.objects.get(), NotificationMail.objects.get()
    assert NotificationMails().commit_intent(first)
    assert not NotificationMails().commit_intent(second)
    assert actions().count("notification.sending") == 1


def test_a_restored_backup_and_a_wrong_address_mail_nobody(colleagues: Colleagues, alice, bob):
    User.objects.filter(pk=bob.pk).update(email="no address")
    zoe = person("zoe", "Approver")
    colleagues.ask(alice)
    sending.hold("This database may be a restored backup.")
    assert colleagues.minute() == 0
    assert colleagues.states() == ["due", "due"]

    sending.release(actor=zoe, checked="All of it was checked.", renew=False)
    assert colleagues.minute() == 1
    found = NotificationMail.objects.values_list("user__username", "state")
    assert dict(found) == {"bob": "failed", "zoe": "sent"}
    assert colleagues.server.addresses() == [zoe.email]


def test_the_sweep_enqueues_the_mails(colleagues: Colleagues, alice, bob, monkeypatch):
    enqueued = []
    monkeypatch.setattr(tasks, "enqueue_task", lambda task, *ids: enqueued.append(task.name))
    colleagues.ask(alice)
    tasks.sweep()
    assert "subscriptions.tasks.notify_colleagues" in enqueued

    tasks.notify_colleagues()
    assert colleagues.server.addresses() == [bob.email]
