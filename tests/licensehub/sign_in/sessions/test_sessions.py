"""Sessions: how long a person stays signed in, where, and what ends it."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, User
from django.contrib.sessions.models import Session
from django.urls import reverse
from django.utils import timezone

from licensehub.audit.models import AuditEvent
from licensehub.sign_in.models import AccountSession
from licensehub.sign_in.sessions.store import stored_key
from tests.support.fixtures import person
from tests.support.people.organization import seen
from tests.support.web.pages import text_of
from tests.support.web.visitor import IPHONE, Visitor, password_of

PAGE = "admin:subscriptions_reclaimrequest_changelist"


@pytest.fixture(autouse=True)
def noon(time_machine, db, settings):
    settings.AXES_ENABLED = True
    time_machine.move_to(timezone.now(), tick=False)
    return time_machine


def signed_in(username: str = "bob", **browser: str) -> Visitor:
    visitor = Visitor(**browser)
    assert visitor.sign_in(username).status_code == 302
    return visitor


def why_ended() -> list[str]:
    return [one.data["why"] for one in AuditEvent.objects.filter(action="sign_in.sessions_ended").order_by("sequence")]


def test_a_session_ends_after_half_an_hour_of_nothing_and_leads_back_to_the_same_page(bob, noon):
    visitor, page = signed_in(), f"{reverse(PAGE)}?state__exact=open"
    for _ in range(3):
        noon.shift(29 * 60)
        assert visitor.client.get(page).status_code == 200
    # A page that asks by itself is no activity, and is not replaced while something is typed into it.
    noon.shift(20 * 60)
    assert visitor.client.get(page, headers={"x-background": "1"}).status_code == 200
    noon.shift(11 * 60)
    assert visitor.client.get(page, headers={"x-background": "1"}).status_code == 204
    answer = visitor.client.get(page)
    assert answer.status_code == 302 and answer["Location"].startswith(reverse("admin:login"))
    asked = text_of(visitor.client.get(answer["Location"]))
    assert "You were signed out after 30 minutes without activity." in asked
    back = visitor.client.post(answer["Location"], {"username": "bob", "password": password_of("bob")})
    assert back["Location"] == page and visitor.client.get(page).status_code == 200
    assert why_ended() == ["no activity"] and AccountSession.objects.count() == 1
    # A part of a page loads the whole page, which then leads to the sign-in.
    noon.shift(31 * 60)
    part = visitor.client.get(page, headers={"hx-request": "true"})
    assert part.status_code == 204 and part["HX-Refresh"] == "true" and not visitor.is_in()


def test_a_session_lasts_eight_hours_at_most(bob, noon):
    visitor = signed_in()
    for _ in range(16):
        noon.shift(29 * 60)
        assert visitor.is_in()
    noon.shift(17 * 60)
    answer = visitor.client.get(reverse(PAGE))
    assert "8 hours at most" in text_of(visitor.client.get(answer["Location"])) and why_ended() == ["longest time"]


def test_what_was_typed_is_kept_for_the_same_account_and_sent_on_by_hand(organization, alice, bob, noon):
    request = organization.ask(alice, count=2)
    address = reverse("admin:subscriptions_reclaimrequest_approve", args=[request.pk])
    page = reverse("admin:subscriptions_reclaimrequest_change", args=[request.pk])
    form = {"comment": "Looked at both", **seen(request)}
    visitor = signed_in()
    noon.shift(31 * 60)
    answer = visitor.client.post(address, form, headers={"referer": f"http://testserver{page}"})
    assert "what you entered is kept" in text_of(visitor.client.get(answer["Location"]))
    answer = visitor.client.post(answer["Location"], {"username": "bob", "password": password_of("bob")})
    offered = text_of(visitor.client.get(answer["Location"]))
    assert f'action="{address}"' in offered and 'name="comment" value="Looked at both"' in offered
    request.refresh_from_db()
    assert request.state == "open"
    assert visitor.client.get(answer["Location"])["Location"] == reverse("admin:index")  # once
    visitor.client.post(address, form)
    request.refresh_from_db()
    assert request.state == "approved"
    # Somebody else at the same browser does not get it, and a secret is not kept at all.
    noon.shift(31 * 60)
    visitor.client.post(address, form)
    person("dave2", "Approver")
    visitor.try_password("dave2", password_of("dave2"))
    assert visitor.client.get(reverse("go_on"))["Location"] == reverse("admin:index")
    noon.shift(31 * 60)
    secret = visitor.client.post(reverse("admin:integrations_connection_credentials", args=[1]), {"client_secret": "s"})
    assert "kept" not in text_of(visitor.client.get(secret["Location"])) and "client_secret" not in str(
        dict(visitor.client.session)
    )


@pytest.mark.parametrize("change", ["role", "role of the other side", "right", "password", "off", "superuser"])
def test_all_sessions_end_with_the_password_the_roles_and_the_account(bob, change):
    one, other = signed_in(), signed_in(agent=IPHONE)
    group = Group.objects.get(name="Auditor")
    {
        "role": lambda: bob.groups.add(group),
        "role of the other side": lambda: group.user_set.add(bob),
        "right": lambda: bob.user_permissions.add(group.permissions.first()),
        "password": lambda: (bob.set_password("lantern umbrella quartz"), bob.save()),
        "off": lambda: (setattr(bob, "is_active", False), bob.save()),
        "superuser": lambda: (setattr(bob, "is_superuser", True), bob.save(update_fields=["is_superuser"])),
    }[change]()
    assert not one.is_in() and not other.is_in()
    assert Session.objects.count() == AccountSession.objects.count() == 0
    [event] = AuditEvent.objects.filter(action="sign_in.sessions_ended")
    assert event.data["sessions"] == 2 and event.target_id == bob.pk


def test_a_new_hash_of_the_same_password_and_a_new_name_end_nothing(bob, settings):
    visitor = signed_in()
    bob.first_name = "Bo"
    bob.save()
    assert visitor.is_in()
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.ScryptPasswordHasher", *settings.PASSWORD_HASHERS]
    again = signed_in(agent=IPHONE)
    assert User.objects.get(pk=bob.pk).password.startswith("scrypt") and again.is_in()


def test_who_changes_the_own_password_stays_in_this_browser_only(bob):
    here, elsewhere = signed_in(), signed_in(agent=IPHONE)
    new = "lantern umbrella quartz"
    form = {"old_password": password_of("bob"), "new_password1": new, "new_password2": new}
    assert here.client.post(reverse("admin:password_change"), form).status_code == 302
    assert here.is_in() and not elsewhere.is_in()
    assert [row.session_key for row in AccountSession.objects.all()] == [stored_key(here.client.session.session_key)]
    assert AuditEvent.objects.filter(action="sign_in.password_changed", actor_name="bob").count() == 1


def test_sign_in_and_sign_out_are_events_with_method_and_address(bob):
    visitor = signed_in(address="10.1.4.22")
    visitor.client.post(reverse("admin:logout"))
    kept = [(e.action, e.actor_name, e.data) for e in AuditEvent.objects.order_by("sequence")]
    assert kept == [
        ("sign_in.done", "bob", {"method": "password", "address": "10.1.4.22"}),
        ("sign_in.signed_out", "bob", {"address": "10.1.4.22"}),
    ]
    assert not AccountSession.objects.exists()
