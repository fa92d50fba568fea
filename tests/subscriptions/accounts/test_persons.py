"""The person of an account: found by address after each download, stored by id, and changed only by somebody else."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from licensehub.audit.models import AuditEvent
from subscriptions.accounts import persons
from subscriptions.accounts.own_seat import identity_of
from subscriptions.errors import NotActionable, Refused
from subscriptions.models import AccountPerson, Subscription


def ids(user: User) -> list[str]:
    return list(AccountPerson.objects.filter(user=user).values_list("external_id", flat=True))


def test_a_download_finds_the_owners_and_keeps_their_ids(world, alice, bob, carol):
    world.download()
    assert not AccountPerson.objects.exists()
    assert not identity_of(alice, world.profile).ids
    one, two, three = Subscription.objects.filter(active=True).order_by("pk")[:3]
    User.objects.filter(pk=alice.pk).update(email=one.email.upper())
    User.objects.filter(pk=bob.pk).update(email="jörg@northwind.example")
    User.objects.filter(pk=carol.pk).update(email="carol+licenses@northwind.example")
    world.miro.change(two.external_id, email="jörg@northwind.example")
    world.miro.change(three.external_id, email="Carol+Miro@northwind.example")
    world.download()

    assert (ids(alice), ids(bob), ids(carol)) == (
        [one.external_id],
        [two.external_id],
        [three.external_id],
    )
    [found, *_] = AuditEvent.objects.filter(action="user.person_found").order_by("sequence")
    assert (found.target_label, found.data["external_id"]) == ("alice", one.external_id)
    assert identity_of(alice, world.profile).ids

    world.miro.change(one.external_id, email="renamed@northwind.example")
    world.download()
    world.download()
    assert ids(alice) == [one.external_id]
    assert AuditEvent.objects.filter(action="user.person_found").count() == 3


def test_a_company_admin_enters_the_owner_and_nobody_does_for_their_own_account(organization, alice, bob):
    profile = organization.profile
    with pytest.raises(Refused, match="your own account"):
        persons.link(alice, profile, "1004", actor=alice)
    with pytest.raises(Refused, match="No member"):
        persons.link(alice, profile, "77", actor=bob)
    persons.link(alice, profile, " 1004 ", actor=bob)
    [(found, member)] = persons.persons_of(alice, profile)
    assert (found.linked_by, member.external_id) == (bob, "1004")
    with pytest.raises(Refused, match="your own account"):
        persons.unlink(found, actor=alice)
    persons.unlink(found, actor=bob)
    with pytest.raises(NotActionable):
        persons.unlink(found, actor=bob)
    assert ids(alice) == []
    done = AuditEvent.objects.filter(action__startswith="user.person_").order_by("sequence")
    assert [event.action for event in done] == ["user.person_linked", "user.person_unlinked"]


def test_nobody_says_it_for_a_second_account_of_their_own(organization, alice, bob):
    """With “no seat here”, the second account would be that of somebody else, and could approve."""
    profile = organization.profile
    User.objects.filter(pk=bob.pk).update(email="alice@northwind-labs.example")
    second = User.objects.get(pk=bob.pk)
    with pytest.raises(Refused, match="your own account"):
        persons.link(second, profile, "", actor=alice)
    found = AccountPerson.objects.create(
        user=second, external_id="1004", kind=profile.kind, organization_id=profile.organization_id
    )
    with pytest.raises(Refused, match="your own account"):
        persons.unlink(found, actor=alice)
    assert ids(second) == ["1004"]
