"""My notifications: one's own choices and deputy, and what the request and the overview say about who was notified."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from subscriptions.approvals import closing
from subscriptions.models import Deputy, NotificationChoice, ReclaimRequest
from subscriptions.notifications.deputies import deputies_of
from tests.support.fixtures import person
from tests.support.people.colleagues import Colleagues
from tests.support.people.organization import request_url, said
from tests.support.web.pages import text_of

PAGE = reverse("admin:subscriptions_notificationchoice_changelist")
SAVE = reverse("admin:subscriptions_notificationchoice_save")
DEPUTY = reverse("admin:subscriptions_notificationchoice_deputy")


def test_a_person_chooses_for_themselves_only(db, as_user, bob, dave):
    zoe, client = person("zoe", "Approver"), as_user(bob)
    page = text_of(client.get(PAGE))
    assert "Mails go to bob@northwind.example." in page
    assert "Nobody may decide a request" not in page, "that is for people who manage accounts"

    answer = client.post(SAVE, {"opened": "digest", "ending": "nonsense", "undecidable": "off", "user": zoe.pk})
    assert said(answer) == "Your choice is saved."
    assert list(NotificationChoice.objects.values_list("user", "kind", "delivery")) == [(bob.pk, "opened", "digest")]
    assert client.get(SAVE).status_code == 405
    assert "Your role has no mails" in text_of(as_user(dave).get(PAGE))

    User.objects.update(email="")
    assert "Your account has no e-mail address" in text_of(client.get(PAGE))


def test_a_deputy_is_named_and_ended_by_the_person(db, as_user, bob):
    zoe, client, today = person("zoe", "Approver"), as_user(bob), timezone.localdate()
    days = {"deputy": zoe.pk, "starts": today.isoformat(), "ends": (today + timedelta(days=3)).isoformat()}
    for wrong, words in (
        ({"ends": "soon"}, "Enter the day as year-month-day"),
        ({"deputy": bob.pk}, "Choose a colleague who may decide requests"),
        ({"ends": (today - timedelta(days=1)).isoformat()}, "The last day is before the first day."),
    ):
        page = text_of(client.post(DEPUTY, {**days, **wrong}))
        assert words in page
        assert f'value="{days["starts"]}"' in page, "what was entered stays"

    assert "zoe is your deputy from" in said(client.post(DEPUTY, days))
    assert "You are the deputy of" in text_of(as_user(zoe).get(PAGE))
    end = reverse("admin:subscriptions_notificationchoice_end_deputy", args=[Deputy.objects.get().pk])
    assert as_user(zoe).post(end).status_code == 404
    assert "zoe is no longer your deputy." in said(client.post(end))
    assert not deputies_of(bob).exists()


def test_the_request_and_the_overview_say_who_was_notified(colleagues: Colleagues, as_user, alice, bob, carol):
    client = as_user(carol)
    for _ in range(2):
        request = colleagues.ask(alice)
        assert "No mail went out about this request yet." in text_of(client.get(request_url("change", request)))
        colleagues.minute()
        ReclaimRequest.objects.filter(pk=request.pk).update(expires_at=timezone.now())
        closing.expire_requests()
        colleagues.minute()
    page = text_of(client.get(request_url("change", request)))
    assert "request waits: mailed " in page and "request expired: mailed " in page

    first = client.get(reverse("admin:index")).context["waiting"][0]
    assert first["title"] == "2 requests in a row expired without a decision"
    assert first["text"] == "Mails went to alice, bob"


def test_nobody_who_may_decide_is_left(colleagues: Colleagues, as_user, alice, bob, carol):
    """The last approver is deactivated, or has no address. The requester cannot decide."""
    client, request = as_user(carol), colleagues.ask(alice)
    alarm = "Nobody is left who may decide this request"
    assert alarm not in text_of(client.get(request_url("change", request)))
    for change in ({"is_active": False}, {"is_active": True, "email": ""}):
        User.objects.filter(pk=bob.pk).update(**change)
        assert alarm in text_of(client.get(request_url("change", request)))
        first = client.get(reverse("admin:index")).context["waiting"][0]
        assert first["title"] == "1 request that nobody may decide"
        assert first["link"] == request_url("change", request)


@pytest.mark.parametrize("role", ["Approver", "Operator"])
def test_everybody_finds_the_page_in_the_menus(db, as_user, role):
    page = text_of(as_user(person("otto", role)).get(reverse("admin:index")))
    assert page.count(f'href="{PAGE}"') == 2, "in the sidebar, and in the menu of the user"
    assert reverse("admin:password_change") in page
