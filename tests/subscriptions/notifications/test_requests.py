"""The users who may decide a request get a mail when it opens, before its end, and when it has expired."""

from __future__ import annotations

from datetime import timedelta

import time_machine
from django.contrib.auth.models import User

from subscriptions.approvals import closing, decide
from subscriptions.approvals.request import file_automatically
from subscriptions.models import NotificationMail, NotificationRecipient, ReclaimRequest, ReclaimRule
from tests.support.fixtures import actions, person
from tests.support.people.colleagues import NOON, Colleagues


def test_four_requests_in_a_row_expire(colleagues: Colleagues, bob, alice):
    """Four automatic requests expire, and each one has its mails."""
    ReclaimRule.objects.update(file_requests="automatic")
    with time_machine.travel(NOON, tick=False) as clock:
        for _ in range(4):
            assert file_automatically(colleagues.organization.profile)
            for _ in range(7):
                colleagues.minute()
                clock.shift(timedelta(days=1))

    assert set(ReclaimRequest.objects.values_list("state", flat=True)) == {"expired"}
    first = colleagues.subjects(bob)[:3]
    assert first == [
        "Northwind: 8 seats wait for a decision (R-0001)".replace("R-0001", str(ReclaimRequest.objects.last())),
        *first[1:],
    ]
    assert "ends Tuesday, Dec 1, 12:00 UTC (" in first[1]
    assert "expired, nobody decided on 8 seats" in first[2]
    assert len(colleagues.subjects(bob)) == 12
    assert "number 4 in a row of Northwind that expired" in colleagues.text(bob)
    assert colleagues.subjects(alice) == []
    assert len(closing.expired_in_a_row(colleagues.organization.profile)) == 4


def test_who_lost_the_role_hears_no_more_of_the_own_request(colleagues: Colleagues, alice, bob):
    erin = person("erin", "License manager")
    with time_machine.travel(NOON, tick=False) as clock:
        colleagues.organization.ask(alice, count=1)
        colleagues.organization.ask(erin, count=1)
        alice.groups.clear()
        clock.shift(timedelta(days=8))
        colleagues.minute()
        colleagues.minute()
    assert set(ReclaimRequest.objects.values_list("state", flat=True)) == {"expired"}
    assert colleagues.subjects(alice) == []
    assert len(colleagues.subjects(erin)) == 1 and "expired" in colleagues.subjects(erin)[0]


def test_the_mail_says_what_is_asked_and_names_nobody_of_the_people(colleagues: Colleagues, alice, bob, carol, dave):
    with time_machine.travel(NOON, tick=False):
        request = colleagues.ask(alice)
        assert colleagues.minute() == 1
        assert colleagues.minute() == 0

    [mail] = colleagues.server.mails
    text = colleagues.text(bob)
    assert mail["To"] == bob.email
    assert mail["Auto-Submitted"] == "auto-generated"
    assert f"alice requested on Nov 26, 2026 to take back 2 seats at Northwind ({request})." in text
    assert "Please decide by Tuesday, Dec 1, 12:00 UTC (3 working days)." in text
    assert "If nobody decides by then, it expires: everybody keeps the seat." in text
    assert f"http://localhost:8000/admin/subscriptions/reclaimrequest/{request.pk}/change/" in text
    assert "You get this because you may decide this request." in text
    for removal in request.removals.all():
        assert removal.evidence["email"] not in text and removal.evidence["name"] not in text
    assert actions()[-2:] == ["notification.sending", "notification.sent"]


def test_users_who_may_not_decide_this_request_get_no_mail(colleagues: Colleagues, alice, bob):
    """They are the requester, one of its people, and a former approver."""
    admin = person("ada", "Company admin")
    request = colleagues.ask(admin)
    email = request.removals.first().evidence["email"]
    User.objects.filter(pk=bob.pk).update(email=email.upper())
    person("eve", "Approver")
    User.objects.filter(username="eve").update(is_active=False)
    zoe = person("zoe", "Approver")
    colleagues.minute()

    assert colleagues.server.addresses() == [zoe.email]


def test_a_decided_request_has_no_more_mails(colleagues: Colleagues, alice, bob):
    from subscriptions import sweep
    from subscriptions.notifications import delivery

    request = colleagues.ask(alice)
    sweep.notify()
    decide.reject(request, actor=bob, comment="No")

    assert delivery.deliver_due() == 0
    assert colleagues.states() == ["canceled"]
    assert colleagues.server.mails == []


def test_a_user_who_gets_the_right_while_it_waits_is_notified_then(colleagues: Colleagues, alice, bob):
    colleagues.ask(alice)
    colleagues.minute()
    eve = person("eve", "Approver")
    colleagues.minute()
    colleagues.minute()

    assert colleagues.server.addresses() == [bob.email, eve.email]
    assert NotificationRecipient.objects.count() == NotificationMail.objects.count() == 2


def test_a_request_that_can_not_be_approved_now_says_so(colleagues: Colleagues, alice, bob):
    colleagues.ask(alice)
    colleagues.organization.profile.state = "paused"
    colleagues.organization.profile.save()
    colleagues.minute()

    assert "It cannot be approved now: “Northwind” is paused." in colleagues.text(bob)


def test_the_last_approver_is_deactivated(colleagues: Colleagues, alice, bob):
    """Nobody is left who may decide. The company admins get a mail at once, and a new approver gets one later."""
    ada = person("ada", "Company admin")
    request = colleagues.ask(ada)
    colleagues.minute()
    User.objects.filter(pk=bob.pk).update(is_active=False)
    colleagues.minute()
    colleagues.minute()

    [subject] = colleagues.subjects(ada)
    assert subject == f"Northwind: nobody may decide {request} (2 seats)"
    assert "Give a colleague the role Approver under Users" in colleagues.text(ada)

    eve = person("eve", "Approver")
    colleagues.minute()
    assert "wait for a decision" in colleagues.subjects(eve)[0]
    User.objects.filter(pk=eve.pk).update(email="")
    colleagues.minute()
    assert len(colleagues.subjects(ada)) == 2, "it happened again"
