"""The mails to colleagues, as their mailboxes show them: a made-up organization and a real mail server."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pytest
from django.contrib.auth.models import User

from subscriptions import sweep
from subscriptions.models import NotificationMail, ReclaimRequest
from subscriptions.notifications import delivery
from tests.support.people.organization import Organization
from tests.support.servers.mail_server import MailServer

# A Thursday, at noon in UTC.
NOON = datetime.fromisoformat("2026-11-26T12:00:00+00:00")


@dataclass
class Colleagues:
    """`minute` is what the sweep and its tasks do in one minute."""

    organization: Organization
    server: MailServer

    def minute(self) -> int:
        sweep.repair()
        sweep.notify()
        return delivery.deliver_due()

    def subjects(self, user: User) -> list[str]:
        return [str(mail["Subject"]) for mail in self.server.to(user.email)]

    def text(self, user: User) -> str:
        """The last mail to this user."""
        return str(self.server.to(user.email)[-1].get_content())

    def states(self) -> list[str]:
        return list(NotificationMail.objects.order_by("pk").values_list("state", flat=True))

    def ask(self, alice: User) -> ReclaimRequest:
        return self.organization.ask(alice, count=2)


@pytest.fixture
def colleagues(organization, mail_server, settings) -> Colleagues:
    settings.WORKING_DAYS = frozenset(range(5))
    return Colleagues(organization, mail_server)
