"""`deciders_of` gives the same users as `decide` allows."""

from __future__ import annotations

from django.contrib.auth.models import User

from subscriptions.approvals.decide import refuse_first_person
from subscriptions.approvals.deciders import deciders_of, undecidable
from subscriptions.errors import Refused
from subscriptions.models import AccountPerson, ReclaimRequest
from tests.support.fixtures import person


def let_by_decide(request: ReclaimRequest) -> set[str]:
    found = set()
    for user in User.objects.filter(is_active=True, is_staff=True):
        try:
            refuse_first_person(request, actor=user, profile=request.profile)
        except Refused:
            continue
        found.add(user.username)
    return found


def names(request: ReclaimRequest) -> set[str]:
    found = {user.username for user in deciders_of(request)}
    assert found == let_by_decide(request)
    assert undecidable(request.profile, [request]) == ([] if found else [request])
    return found


def test_who_may_decide(organization, alice, bob, carol):
    request = organization.ask(alice, count=2)
    one, other = (
        removal.candidate.subscription for removal in request.removals.select_related("candidate__subscription")
    )
    User.objects.create_superuser("root", "root@northwind.example", "a long password of root")
    person("ada", "Company admin")
    emails = {
        "zoe": f" {one.email.upper()}",
        "second": f"{one.email.split('@')[0]}+admin@other.example",
        "alias": "alice@northwind-labs.example",
        "nobody": "",
        "blank": " ",
        "linked": "linked@northwind.example",
        "raiser": "raiser@northwind.example",
        "former": "former@northwind.example",
        "outside": "outside@northwind.example",
    }
    for name, email in emails.items():
        User.objects.filter(pk=person(name, "Approver").pk).update(
            email=email, is_active=name != "former", is_staff=name != "outside"
        )
    AccountPerson.objects.create(
        user=User.objects.get(username="linked"),
        external_id=other.external_id,
        kind=request.profile.kind,
        organization_id=request.profile.organization_id,
    )
    request.cap_raised_by = User.objects.get(username="raiser")
    assert names(request) == {"bob"}

    request.requested_by = User.objects.get(username="ada")
    User.objects.filter(pk=bob.pk).update(is_active=False)
    assert names(request) == {"alias"}

    request.removals.all().update(dropped_at=request.requested_at)
    assert names(request) == {"alias", "zoe", "second", "linked"}


def test_only_a_request_of_the_schedule_asks_for_changes_of_the_rule(organization, alice, django_assert_num_queries):
    request = organization.ask(alice, count=2)
    with django_assert_num_queries(0):
        assert undecidable(request.profile, []) == []
    with django_assert_num_queries(4):
        undecidable(request.profile, [request])
    request.requested_by = None
    with django_assert_num_queries(5):
        undecidable(request.profile, [request])
