"""Who may decide a request, as it is now."""

from __future__ import annotations

from django.contrib.auth.models import User

from subscriptions.approvals.deciders import deciders_of
from tests.support.fixtures import person


def test_who_may_decide(organization, alice, bob, carol):
    request = organization.ask(alice, count=2)
    root = User.objects.create_superuser("root", "root@northwind.example", "a long password of root")
    concerned, raiser, outside = (person(name, "Approver") for name in ("zoe", "rita", "otto"))
    admin = person("ada", "Company admin")
    person("nora", "Approver")
    email = request.removals.first().evidence["email"]
    User.objects.filter(pk=concerned.pk).update(email=f" {email.upper()}")
    User.objects.filter(username="nora").update(email="")
    User.objects.filter(pk=outside.pk).update(is_staff=False)
    request.cap_raised_by = raiser
    assert set(deciders_of(request)) == {bob, root, admin}

    request.requested_by = admin
    User.objects.filter(pk=bob.pk).update(is_active=False)
    assert set(deciders_of(request)) == {root}

    request.removals.all().update(dropped_at=request.requested_at)
    assert set(deciders_of(request)) == {root, concerned}
