from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from licensehub.audit.models import AuditEvent
from subscriptions import sweep
from subscriptions.approvals.request import request_reclaim
from subscriptions.models import Notice, ReclaimRequest, ReclaimRule, RemovalCandidate, RequestedRemoval
from subscriptions.notices import delivery
from tests.support.fixtures import World
from tests.support.servers.mail_server import MailServer, start

LINK = re.compile(r"http://localhost:8000(/license/[^/\s\"]+/)")


@pytest.fixture
def mail_server(settings, allow_http) -> Iterator[MailServer]:
    told, server = start()
    allow_http(f"http://127.0.0.1:{told.port}")
    settings.EMAIL_BACKEND = "licensehub.outbound.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", told.port
    settings.EMAIL_TIMEOUT = 5
    settings.PUBLIC_URL = "http://localhost:8000"
    settings.CONTACT_NAME, settings.CONTACT_EMAIL = "IT Asset Management", "itam@northwind.example"
    yield told
    server.shutdown()
    server.server_close()


@dataclass
class Asking:
    """A profile whose rule asks people, its sandbox and its mail server."""

    world: World
    server: MailServer
    asks: User

    def request(self, count: int) -> ReclaimRequest:
        return request_reclaim(self.world.candidates(count), actor=self.asks, reason="True-up")

    def hand_over(self) -> int:
        return delivery.deliver_due(self.world.profile)

    def asked(self, count: int) -> ReclaimRequest:
        """Requested, everybody mailed, and the days running."""
        request = self.request(count)
        assert self.hand_over() == count
        sweep.repair()
        return ReclaimRequest.objects.get(pk=request.pk)

    def link(self, person: RequestedRemoval) -> str:
        """The path in the last mail to this person."""
        mail = self.server.to(person.evidence["email"])[-1]
        return LINK.search(mail.get_body(("plain",)).get_content()).group(1)

    def says(self, person: RequestedRemoval, answer: str, client: Client | None = None):
        """One click on the page, as a browser does it."""
        browser = client or Client(enforce_csrf_checks=True)
        path = self.link(person)
        page = browser.get(path)
        assert page.status_code == 200
        token = re.search(r'csrfmiddlewaretoken" value="(\w+)"', page.content.decode())
        data = {"answer": answer, "csrfmiddlewaretoken": token.group(1) if token else ""}
        return browser.post(path, data)


@pytest.fixture
def asking(world, mail_server, alice) -> Asking:
    world.first_download()
    ReclaimRule.objects.filter(profile=world.profile).update(notify_user=True, days_to_answer=8)
    return Asking(world, mail_server, alice)


def due_again() -> None:
    """Make the notices due, as if the wait were over."""
    Notice.objects.filter(state="due", kind="ask").update(due_at=timezone.now())


def lease_over() -> None:
    Notice.objects.filter(state="sending").update(lease_until=timezone.now() - timedelta(seconds=1))


def people(request: ReclaimRequest) -> list[RequestedRemoval]:
    return list(request.removals.select_related("candidate__subscription").order_by("pk"))


def states(request: ReclaimRequest, kind: str = "ask") -> list[str]:
    rows = Notice.objects.filter(removal__request=request, kind=kind).order_by("removal")
    return list(rows.values_list("state", flat=True))


@pytest.fixture
def one_asked(asking: Asking) -> RequestedRemoval:
    """One person who was asked."""
    return people(asking.asked(1))[0]


def candidate_of(person: RequestedRemoval) -> RemovalCandidate:
    return RemovalCandidate.objects.get(pk=person.candidate_id)


def not_reached(person: RequestedRemoval) -> None:
    """On record: out of the request, and a person must look."""
    person.refresh_from_db()
    candidate = candidate_of(person)
    assert person.dropped_at
    assert candidate.state == "attention_required"
    assert candidate.attention.startswith("No contact: ")
    assert "ask this person in another way" in candidate.attention


def facts() -> list[object]:
    """Everything that an answer could change."""
    rows = RequestedRemoval.objects.order_by("pk").values_list("answer", "answered_at", "dropped_at")
    return [*rows, *Notice.objects.order_by("pk").values_list("state", "tries"), AuditEvent.objects.count()]


def text_of(response) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))
