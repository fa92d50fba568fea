"""One mail that cannot be written holds up no other mail."""

from __future__ import annotations

from datetime import timedelta

import time_machine
from django.core.mail import EmailMessage
from django.utils import timezone

from subscriptions.models import Notice
from subscriptions.notices import delivery, outbox, transport
from subscriptions.notices.mail_failures import Failure
from tests.support.people.notices import Asking, states


def test_a_line_break_in_a_name_stops_no_mail(mail_server):
    subject = "LicenseHub: A role for Pat\nBcc: all@northwind.example"
    with transport.MailServer() as server:
        server.ready()
        assert server.hand_over(EmailMessage(subject, "Text", to=["a@northwind.example"])) is None
    [mail] = mail_server.mails
    assert mail["Subject"] == "LicenseHub: A role for Pat Bcc: all@northwind.example" and mail["Bcc"] is None


def test_the_others_get_theirs_and_the_one_is_tried_later(asking: Asking, monkeypatch):
    request = asking.request(3)
    first = Notice.objects.order_by("due_at", "pk").first()
    written = delivery.mail_for

    def fail(notice: Notice) -> object:
        if notice.pk == first.pk:
            raise KeyError("a name that the text does not know")
        return written(notice)

    with monkeypatch.context() as broken:
        broken.setattr(delivery, "mail_for", fail)
        assert asking.hand_over() == 2
        assert sorted(states(request)) == ["due", "sent", "sent"]
        first.refresh_from_db()
        assert (first.tries, first.problem) == (0, "The mail could not be written: KeyError")
    with time_machine.travel(timezone.now() + 2 * outbox.RETRY_DELAY + timedelta(minutes=1), tick=True):
        assert asking.hand_over() == 1


def test_a_header_that_no_mail_may_have_is_a_fact_about_one_mail_only_if_others_are_taken(mail_server):
    def mail(**headers: str) -> EmailMessage:
        return EmailMessage("Subject", "Text", to=["a@northwind.example"], headers=headers)

    with transport.MailServer() as server:
        for expected in (Failure.DOWN, Failure.REFUSED):
            server.ready()
            failure, why = server.hand_over(mail(Broken="a\nb"))
            assert failure == expected and why.startswith("The mail could not be written: ")
            assert server.hand_over(mail()) is None
    assert len(mail_server.mails) == 2
