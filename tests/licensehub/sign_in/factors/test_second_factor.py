"""The second factor: who needs one, how it is set up, used and lost, and that nothing goes around it."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value, yield_hotp_counters_from_time
from django.contrib.auth.models import Group, Permission, User
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from licensehub.audit.models import AuditEvent
from licensehub.sign_in import step_up
from licensehub.sign_in.factors import second_factor
from licensehub.sign_in.factors.fernet import fernet
from tests.support.fixtures import person
from tests.support.people.organization import seen
from tests.support.web.pages import text_of
from tests.support.web.visitor import Visitor, password_of

INDEX = "admin:index"


@pytest.fixture(autouse=True)
def clock(settings, db, tmp_path, time_machine):
    settings.AXES_ENABLED = True
    settings.RUNTIME_DIR = tmp_path
    settings.SECOND_FACTOR_ROLES = ["Approver"]
    time_machine.move_to(timezone.now(), tick=False)
    return time_machine


@pytest.fixture(autouse=True)
def _new_codes(clock):
    """allauth keeps used codes in the memory of the process."""
    from django.core.cache import cache

    cache.clear()


def code_of(secret: str) -> str:
    return format_hotp_value(hotp_value(secret, next(iter(yield_hotp_counters_from_time()))))


def set_up(visitor: Visitor) -> tuple[str, list[str]]:
    """Add an app. Returns its secret and the recovery codes."""
    page = text_of(visitor.client.get(reverse("mfa_activate_totp")))
    [secret] = re.findall(r'lh-sign-in-key">(\w+)<', page)
    answer = visitor.client.post(reverse("mfa_activate_totp"), {"code": code_of(secret)})
    assert answer["Location"] == reverse("mfa_view_recovery_codes")
    codes = re.findall(r"<code>(\d+)</code>", text_of(visitor.client.get(answer["Location"])))
    return secret, codes


def kept(*actions: str) -> list[tuple[str, object]]:
    rows = AuditEvent.objects.filter(action__in=[f"sign_in.{name}" for name in actions]).order_by("sequence")
    return [(row.action.removeprefix("sign_in."), row.data.get("method")) for row in rows]


def test_a_decider_sets_a_factor_up_first_and_needs_it_from_then_on(bob, clock):
    visitor = Visitor()
    assert visitor.sign_in("bob").status_code == 302
    for name in (INDEX, "admin:subscriptions_reclaimrequest_changelist", "security"):
        assert visitor.client.get(reverse(name))["Location"] == reverse("factors")
    assert "Add a passkey" in text_of(visitor.client.get(reverse("factors")))
    secret, codes = set_up(visitor)
    assert len(codes) == 10 and visitor.is_in()
    # Shown once, and stored encrypted.
    assert codes[0] not in text_of(visitor.client.get(reverse("mfa_view_recovery_codes")))
    stored = Authenticator.objects.get(user=bob, type="totp").data["secret"]
    assert secret not in stored and fernet().decrypt(stored.encode()).decode() == secret

    clock.shift(60)
    other = Visitor("10.1.4.22")
    answer = other.sign_in("bob")
    assert answer["Location"] == reverse("mfa_authenticate") and not other.is_in()
    page = text_of(other.client.get(answer["Location"]))
    assert "The password was right." in page
    code = code_of(secret)
    assert other.client.post(answer["Location"], {"code": code})["Location"] == reverse(INDEX) and other.is_in()
    # A code counts once, also in another process, and also half a minute later.
    third = Visitor("10.1.4.23")
    third.sign_in("bob")
    from django.core.cache import cache

    cache.clear()
    assert "A code counts once." in text_of(third.client.post(reverse("mfa_authenticate"), {"code": code}))
    clock.shift(30)
    assert not third.client.post(reverse("mfa_authenticate"), {"code": code}).has_header("Location")
    # A recovery code stands in for it, once.
    assert third.client.post(reverse("mfa_authenticate"), {"code": codes[0]}).status_code == 302 and third.is_in()
    fourth = Visitor("10.1.4.24")
    fourth.sign_in("bob")
    assert fourth.client.post(reverse("mfa_authenticate"), {"code": codes[0]}).status_code == 200
    assert kept("done", "factor_added", "recovery_codes_made", "recovery_code_used") == [
        ("done", "password"),
        ("factor_added", "totp"),
        ("recovery_codes_made", "recovery_codes"),
        ("done", "password + totp"),
        ("recovery_code_used", None),
        ("done", "password + recovery_codes"),
    ]


def test_codes_cannot_be_guessed(bob, clock, settings):
    visitor = Visitor()
    visitor.sign_in("bob")
    secret, _codes = set_up(visitor)
    clock.shift(60)
    thief = Visitor("203.0.113.66")
    thief.sign_in("bob")
    wrong = [thief.client.post(reverse("mfa_authenticate"), {"code": f"{number:06}"}) for number in range(6)]
    # The last of five wrong codes begins the pause.
    assert [answer.status_code for answer in wrong] == [200, 200, 200, 200, 429, 200]
    assert "did not fit" in text_of(wrong[0]) and "Too many wrong tries" in text_of(wrong[5])
    # Also the right one comes too late now.
    assert not thief.client.post(reverse("mfa_authenticate"), {"code": code_of(secret)}).has_header("Location")
    assert not thief.is_in()


def test_the_right_code_sent_twice_is_no_guess(bob, clock):
    visitor = Visitor()
    visitor.sign_in("bob")
    secret, _codes = set_up(visitor)
    clock.shift(60)
    first, second = Visitor("10.1.4.22"), Visitor("10.1.4.23")
    first.sign_in("bob")
    second.sign_in("bob")
    assert first.client.post(reverse("mfa_authenticate"), {"code": code_of(secret)}).status_code == 302
    for _ in range(6):
        again = second.client.post(reverse("mfa_authenticate"), {"code": code_of(secret)})
        assert "A code counts once." in text_of(again)
    assert not AuditEvent.objects.filter(action__in=["sign_in.failed", "sign_in.locked"]).exists()
    clock.shift(30)
    assert second.client.post(reverse("mfa_authenticate"), {"code": code_of(secret)}).status_code == 302


def test_codes_that_are_sent_at_the_same_time_are_no_more_tries(real_transactions, bob, clock, settings):
    """Control: without the lock of the account's row, several of them are checked before the first one is counted."""
    visitor = Visitor()
    visitor.sign_in("bob")
    set_up(visitor)
    clock.shift(60)
    thieves = [Visitor(f"203.0.113.{number}") for number in range(12)]
    for thief in thieves:
        thief.sign_in("bob")

    def guess(number: int) -> bool:
        """Return whether the code was checked."""
        try:
            answer = thieves[number].client.post(reverse("mfa_authenticate"), {"code": f"{number:06}"})
            return "Too many wrong tries" not in answer.content.decode()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(thieves)) as pool:
        checked = list(pool.map(guess, range(len(thieves))))
    assert sum(checked) == settings.SIGN_IN_TRIES


def test_nothing_goes_around_the_factor(bob, carol, clock, settings):
    visitor = Visitor()
    visitor.sign_in("bob")
    set_up(visitor)
    # A session that a password alone has made, in whatever way.
    from django.test import Client

    bypass = Client()
    bypass.force_login(bob)
    answer = bypass.get(reverse(INDEX))
    assert answer["Location"] == reverse("admin:login") and "_auth_user_id" not in bypass.session
    # The first step of a sign-in opens nothing.
    half = Visitor("10.1.4.22")
    half.sign_in("bob")
    for name in (INDEX, "security", "factors", "mfa_activate_totp", "mfa_add_webauthn", "mfa_view_recovery_codes"):
        assert reverse("admin:login") in half.client.get(reverse(name))["Location"], name
    # Roles that need none have none, and may have one.
    reader = Visitor("10.1.4.23")
    assert reader.sign_in("carol").status_code == 302 and reader.is_in()
    # A superuser has all roles.
    User.objects.create_superuser("root", "root@northwind.example", password_of("root"))
    root = Visitor("10.1.4.24")
    root.sign_in("root")
    assert root.client.get(reverse(INDEX))["Location"] == reverse("factors")
    # Who gets the role is signed out everywhere, and sets it up at the next sign-in.
    assert not second_factor.is_needed(carol)


@pytest.mark.parametrize("by", ["role", "single permission"])
@pytest.mark.parametrize("right", ["decide_reclaimrequest", "change_connection", "change_user"])
def test_whoever_may_decide_connect_or_administer_needs_a_factor(by, right, db):
    """Control: by the names of roles alone, each of these accounts comes in with a password."""
    clerk = person("clerk", None)
    permission = Permission.objects.get(codename=right)
    role = Group.objects.create(name="Second signature")
    clerk.groups.add(role)
    visitor = Visitor()
    visitor.sign_in("clerk")
    assert visitor.is_in()
    if by == "single permission":
        clerk.user_permissions.add(permission)
    else:
        role.permissions.add(permission)
    # The session from before is over; the next one begins with the factor.
    assert visitor.client.get(reverse(INDEX))["Location"].startswith(reverse("admin:login"))
    if by == "role":
        assert kept("sessions_ended") == [("sessions_ended", None)]
    visitor.sign_in("clerk")
    assert visitor.client.get(reverse(INDEX))["Location"] == reverse("factors")


def test_the_last_factor_stays_where_the_role_needs_one(bob, carol, clock):
    visitor = Visitor()
    visitor.sign_in("bob")
    set_up(visitor)
    page = visitor.client.post(reverse("mfa_deactivate_totp"))
    assert "one has to stay" in text_of(page) and Authenticator.objects.filter(user=bob, type="totp").exists()
    free = Visitor("10.1.4.23")
    free.sign_in("carol")
    set_up(free)
    assert free.client.post(reverse("mfa_deactivate_totp")).status_code == 302
    assert not Authenticator.objects.filter(user=carol).exists() and ("factor_removed", "totp") in kept(
        "factor_removed"
    )


def test_an_act_is_confirmed_with_the_factor_and_not_with_the_password(organization, alice, bob, clock):
    request = organization.ask(alice, count=2)
    address = reverse("admin:subscriptions_reclaimrequest_approve", args=[request.pk])
    visitor = Visitor()
    visitor.sign_in("bob")
    secret, _codes = set_up(visitor)
    clock.shift(301)
    form = {"comment": "Looked at both", **seen(request)}
    asked = text_of(visitor.client.post(address, form), status=403)
    assert 'name="confirm_code"' in asked and 'name="confirm_password"' not in asked
    for wrong in ({step_up.PASSWORD: password_of("bob")}, {step_up.CODE: "000000"}):
        visitor.client.post(address, {**form, **wrong})
        request.refresh_from_db()
        assert request.state == "open"
    visitor.client.post(address, {**form, step_up.CODE: code_of(secret)})
    request.refresh_from_db()
    assert request.state == "approved" and kept("confirmed") == [("confirmed", "totp")]
    # The pages that show secrets ask, too, and open after it.
    clock.shift(301)
    page = reverse("mfa_generate_recovery_codes")
    assert "After this the page opens." in text_of(visitor.client.get(page), status=403)
    answer = visitor.client.post(page, {step_up.CODE: code_of(secret), step_up.PAGE: "1"})
    assert answer["Location"] == page and "Make new codes" in text_of(visitor.client.get(page))


def test_secrets_are_encrypted_again_with_a_new_key(bob, clock, settings):
    from cryptography.fernet import Fernet

    visitor = Visitor()
    visitor.sign_in("bob")
    secret, _codes = set_up(visitor)
    former = settings.CREDENTIAL_KEYS
    settings.CREDENTIAL_KEYS = [Fernet.generate_key().decode(), *former]
    assert second_factor.encrypt_again() == 2
    settings.CREDENTIAL_KEYS = settings.CREDENTIAL_KEYS[:1]
    clock.shift(60)
    other = Visitor("10.1.4.22")
    other.sign_in("bob")
    assert other.client.post(reverse("mfa_authenticate"), {"code": code_of(secret)}).status_code == 302


def test_the_security_page_shows_ways_sessions_and_lately_and_ends_sessions(bob, clock, settings):
    settings.SECOND_FACTOR_ROLES = []
    here, phone = Visitor("10.1.4.22"), Visitor("10.8.0.117", agent="Mozilla/5.0 (iPhone; x) Safari/604.1")
    here.sign_in("bob")
    phone.sign_in("bob")
    clock.shift(14 * 60)
    page = text_of(here.client.get(reverse("security")))
    for word in ("Chrome on macOS", "This browser", "Safari on iPhone", "10.8.0.117", "14 minutes ago", "Signed in"):
        assert word in page, word
    [key] = re.findall(r'name="session" value="(\d+)"', page)
    stranger = Visitor("10.1.4.99")
    person("dave3", "Auditor")
    stranger.sign_in("dave3")
    stranger.client.post(reverse("end_sessions"), {"session": key})
    assert phone.is_in()
    here.client.post(reverse("end_sessions"), {"session": key})
    assert not phone.is_in() and here.is_in()
    phone.sign_in("bob")
    here.client.post(reverse("end_sessions"))
    assert not phone.is_in() and here.is_in() and stranger.is_in()
    german = text_of(here.client.get(reverse("security"), headers={"accept-language": "de"}))
    assert "Dieser Browser" in german


def test_the_security_page_speaks_of_a_deputy_only_to_those_who_can_name_one(bob, settings):
    settings.SECOND_FACTOR_ROLES = []
    for name in ("bob", person("dave4", "Auditor").username):
        visitor = Visitor()
        visitor.sign_in(name)
        assert ("Your deputy" in text_of(visitor.client.get(reverse("security")))) == (name == "bob"), name
