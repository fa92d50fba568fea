"""An organization with candidates, made from models: these tests ask the pages, not Miro."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.db import connection, transaction
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from integrations.models import IntegrationProfile, ProfileState
from subscriptions.accounts import scope
from subscriptions.approvals.request import request_reclaim
from subscriptions.candidates.propose import propose_candidates
from subscriptions.candidates.request_digest import shown_digest
from subscriptions.eligibility.evaluate import evaluate_profile
from subscriptions.models import DownloadRun, ReclaimRequest, ReclaimRule, RemovalCandidate, Subscription
from subscriptions.search import refresh_search
from tests.support.data import cached_world
from tests.support.fixtures import without_caps


@dataclass
class Organization:
    """A profile with one download: some people active lately, the others inactive for 100 days and more."""

    profile: IntegrationProfile
    run: DownloadRun

    @property
    def rule(self) -> ReclaimRule:
        return ReclaimRule.objects.get(profile=self.profile)

    def hire(self, number: int, *, idle: int, **facts: object) -> Subscription:
        row = self.person(number, idle=idle, **facts)
        row.save()
        refresh_search(self.profile)
        return row

    def person(self, number: int, *, idle: int, **facts: object) -> Subscription:
        """A row that is not saved yet."""
        now = timezone.now()
        values = {
            "email": f"person{number}@northwind.example",
            "name": f"Person {number}",
            "active": True,
            "license": "full",
            "role": "organization_internal_user",
            "license_assigned_at": now - timedelta(days=900),
            "last_activity_at": now - timedelta(days=idle, hours=1),
            "reclaimable": True,
            **facts,
        }
        return Subscription(
            profile=self.profile,
            external_id=str(1000 + number),
            first_run=self.run,
            changed_run=self.run,
            facts_at=now,
            **values,
        )

    def propose(self) -> None:
        evaluate_profile(self.profile)
        propose_candidates(self.run)

    def ask(self, alice: User, *, count: int = 3, reason: str = "True-up") -> ReclaimRequest:
        ready = RemovalCandidate.objects.filter(state="ready", profile=self.profile).values_list("pk", flat=True)[
            :count
        ]
        return request_reclaim(RemovalCandidate.objects.filter(pk__in=list(ready)), actor=alice, reason=reason)


def make_organization(name: str = "Northwind", organization_id: str = "3074457345") -> Organization:
    """Without anybody."""
    now = timezone.now()
    profile = IntegrationProfile.objects.create(
        name=name, organization_id=organization_id, kind="miro_enterprise", state=ProfileState.PUBLISHED
    )
    ReclaimRule.objects.create(profile=profile, licenses=[*profile.connector.default_licenses])
    without_caps(profile)
    run = DownloadRun.objects.create(
        profile=profile, state="complete", started_by="schedule", finished_at=now, lease_until=now
    )
    return Organization(profile, run)


@pytest.fixture
def empty_organization(db) -> Organization:
    return make_organization()


@pytest.fixture
def organization(db, request) -> Organization:
    """12 people, of whom 8 are candidates."""

    def make() -> None:
        made = make_organization()
        Subscription.objects.bulk_create(
            made.person(number, idle=3 if number < 4 else 100 + number) for number in range(12)
        )
        refresh_search(made.profile)
        made.propose()

    cached_world.current().scene(request, make)
    return Organization(IntegrationProfile.objects.get(), DownloadRun.objects.get())


@pytest.fixture
def us(organization: Organization) -> Organization:
    """A second organization: one active person, and four candidates who work in the department *Ranching*."""
    made = make_organization("Northwind US", "3074457999")
    Subscription.objects.bulk_create(
        made.person(
            number,
            idle=3 if number == 50 else 100 + number,
            email=f"rancher{number}@northwind.example",
            name=f"Rancher {number}",
            department="Ranching",
        )
        for number in range(50, 55)
    )
    refresh_search(made.profile)
    made.propose()
    return made


def limited_to(user: User, *profiles: IntegrationProfile) -> User:
    """The roles of this account hold for these profiles only. Returns the account as a page loads it."""
    with transaction.atomic():
        scope.write(user, frozenset(profile.pk for profile in profiles), actor=None)
    return User.objects.get(pk=user.pk)


@pytest.fixture
def workers_called(monkeypatch) -> list[int]:
    """For which profiles a worker was called; there is no broker here."""
    calls: list[int] = []

    def note(task: object, pk: int) -> bool:
        calls.append(pk)
        return True

    monkeypatch.setattr("subscriptions.admin.widgets.actions.enqueue_task", note)
    return calls


@pytest.fixture
def as_user() -> Callable[[User], Client]:
    def signed_in(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return signed_in


def page(model: str, name: str, *args: object) -> str:
    return reverse(f"admin:subscriptions_{model}_{name}", args=args)


def request_url(act: str, request: ReclaimRequest) -> str:
    return page("reclaimrequest", act, request.pk)


def seen(request: ReclaimRequest) -> dict[str, object]:
    """The fields that the page of this request sends with an approval: the list that it shows now."""
    row = ReclaimRequest.objects.get(pk=request.pk)
    people = row.removals.select_related("candidate__subscription")
    return {"revision": row.revision, "digest": shown_digest(row, people)}


def questions(client: Client, address: str) -> int:
    """Return how many queries a page takes that was opened once before."""
    client.get(address)
    with CaptureQueriesContext(connection) as asked:
        assert client.get(address).status_code == 200
    return len(asked)


def said(response: HttpResponse) -> str:
    """All messages that the answer left for the next page."""
    return " ".join(str(message) for message in get_messages(response.wsgi_request))
