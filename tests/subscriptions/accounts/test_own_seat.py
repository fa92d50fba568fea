"""Four eyes: no form of an address, no rename and no second account makes one person two."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db.models.fields.json import KT

from subscriptions.accounts import own_seat, persons
from subscriptions.accounts.own_seat import Identity, has_own_seat, refuse_own_seat, seats_of
from subscriptions.approvals import closing, decide
from subscriptions.approvals.request import raise_cap, request_reclaim
from subscriptions.candidates import actions
from subscriptions.downloads import acceptance
from subscriptions.errors import ChangedOutside, ConcernsYou, OwnRequest, Refused
from subscriptions.models import AccountPerson, ReclaimRequest, ReclaimRule, RemovalCandidate, Subscription
from tests.support.fixtures import person

FORMS = (
    # (the account, the person, the same by all that is known, the same if a company admin said who the owner is)
    ("pat@northwind.example", "pat@northwind.example", True, True),
    ("Pat@Northwind.example", "PAT@northwind.EXAMPLE ", True, True),
    ("pat@northwind.example", "pat+miro@northwind.example", True, True),
    ("pat+admin@northwind.example", "pat@northwind.example", True, True),
    ("pat@northwind.example", "pat@labs.example", True, False),
    ("pat@labs.example", "pat+x@northwind.example", True, False),
    ("jörg@münchen.example", "JÖRG@München.example", True, True),
    ("pat@northwind.example", "patricia@northwind.example", False, False),
    ("pat@northwind.example", "a.pat@northwind.example", False, False),
    ("pat@northwind.example", "", False, False),
    ("", "pat@northwind.example", False, False),
    ("", "", False, False),
    ("pat", "pat", False, False),
)


@pytest.mark.parametrize(("account", "address", "same", "certain"), FORMS)
def test_the_forms_of_one_address(account, address, same, certain):
    assert Identity(account, frozenset(), confirmed=False).has_address(address) is same
    assert Identity(account, frozenset(), confirmed=True).has_address(address) is certain


@pytest.fixture
def asked(organization, alice) -> ReclaimRequest:
    return organization.ask(alice, count=2)


def first_of(request: ReclaimRequest) -> Subscription:
    return Subscription.objects.get(candidates__removals=request.removals.order_by("pk")[0])


def test_the_guard_in_sql_finds_whom_python_finds(organization, asked, bob):
    row = first_of(asked)
    for account, address, _, _ in FORMS:
        if not account.isascii():
            continue
        User.objects.filter(pk=bob.pk).update(email=account)
        bob.refresh_from_db()
        for column in ("email", "evidence"):
            email, frozen = (address, "x@y.example") if column == "email" else ("x@y.example", address)
            Subscription.objects.filter(pk=row.pk).update(email=email.strip())
            removal = asked.removals.order_by("pk")[0]
            removal.evidence["email"] = frozen.strip()
            removal.save()
            mine = own_seat.identity_of(bob, organization.profile)
            found = any(mine.owns(own_seat.Seat(*seat)) for seat in seats_of(asked.removals.all()))
            candidate = RemovalCandidate.objects.filter(pk=removal.candidate_id)
            candidate.update(evidence=removal.evidence)
            guard = ReclaimRequest.objects.filter(has_own_seat(bob, organization.profile), pk=asked.pk)
            assert guard.exists() is found, (account, address)


def everything(request: ReclaimRequest, actor: User) -> list[type[Exception] | None]:
    """The error of each action on a request, and on its first person, for this account."""
    first = request.removals.order_by("pk")[0]
    acts = (
        lambda: decide.approve(request, actor=actor),
        lambda: decide.reject(request, actor=actor, comment="No"),
        lambda: raise_cap(request, actor=actor, reason="All on leave"),
        lambda: closing.drop(first, actor=actor, reason="No"),
        lambda: actions.leave_alone(first.candidate, actor=actor),
        lambda: actions.resume(first.candidate, actor=actor),
    )
    found: list[type[Exception] | None] = []
    for act in acts:
        try:
            act()
        except Refused as error:
            found.append(type(error))
        else:
            found.append(None)
    return found


def test_somebody_renamed_since_the_request_decides_nothing_about_their_own_seat(organization, asked, bob):
    """Bob is renamed at the vendor, and nobody knows his former address: his id is known from a download before."""
    row = first_of(asked)
    frozen = row.email
    ReclaimRule.objects.update(batch_cap_people=1)
    for address in (f"bob+1@{frozen.partition('@')[2]}", "bob@labs.example", bob.email):
        Subscription.objects.filter(pk=row.pk).update(email=address)
        assert everything(asked, bob) == [ConcernsYou] * 6, address

    assert persons.find_persons(organization.profile) == 1
    Subscription.objects.filter(pk=row.pk).update(email="b.married@northwind.example")
    assert everything(asked, bob) == [ConcernsYou] * 6
    User.objects.filter(pk=bob.pk).update(email="robert@elsewhere.example", is_superuser=True)
    bob.refresh_from_db()
    assert everything(asked, bob) == [ConcernsYou] * 6

    # What a download found says nothing about the same name at another domain.
    people = Subscription.objects.filter(pk=row.pk)
    people.update(external_id="4711", email="robert@labs.example")
    # Another id than that of the request is refused for that alone.
    assert everything(asked, bob) == [ChangedOutside] + [ConcernsYou] * 5
    persons.unlink(AccountPerson.objects.get(), actor=person("zoe", "Company admin"))
    people.update(external_id=row.external_id, email="b.married@northwind.example")
    asked.refresh_from_db()
    assert asked.state == "open"
    ReclaimRule.objects.update(batch_cap_people=10)
    with pytest.raises(Refused, match="administers accounts"):
        decide.approve(asked, actor=bob)
    User.objects.filter(pk=bob.pk).update(is_superuser=False)
    assert decide.approve(asked, actor=bob) == 2


def test_an_account_without_an_address_neither_asks_nor_decides(organization, asked, bob, alice):
    User.objects.update(email="", is_superuser=True)
    bob.refresh_from_db(), alice.refresh_from_db()
    assert everything(asked, bob) == [Refused] * 6
    with pytest.raises(Refused, match="no e-mail address"):
        request_reclaim(RemovalCandidate.objects.filter(state="ready"), actor=alice)
    run = organization.run
    type(run).objects.filter(pk=run.pk).update(state="quarantined", acceptable=True)
    run.refresh_from_db()
    with pytest.raises(Refused, match="no e-mail address"):
        acceptance.propose(run, reason="The office closed", actor=alice)
    assert "no e-mail address" in acceptance.why_not_confirm(run, bob) or run.proposed_by is None


def test_the_update_itself_refuses_the_own_seat(organization, asked, bob, monkeypatch):
    """The download that finds Bob's seat commits between the check and the UPDATE."""
    row = first_of(asked)
    Subscription.objects.filter(pk=row.pk).update(email=bob.email)
    for module in (decide, closing):
        monkeypatch.setattr(module, "refuse_own_seat", lambda *args, **kwargs: None)
    with pytest.raises(Exception, match="has just changed"):
        decide.approve(asked, actor=bob)
    with pytest.raises(Exception, match="no longer part"):
        closing.drop(asked.removals.order_by("pk")[0], actor=bob, reason="No")
    # By the vendor's id as well, after the address has changed.
    assert persons.find_persons(organization.profile) == 1
    Subscription.objects.filter(pk=row.pk).update(email="b.married@northwind.example")
    with pytest.raises(Exception, match="has just changed"):
        decide.approve(asked, actor=bob)
    asked.refresh_from_db()
    assert asked.state == "open"


def test_a_second_account_is_no_second_person(organization, asked, alice, bob):
    twin = person("alice.admin", "Approver")
    User.objects.filter(pk=twin.pk).update(email="alice+admin@northwind.example")
    twin.refresh_from_db()
    with pytest.raises(OwnRequest):
        decide.approve(asked, actor=twin)
    User.objects.filter(pk=twin.pk).update(email="alice@labs.example")
    twin.refresh_from_db()
    with pytest.raises(OwnRequest):
        decide.approve(asked, actor=twin)
    # Another company admin says that this is somebody else, with another seat or with none.
    with pytest.raises(Refused, match="your own account"):
        persons.link(twin, organization.profile, "", actor=alice)
    persons.link(twin, organization.profile, "", actor=bob)
    assert own_seat.accounts_of(twin, organization.profile) == [twin.pk]
    # Both found by their seat: one person again.
    for account in (alice, twin):
        persons.AccountPerson.objects.create(
            user=account,
            kind=organization.profile.kind,
            organization_id=organization.profile.organization_id,
            external_id="1001",
        )
    with pytest.raises(OwnRequest):
        decide.approve(asked, actor=twin)

    run = organization.run
    type(run).objects.filter(pk=run.pk).update(state="quarantined", acceptable=True)
    run.refresh_from_db()
    acceptance.propose(run, reason="The office closed", actor=alice)
    run.refresh_from_db()
    with pytest.raises(Refused, match="another person must confirm"):
        acceptance.accept(run, actor=twin)


def test_the_same_name_at_another_domain_is_somebody_else_once_an_admin_says_so(organization, asked, bob, alice):
    row = first_of(asked)
    Subscription.objects.filter(pk=row.pk).update(email="bob@contractor.example")
    with pytest.raises(ConcernsYou, match=r"bob@contractor.example has the same name before the @.*company admin"):
        decide.approve(asked, actor=bob)
    persons.link(bob, organization.profile, "1001", actor=alice)
    assert decide.approve(asked, actor=bob) == 2


def test_the_seat_of_a_restore_is_compared_by_id(world, alice, bob):
    """Against Miro: asked, approved, taken and asked back, and renamed in between."""
    world.first_download()
    candidate = world.candidates(1).get()
    member = candidate.subscription.external_id
    world.miro.change(member, email=bob.email)
    world.download()
    world.miro.change(member, email="b.married@northwind.example")
    world.download()
    request = request_reclaim(world.candidates(1), actor=alice, reason="True-up")
    assert request.removals.values_list(KT("evidence__email"), flat=True).get() != bob.email

    with pytest.raises(ConcernsYou):
        decide.approve(request, actor=bob)
    with pytest.raises(ConcernsYou):
        refuse_own_seat(seats_of(request.removals.all()), actor=bob, profile=world.profile)
    assert member not in world.inactive()
