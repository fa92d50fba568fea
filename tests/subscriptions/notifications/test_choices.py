"""One mail a day, no mail, and a deputy for days away."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
import time_machine
from django.contrib.auth.models import Group, User
from django.urls import reverse
from django.utils import timezone

from integrations.models import IntegrationProfile
from subscriptions import sweep
from subscriptions.approvals import decide
from subscriptions.errors import NotActionable, Refused
from subscriptions.models import Delivery, NotificationKind, NotificationRecipient
from subscriptions.notifications import delivery
from subscriptions.notifications.choices import choices_of, choose
from subscriptions.notifications.deputies import deputies_of, end_deputy, name_deputy, possible_deputies
from tests.support.fixtures import actions, person
from tests.support.people.colleagues import NOON, Colleagues
from tests.support.people.organization import limited_to

OPENED, ENDING = NotificationKind.OPENED, NotificationKind.ENDING


def test_one_mail_a_day_on_working_days(colleagues: Colleagues, alice, bob):
    choose(bob, {OPENED: Delivery.DIGEST, ENDING: Delivery.DIGEST})
    with time_machine.travel(NOON, tick=False) as clock:
        first, second, decided = (colleagues.ask(alice) for _ in range(3))
        colleagues.minute()
        assert colleagues.server.mails == []

        clock.move_to(NOON + timedelta(hours=19))
        colleagues.minute()
        assert colleagues.server.mails == [], "it is 7 o'clock"

        clock.shift(timedelta(hours=1))
        decide.reject(decided, actor=bob, comment="No")
        assert colleagues.minute() == 1
        assert colleagues.minute() == 0
        assert colleagues.subjects(bob) == ["LicenseHub, Nov 27, 2026: 2 things to know"]
        for request in (first, second):
            assert f"2 seats wait for a decision ({request})" in colleagues.text(bob)
        assert str(decided) not in colleagues.text(bob)

        clock.move_to(NOON + timedelta(days=2))
        colleagues.minute()
        assert len(colleagues.server.mails) == 1, "it is Saturday"

        clock.move_to(NOON + timedelta(days=4, hours=1))
        colleagues.minute()
        clock.move_to(NOON + timedelta(days=4, hours=20))
        colleagues.minute()
        assert colleagues.text(bob).count(" ends ") == 2, "the end of both, in Tuesday's digest"
        assert len(colleagues.server.mails) == 2


def test_a_kind_that_a_person_switched_off_is_not_sent_to_this_person(colleagues: Colleagues, alice, bob):
    zoe = person("zoe", "Approver")
    assert choose(bob, {OPENED: Delivery.OFF})
    assert not choose(bob, {OPENED: Delivery.OFF})
    colleagues.ask(alice)
    colleagues.minute()
    assert colleagues.server.addresses() == [zoe.email]
    assert actions().count("notification.chosen") == 1

    sweep.notify()
    assert choose(bob, {OPENED: Delivery.SINGLE})
    sweep.notify()
    choose(bob, {OPENED: Delivery.OFF})
    assert delivery.deliver_due() == 0, "switched off before it was handed over"


def test_only_kinds_of_ones_own_role_can_be_chosen(bob, dave):
    assert list(choices_of(dave)) == []
    assert NotificationKind.UNDECIDABLE not in choices_of(bob)
    assert not choose(bob, {NotificationKind.UNDECIDABLE: Delivery.OFF})


def test_a_deputy_gets_the_mails_of_the_days_away(colleagues: Colleagues, alice, bob):
    zoe = person("zoe", "Approver")
    choose(zoe, {OPENED: Delivery.OFF, ENDING: Delivery.OFF})
    with time_machine.travel(NOON, tick=False) as clock:
        name_deputy(bob, zoe, starts=date(2026, 11, 26), ends=date(2026, 11, 27))
        request = colleagues.ask(alice)
        colleagues.minute()
        assert colleagues.server.addresses() == [zoe.email]
        assert "as the deputy of bob until Nov 27, 2026." in colleagues.text(zoe)
        assert NotificationRecipient.objects.get().instead_of == bob

        clock.move_to(NOON + timedelta(days=2))
        colleagues.minute()
        assert colleagues.server.addresses() == [zoe.email, bob.email], "who is back is told what still waits"
        assert decide.approve(request, actor=zoe) == 2, "the deputy decides in their own name"
    request.refresh_from_db()
    assert request.decided_by == zoe
    assert actions().count("deputy.named") == 1


def test_a_deputy_who_may_not_decide_this_request_gets_no_mail(colleagues: Colleagues, bob):
    """The deputy is the requester, then one of the request's people. The mail goes to the person who is away."""
    ada, zoe = person("ada", "Approver"), person("zoe", "Approver")
    ada.groups.add(Group.objects.get(name="License manager"))
    choose(zoe, {OPENED: Delivery.OFF})
    with time_machine.travel(NOON, tick=False):
        name_deputy(bob, ada, starts=date(2026, 11, 26), ends=date(2026, 12, 4))
        first = colleagues.ask(ada)
        colleagues.minute()
        assert colleagues.server.addresses() == [bob.email]

        decide.reject(first, actor=bob, comment="No")
        end_deputy(deputies_of(bob).get(), actor=bob)
        name_deputy(bob, zoe, starts=date(2026, 11, 26), ends=date(2026, 12, 4))
        request = colleagues.ask(ada)
        User.objects.filter(pk=zoe.pk).update(email=request.removals.first().evidence["email"])
        colleagues.minute()
        assert colleagues.server.addresses() == [bob.email, bob.email]


def test_a_deputy_of_other_days_or_who_was_ended_gets_nothing(colleagues: Colleagues, alice, bob):
    zoe = person("zoe", "Approver")
    choose(zoe, {OPENED: Delivery.OFF})
    with time_machine.travel(NOON, tick=False):
        for first_day in (date(2026, 11, 27), date(2026, 11, 26)):
            row = name_deputy(bob, zoe, starts=first_day, ends=date(2026, 12, 4))
            if first_day == timezone.localdate():
                end_deputy(row, actor=bob)
            request = colleagues.ask(alice)
            colleagues.minute()
            decide.reject(request, actor=bob, comment="No")
            deputies_of(bob).delete()
    assert colleagues.server.addresses() == [bob.email, bob.email]


def test_a_deputy_who_wants_it_at_once_gets_it_at_once(colleagues: Colleagues, alice, bob):
    """Also where the person who is away has one mail a day."""
    zoe = person("zoe", "Approver")
    choose(bob, {OPENED: Delivery.DIGEST})
    with time_machine.travel(NOON, tick=False):
        name_deputy(bob, zoe, starts=date(2026, 11, 26), ends=date(2026, 12, 4))
        colleagues.ask(alice)
        assert colleagues.minute() == 1
    assert colleagues.server.addresses() == [zoe.email]


def test_two_people_who_are_each_others_deputy_are_both_notified(colleagues: Colleagues, alice, bob):
    zoe = person("zoe", "Approver")
    with time_machine.travel(NOON, tick=False):
        for one, other in ((bob, zoe), (zoe, bob)):
            name_deputy(one, other, starts=date(2026, 11, 26), ends=date(2026, 12, 4))
        colleagues.ask(alice)
        colleagues.minute()
    assert sorted(colleagues.server.addresses()) == [bob.email, zoe.email]


def test_a_deputy_without_the_right_or_with_wrong_days_is_refused(db, alice, bob):
    zoe = person("zoe", "Approver")
    today = timezone.localdate()
    far = today + timedelta(days=9)
    for deputy in (bob, alice):
        with pytest.raises(Refused, match="Choose a colleague who may decide"):
            name_deputy(bob, deputy, starts=today, ends=far)
    with pytest.raises(Refused, match="before the first day"):
        name_deputy(bob, zoe, starts=far, ends=today)
    with pytest.raises(Refused, match="over already"):
        name_deputy(bob, zoe, starts=today - timedelta(days=9), ends=today - timedelta(days=2))
    row = name_deputy(bob, zoe, starts=today, ends=far)
    with pytest.raises(Refused, match="zoe is your deputy from"):
        name_deputy(bob, zoe, starts=far, ends=far + timedelta(days=3))
    with pytest.raises(NotActionable):
        end_deputy(row, actor=zoe)
    end_deputy(row, actor=bob)
    with pytest.raises(NotActionable):
        end_deputy(row, actor=bob)
    assert [action for action in actions() if action.startswith("deputy.")] == ["deputy.named", "deputy.ended"]


def test_a_deputy_may_decide_in_all_profiles_of_the_person(colleagues: Colleagues, bob):
    """Else the mails of the other profiles wait for somebody who is away. Control: without `covering` zoe is named."""
    profile = colleagues.organization.profile
    other = IntegrationProfile.objects.create(name="Elsewhere", kind=profile.kind, organization_id="77")
    zoe, yan = person("zoe", "Approver"), person("yan", "Approver")
    limited_to(zoe, profile)
    days = {"starts": date(2026, 11, 26), "ends": date(2026, 12, 4)}
    with time_machine.travel(NOON, tick=False):
        with pytest.raises(Refused, match="requests of all your profiles"):
            name_deputy(bob, zoe, **days)
        assert list(possible_deputies(bob)) == [yan]
        limited_to(bob, profile, other)
        with pytest.raises(Refused, match="requests of all your profiles"):
            name_deputy(bob, zoe, **days)
        limited_to(bob, profile)
        assert list(possible_deputies(bob)) == [yan, zoe] and name_deputy(bob, zoe, **days).deputy == zoe


def test_no_mail_is_lost_when_the_profiles_of_a_deputy_change(colleagues: Colleagues, alice, bob, client):
    """It comes to the person, whose page says so."""
    other = IntegrationProfile.objects.create(
        name="Elsewhere", kind=colleagues.organization.profile.kind, organization_id="77"
    )
    zoe = person("zoe", "Approver")
    choose(zoe, {OPENED: Delivery.OFF})
    client.force_login(bob)
    with time_machine.travel(NOON, tick=False):
        name_deputy(bob, zoe, starts=date(2026, 11, 26), ends=date(2026, 12, 4))
        page = reverse("admin:subscriptions_notificationchoice_changelist")
        assert "May no longer decide in all your profiles" not in client.get(page).content.decode()
        limited_to(zoe, other)
        assert "May no longer decide in all your profiles" in client.get(page).content.decode()
        colleagues.ask(alice)
        colleagues.minute()
        assert colleagues.server.addresses() == [bob.email]
