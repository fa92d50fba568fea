"""The mails about API tokens: each once, also if the mail server was away, or the token was ended at once."""

from __future__ import annotations

from datetime import timedelta

from django.contrib.auth.models import Group
from django.utils import timezone

from licensehub.audit.models import AuditEvent
from licensehub.sign_in.models import ApiToken
from licensehub.sign_in.tokens import tokens
from subscriptions.notifications.accounts import token_mail
from tests.support.fixtures import person
from tests.support.people.colleagues import NOON, Colleagues
from tests.support.servers import mail_server


def make(user, *, days: int = 90) -> ApiToken:
    role = user.groups.get()
    token, _text = tokens.make(user, name="nightly", role=role, days=days, factor_at=timezone.now(), actor=user)
    return token


def test_the_person_learns_of_a_new_token_also_if_it_was_ended_at_once(colleagues: Colleagues, bob):
    """Control: with `told_at` set when it is made, nobody learns of it."""
    token = make(bob)
    tokens.end(token, actor=bob)
    assert token_mail.anything_to_tell()
    colleagues.server.mode = mail_server.BUSY
    assert token_mail.tell() == 0 and token_mail.anything_to_tell()
    colleagues.server.mode = mail_server.ACCEPT
    assert token_mail.tell() == 1 and not token_mail.anything_to_tell() and token_mail.tell() == 0
    assert colleagues.subjects(bob)[0].strip() == "LicenseHub: a new API token “nightly” for bob"
    text = colleagues.text(bob)
    for fact in (
        "bob made the API token",
        f"lh_{token.prefix}",
        "Role: Approver",
        "all profiles",
        "decides for 12",
    ):
        assert fact in text, fact
    assert "end it at once" in text and "/admin/" in text
    kept = AuditEvent.objects.get(action="api_token.mailed")
    assert (kept.target_label, kept.data["days"], kept.data["to"]) == ("bob", 0, [bob.email])


def test_a_warning_comes_14_and_3_days_before_the_end_once_each(colleagues: Colleagues, bob, time_machine):
    time_machine.move_to(NOON, tick=False)
    make(bob, days=30)
    short = make(bob, days=7)
    assert token_mail.tell() == 2
    told = []
    for day in range(31):
        time_machine.move_to(NOON + timedelta(days=day, minutes=1), tick=False)
        for _ in range(2):
            before = len(colleagues.server.mails)
            token_mail.tell()
            told += [(day, str(mail["Subject"])) for mail in colleagues.server.mails[before:]]
    assert [(day, subject.rpartition(" in ")[2]) for day, subject in told] == [
        (4, "3 days"),
        (16, "14 days"),
        (27, "3 days"),
    ]
    assert ApiToken.objects.get(pk=short.pk).warned_days == 3
    assert "From then on, programs that use it are refused." in colleagues.text(bob)


def test_whoever_made_the_token_of_a_program_is_told_too_and_an_ended_one_warns_nobody(colleagues: Colleagues, bob):
    zoe, role = person("zoe", "Company admin"), Group.objects.get(name="Auditor")
    robot = tokens.make_service_account(username="robot", email="robots@northwind.example", role=role, actor=zoe)
    token, _text = tokens.make(robot, name="report", role=role, days=7, actor=zoe, holder=bob)
    assert token_mail.tell() == 1
    assert sorted(colleagues.server.addresses()) == ["robots@northwind.example", zoe.email]
    ApiToken.objects.filter(pk=token.pk).update(expires_at=timezone.now() + timedelta(days=2), ended_at=timezone.now())
    assert not token_mail.anything_to_tell()
