"""A protected person stays protected when the address changes at the vendor. The tests use the sandbox."""

from __future__ import annotations

import pytest
from django.core import mail

from licensehub.audit.models import AuditEvent
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.errors import NotActionable
from subscriptions.models import (
    DownloadRun,
    Protection,
    Reclaim,
    ReclaimRequest,
    ReclaimRule,
    RemovalCandidate,
    Subscription,
)
from subscriptions.models.protection import count_people
from subscriptions.notifications.delivery import deliver_due
from subscriptions.reclaims.engine import reclaim_due
from subscriptions.rules.coverage import accept_loss
from subscriptions.rules.protections import ProtectionInput, create_protection, end_protection, protect_people
from subscriptions.sweep import notify

WISH = ProtectionInput("On parental leave", "Petra Meyer")


def rename(world, row: Subscription, email: str) -> None:
    world.sandbox.world.change_by_hand(row.external_id, {"email": email})


def rows(world, count: int) -> list[Subscription]:
    """The people of the longest idle candidates."""
    return [candidate.subscription for candidate in world.candidates(count)]


def verdict(row: Subscription) -> str:
    return Subscription.objects.select_related("evaluation").get(pk=row.pk).verdict


def protect(world, value: str, alice, kind: str = "person") -> Protection:
    [made] = create_protection(world.profile, kind, value, WISH, actor=alice).made
    return made


def test_a_renamed_person_is_no_candidate(world, alice):
    world.first_download()
    [row] = rows(world, 1)
    made = protect(world, row.email.upper(), alice)
    assert made.external_id == row.external_id
    rename(world, row, "pat.married@new-domain.example")

    world.download()

    assert verdict(row) == "protected"
    assert not RemovalCandidate.objects.open().filter(subscription=row).exists()
    assert count_people([made]) == {made.pk: 1}
    shown = Protection.objects.with_person().get()
    assert (shown.value, shown.email_now) == (row.email.lower(), "pat.married@new-domain.example")


def test_somebody_who_takes_the_former_address_is_covered_too(world, alice):
    world.first_download()
    one, other = rows(world, 2)
    made = protect(world, one.email, alice)
    rename(world, one, "pat.married@northwind.example")
    rename(world, other, one.email)

    world.download()

    assert (verdict(one), verdict(other)) == ("protected", "protected")
    assert count_people([made]) == {made.pk: 2}
    protect_people(world.profile, [other], WISH, actor=alice)  # one of their own
    end_protection(made, actor=alice)
    assert (verdict(one), verdict(other)) == ("candidate", "protected")


@pytest.mark.parametrize("protected", ["before the approval", "after it", "by a former address"])
def test_a_protected_person_who_is_renamed_after_the_approval_is_skipped(world, alice, bob, protected):
    """One of two approved people is protected, and is skipped. The other loses the seat."""
    world.first_download()
    decide.approve(request_reclaim(world.candidates(2), actor=alice), actor=bob)
    item, other = Reclaim.objects.order_by("pk")
    row = item.subscription
    if protected == "before the approval":
        protect(world, row.email, alice)
    rename(world, row, "pat.married@new-domain.example")
    if protected == "by a former address":
        world.download()
    if protected != "before the approval":
        assert protect(world, row.email, alice).external_id == row.external_id

    reclaim_due(world.profile)

    item.refresh_from_db()
    assert (item.state, item.removal.candidate.close_reason) == ("skipped", "protected")
    assert world.deactivated_by_us() == [other.subscription.external_id]


def test_a_protection_of_an_unknown_address_is_bound_at_the_download(world, alice):
    world.first_download()
    [row] = rows(world, 1)
    made = protect(world, "pat.unknown@northwind.example", alice)
    assert (made.external_id, count_people([made])) == ("", {made.pk: 0})
    rename(world, row, "Pat.Unknown@Northwind.example")
    world.download()

    made.refresh_from_db()
    assert (made.external_id, verdict(row)) == (row.external_id, "protected")
    event = AuditEvent.objects.get(action="protection.bound")
    assert (event.data["from"], event.data["to"]) == ("", row.external_id)
    rename(world, row, "pat.again@northwind.example")
    world.download()
    assert verdict(row) == "protected"
    assert AuditEvent.objects.filter(action="protection.bound").count() == 1


def test_the_protection_of_a_person_made_again_is_bound_to_the_new_id(world, alice):
    world.first_download()
    one, again = rows(world, 2)
    made = protect(world, one.email, alice)
    world.sandbox.world.change_by_hand(one.external_id, {"removed": True})
    rename(world, again, one.email)
    world.download()
    rename(world, again, "pat.new@northwind.example")
    world.download()

    made.refresh_from_db()
    assert (made.external_id, verdict(again)) == (again.external_id, "protected")


ODD = [
    ("Jörg@MÜNCHEN.example", "jörg@xn--mnchen-3ya.example", "münchen.example"),
    ("pat@xn--mnchen-3ya.example", "PAT@München.example", "xn--mnchen-3ya.example"),
]


@pytest.mark.parametrize(("email", "typed", "domain"), ODD)
def test_an_address_with_other_letters_is_covered_by_address_and_by_domain(world, alice, email, typed, domain):
    world.first_download()
    [row] = rows(world, 1)
    rename(world, row, email)
    world.download()
    made = protect(world, typed, alice)
    assert (verdict(row), count_people([made])) == ("protected", {made.pk: 1})
    Protection.objects.update(external_id="")  # by the address alone
    world.download()
    assert verdict(row) == "protected"
    end_protection(made, actor=alice)
    assert verdict(row) == "candidate"
    of_domain = protect(world, domain, alice, kind="domain")
    assert (verdict(row), count_people([of_domain])) == ("protected", {of_domain.pk: 1})
    rename(world, row, "pat@plain.example")
    world.download()
    assert verdict(row) == "candidate"


def test_without_an_address_a_person_is_protected_by_id(world, alice):
    world.first_download()
    one, other = rows(world, 2)
    rename(world, one, "")
    rename(world, other, "")
    world.download()

    effect = protect_people(world.profile, Subscription.objects.filter(pk=one.pk), WISH, actor=alice)

    assert [(made.value, made.external_id) for made in effect.made] == [("", one.external_id)]
    assert str(effect.made[0]) == f"member {one.external_id}"
    # Nobody else without an address is covered.
    assert (verdict(one), verdict(other)) == ("protected", "candidate")
    assert not Protection.objects.covering(Subscription.objects.get(pk=other.pk)).exists()
    world.download()
    assert (verdict(one), verdict(other)) == ("protected", "candidate")


# --- A run after which protections cover nobody any more --------------------------------------------------------------


@pytest.fixture
def moved(world, alice):
    """A protected domain, an automatic rule, and a download after the company's change of its domain."""
    world.first_download()
    ReclaimRule.objects.update(file_requests="automatic", batch_cap_people=4)
    domains = set(Subscription.objects.values_list("email", flat=True))
    for domain in {email.partition("@")[2].lower() for email in domains}:
        protect(world, domain, alice, kind="domain")
    protect(world, "nobody@northwind.example", alice)  # covered nobody before
    for row in Subscription.objects.all():
        rename(world, row, f"{row.email.partition('@')[0]}@new-domain.example")
    mail.outbox.clear()
    world.download()
    return world


def test_after_a_new_company_domain_pages_warn_and_nothing_is_filed(moved, alice, bob):
    lost = list(Protection.objects.lost())
    assert {one.kind for one in lost} == {"domain"} and len(lost) == Protection.objects.count() - 1
    assert all(one.covered for one in lost)
    assert AuditEvent.objects.filter(action="protection.lost").count() == len(lost)
    assert RemovalCandidate.objects.filter(state="ready").exists()
    assert not ReclaimRequest.objects.exists()

    notify()
    notify()
    assert deliver_due() == 1
    [sent] = mail.outbox
    assert sent.to == [alice.email] and lost[0].scope_label in sent.body
    moved.download()  # it is said once, and still nothing is filed
    notify()
    assert (deliver_due(), Protection.objects.lost().count()) == (0, len(lost))
    run = DownloadRun.objects.first()
    assert "cover nobody any more" in run.steps["request"]["left_out"]
    assert not ReclaimRequest.objects.exists()

    assert accept_loss(lost, actor=alice) == len(lost)
    with pytest.raises(NotActionable, match="seen already"):
        accept_loss(lost, actor=bob)
    assert AuditEvent.objects.filter(action="protection.loss_seen").count() == len(lost)
    moved.download()
    assert not Protection.objects.lost().exists()
    assert ReclaimRequest.objects.get().removals.count() == 4


def test_requests_are_filed_again_when_these_protections_end_or_cover_somebody(moved, alice):
    back, *others = Protection.objects.lost().order_by("covered", "pk")
    # As many as before, which is no sign that nothing has changed.
    for row in Subscription.objects.order_by("pk")[: back.covered]:
        rename(moved, row, f"pat{row.pk}@{back.value}")
    for other in others:
        end_protection(other, actor=alice)
    assert list(Protection.objects.lost()) == [back]
    moved.download()
    assert not Protection.objects.lost().exists()


def test_who_is_deactivated_is_still_covered_and_who_left_is_not(world, alice):
    world.first_download()
    one, other = rows(world, 2)
    off, left = protect(world, one.email, alice), protect(world, other.email, alice)
    world.sandbox.world.change_by_hand(one.external_id, {"active": False})
    world.sandbox.world.change_by_hand(other.external_id, {"removed": True})

    world.download()

    assert list(Protection.objects.lost()) == [left]
    left.refresh_from_db()
    assert (left.external_id, left.covered) == (other.external_id, 1)
    assert not AuditEvent.objects.filter(action="protection.bound").exists()
    # Let in again, the person is covered as before.
    world.sandbox.world.change_by_hand(one.external_id, {"active": True})
    world.download()
    assert verdict(one) == "protected"
    assert list(Protection.objects.in_force().filter(lost_at=None)) == [off]


def test_a_request_by_hand_stays_possible(moved, alice):
    assert request_reclaim(moved.candidates(2), actor=alice).removals.count() == 2
