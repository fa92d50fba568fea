"""Attacks on the sign-in, done: guessing from one place and from many, forged addresses, locking others out."""

from __future__ import annotations

import itertools
from io import StringIO

import pytest
from axes.models import AccessAttempt
from django.contrib.auth import hashers
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from licensehub.audit.models import AuditEvent
from licensehub.sign_in.passwords import password_checks
from tests.support.fixtures import person
from tests.support.web.pages import text_of
from tests.support.web.visitor import Visitor, password_of


@pytest.fixture(autouse=True)
def sign_in_settings(settings, db, tmp_path):
    settings.AXES_ENABLED = True
    settings.RUNTIME_DIR = tmp_path
    person("bob", "Approver")


@pytest.fixture
def hashes(monkeypatch) -> list[str]:
    """The passwords for which a hash was computed."""
    computed: list[str] = []

    class Counting(hashers.MD5PasswordHasher):
        def encode(self, password, salt):
            computed.append(password)
            return super().encode(password, salt)

    monkeypatch.setattr(hashers, "get_hashers", lambda: [Counting()])
    monkeypatch.setattr(hashers, "get_hashers_by_algorithm", lambda: {"md5": Counting()})
    return computed


def events(action: str) -> list[dict]:
    return [event.data for event in AuditEvent.objects.filter(action=action).order_by("sequence")]


def test_any_number_of_guesses_costs_five_hashes_and_the_right_password_comes_too_late(hashes, settings):
    stranger = Visitor()
    answers = [stranger.try_password("bob", f"guess {number}").status_code for number in range(60)]
    assert answers[:4] == [200] * 4 and set(answers[4:]) == {429}
    assert len(hashes) == settings.SIGN_IN_TRIES
    refused = stranger.sign_in("bob")
    assert refused.status_code == 429 and not stranger.is_in() and len(hashes) == settings.SIGN_IN_TRIES
    assert "For 15 minutes" in text_of(refused, status=429)
    german = text_of(stranger.try_password("bob", "x", **{"accept-language": "de"}), status=429)
    assert "15 Minuten" in german
    # A name that is no account gets the same answers, after as many hashes.
    hashes.clear()
    other = Visitor("198.51.100.7")
    assert [other.try_password("nobody", "x").status_code for _ in range(6)] == [*[200] * 4, 429, 429]
    assert len(hashes) == settings.SIGN_IN_TRIES


def test_a_forged_address_gives_no_more_tries(hashes, settings):
    """Control: with the leftmost address of X-Forwarded-For each of these tries would be the first one."""
    settings.SIGN_IN_TRIES_PER_ADDRESS = 8
    settings.PROXY_COUNT = 1
    for number in range(30):
        forged = f"192.0.2.{number}, 203.0.113.9"
        Visitor("10.0.0.1").try_password(f"nobody {number}", "x", **{"x-forwarded-for": forged})
    assert len(hashes) == 8
    # Without a proxy of ours, the stranger has written the header.
    settings.PROXY_COUNT = 0
    for number in range(30):
        Visitor("203.0.113.10").try_password(f"somebody {number}", "x", **{"x-forwarded-for": f"192.0.2.{number}"})
    assert len(hashes) == 16
    # A customer of an IPv6 provider has 2^64 addresses, which count as one.
    for number in range(30):
        Visitor(f"2001:db8::{number:x}").try_password(f"anybody {number}", "x")
    assert len(hashes) == 24


def test_many_addresses_have_no_more_tries_at_one_account(hashes, settings):
    for number in range(40):
        Visitor(f"198.51.100.{number}", agent=f"guesser {number}").try_password("bob", f"guess {number}")
    assert len(hashes) == settings.SIGN_IN_TRIES


def test_a_stranger_does_not_lock_the_owner_out(settings, time_machine):
    time_machine.move_to(timezone.now())
    owner = Visitor("10.1.4.22")
    owner.sign_in("bob")
    owner.client.post(reverse("admin:logout"))
    stranger = Visitor()
    for number in range(settings.SIGN_IN_TRIES + 3):
        stranger.try_password("bob", f"guess {number}")
    # In the browser in which the account was signed in before, the tries of others do not count.
    assert owner.sign_in("bob").status_code == 302 and owner.is_in()
    elsewhere = Visitor("10.1.4.23")
    assert elsewhere.sign_in("bob").status_code == 429
    # In any browser it ends by itself, although the stranger goes on.
    time_machine.shift(60 * (settings.SIGN_IN_PAUSE_MINUTES - 1))
    assert stranger.try_password("bob", "on and on").status_code == 429
    time_machine.shift(61)
    assert elsewhere.sign_in("bob").status_code == 302 and elsewhere.is_in()
    # The known browser has a limit, too: whoever steals its cookie may not guess on.
    thief = Visitor()
    thief.client.cookies = owner.client.cookies
    thief.client.cookies.pop("sessionid", None)
    answers = [thief.try_password("bob", f"guess {number}").status_code for number in range(7)]
    assert answers[-1] == 429


def test_somebody_with_an_account_does_not_reset_the_count_by_signing_in_between(hashes, settings):
    person("dave", "Auditor")
    insider = Visitor()
    for number in itertools.count():
        if insider.try_password("bob", f"guess {number}").status_code == 429:
            break
        insider.sign_in("dave")
        assert number < settings.SIGN_IN_TRIES
    assert sum(password.startswith("guess") for password in hashes) == settings.SIGN_IN_TRIES


def test_guessing_does_not_fill_the_audit(settings):
    stranger = Visitor()
    for number in range(40):
        stranger.try_password("bob", f"guess {number}")
        Visitor(f"198.51.100.{number}").try_password(f"a password typed into the field of the name {number}", "x")
    failed, locked = events("sign_in.failed"), events("sign_in.locked")
    assert [(one["times"], one["address"]) for one in failed] == [
        (1, "203.0.113.9"),
        (1, "198.51.100.0"),
        (10, "198.51.100.9"),
    ]
    assert [one["times"] for one in locked] == [1]
    assert "typed into" not in str([*AuditEvent.objects.values()])


def test_the_old_password_cannot_be_guessed_in_an_open_browser(hashes, settings):
    browser = Visitor()
    browser.sign_in("bob")
    hashes.clear()
    new = {"new_password1": "umbrella-lantern-quartz-9", "new_password2": "umbrella-lantern-quartz-9"}
    for number in range(12):
        browser.client.post(reverse("admin:password_change"), {"old_password": f"guess {number}", **new})
    # New passwords are compared, not hashed, while the old one is wrong.
    assert len(hashes) == settings.SIGN_IN_TRIES
    assert User.objects.get(username="bob").check_password(password_of("bob"))


def test_only_so_many_passwords_are_checked_at_once(hashes, settings, monkeypatch):
    settings.PASSWORD_CHECKS, settings.PASSWORD_CHECKS_WAITING = 1, 2
    monkeypatch.setattr(password_checks, "MAX_WAIT", 0.1)
    with password_checks.slot(known=False):
        answer = Visitor().sign_in("bob")
        assert "Very many people are signing in" in text_of(answer) and hashes == []
        # Who signed in here before does not wait for the guessers.
        with password_checks.slot(known=True):
            pass
    assert Visitor().sign_in("bob").status_code == 302


def test_the_time_of_the_answer_does_not_tell_the_name_of_the_emergency_account(hashes, settings):
    person("safe", "Company admin")
    settings.LOCAL_ACCOUNTS, settings.BREAK_GLASS_ACCOUNTS = False, ["safe"]
    for name in ("safe", "bob", "nobody"):
        hashes.clear()
        assert Visitor().try_password(name, "x").status_code == 200
        assert hashes == ["x"], name


def test_the_emergency_account_comes_in_while_a_stranger_goes_on_guessing(settings, time_machine):
    time_machine.move_to(timezone.now(), tick=False)
    person("safe", "Company admin")
    settings.LOCAL_ACCOUNTS, settings.BREAK_GLASS_ACCOUNTS = False, ["safe"]

    def guess() -> list[int]:
        return [Visitor(f"198.51.100.{n}").try_password("safe", "x").status_code for n in range(settings.SIGN_IN_TRIES)]

    guess()
    owner = Visitor("10.1.4.22")
    assert owner.sign_in("safe").status_code == 429
    call_command("unlock_account", "safe", stdout=StringIO())
    assert set(guess()) == {200}
    assert owner.sign_in("safe").status_code == 302 and owner.is_in()
    assert events("sign_in.unlocked") == [{"by": "unlock_account", "minutes": 10}]
    # Each address has its limit all the same, and after ten minutes the account has its own.
    one = Visitor()
    tries = [one.try_password("safe", "x").status_code for _ in range(settings.SIGN_IN_TRIES_PER_ADDRESS + 1)]
    assert set(tries[:-2]) == {200} and tries[-2:] == [429, 429]
    time_machine.shift(10 * 60)
    assert 429 in guess()
    with pytest.raises(CommandError, match="no account"):
        call_command("unlock_account", "nobody")


@pytest.mark.parametrize(
    "password",
    [
        "passwordpassword",
        "qwertyuiop1234",
        "bobnorthwind2026",
        "Northwind!Northwind",
        "licensehub-2026",
        "aaaaaaaaaaaaaaaa",
    ],
)
def test_a_weak_or_similar_password_is_refused_wherever_it_is_set(password, client, monkeypatch):
    from django.contrib.auth.password_validation import validate_password
    from django.core.exceptions import ValidationError

    bob = User.objects.get(username="bob")
    with pytest.raises(ValidationError):
        validate_password(password, bob)
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", password)
    with pytest.raises(CommandError):
        call_command("createsuperuser", "--noinput", "--username", "bob2", "--email", "bob@northwind.example")
    assert not User.objects.filter(username="bob2").exists()
    browser = Visitor()
    browser.sign_in("bob")
    form = {"old_password": password_of("bob"), "new_password1": password, "new_password2": password}
    browser.client.post(reverse("admin:password_change"), form)
    assert User.objects.get(username="bob").check_password(password_of("bob"))


def test_a_name_that_looks_like_a_known_browser_has_the_limit_of_its_address(hashes, settings):
    settings.SIGN_IN_TRIES_PER_ADDRESS = 8
    for number in range(30):
        Visitor("203.0.113.9").try_password(f"x{number}|browser:", "x")
    assert len(hashes) == 8


def test_nothing_that_was_typed_is_kept_with_the_count(settings):
    """Other forms than the sign-in check a password, too, and have the new one in another field."""
    settings.STEP_UP_MINUTES = 0
    bob = Visitor()
    bob.sign_in("bob")
    assert bob.is_in()
    typed = {"old_password": "a secret typo", "new_password1": "a new secret 17!", "new_password2": "a new secret 17!"}
    bob.client.post(reverse("admin:password_change"), typed)
    Visitor().try_password("bob", "a secret typo")
    rows = list(AccessAttempt.objects.values_list("get_data", "post_data"))
    assert rows and "secret" not in str(rows)
