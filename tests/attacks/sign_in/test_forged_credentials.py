"""Somebody who writes rows as the web processes do makes a way in as an approver, and decides with it.

Control of all: with `credentials.unsigned` giving an empty list, each of these decisions goes through.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from allauth.socialaccount.models import SocialAccount
from cryptography.fernet import Fernet
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection, transaction
from django.urls import reverse

from licensehub.audit.models import AuditEvent
from licensehub.audit.triggers import create, drop
from licensehub.sign_in.factors import credentials, second_factor
from subscriptions.approvals import decide
from subscriptions.approvals.request import raise_cap
from subscriptions.errors import Refused
from subscriptions.models import ReclaimRequest
from tests.support.attacks import attack
from tests.support.fixtures import person
from tests.support.people.organization import Organization
from tests.support.web.visitor import Visitor, password_of

pytestmark = pytest.mark.usefixtures("real_credentials")

EVIL = "a password that the attacker knows"
NOT_SET = "that LicenseHub did not set"
PASSKEY = {"name": "Key", "credential": {"id": "AAAA", "response": {"attestationObject": "BBBB"}}}


@pytest.fixture(autouse=True)
def sign_in_settings(settings, tmp_path):
    settings.AXES_ENABLED = True
    settings.RUNTIME_DIR = tmp_path
    settings.SECOND_FACTOR_ROLES = []


def confirm(user: User) -> str:
    said = StringIO()
    call_command("confirm_account", user.username, stdout=said)
    return said.getvalue()


def write_password(bob: User, mallory: User) -> None:
    attack("UPDATE auth_user SET password = %s WHERE id = %s", make_password(EVIL), bob.pk)


def write_former_password(bob: User, mallory: User) -> None:
    """It was signed once, and leaked later."""
    former = User.objects.get(pk=bob.pk).password
    bob.set_password("a new password of bob")
    bob.save()
    call_command("confirm_account", bob.username, stdout=StringIO())
    attack("UPDATE auth_user SET password = %s WHERE id = %s", former, bob.pk)


def copy_app(bob: User, mallory: User) -> None:
    """The app of another account: its secret is encrypted with the right key."""
    app = TOTP.activate(mallory, "JBSWY3DPEHPK3PXP").instance
    Authenticator.objects.bulk_create([Authenticator(user=bob, type="totp", data=app.data)])


def write_passkey(bob: User, mallory: User) -> None:
    Authenticator.objects.bulk_create([Authenticator(user=bob, type="webauthn", data=PASSKEY)])


def write_recovery_codes(bob: User, mallory: User) -> None:
    data = {"seed": "not encrypted at all", "used_mask": 0}
    Authenticator.objects.bulk_create([Authenticator(user=bob, type="recovery_codes", data=data)])


def write_link(bob: User, mallory: User) -> None:
    SocialAccount.objects.bulk_create([SocialAccount(user=bob, provider="company", uid="mallory", extra_data={})])


def write_removed_passkey(bob: User, mallory: User) -> None:
    row = Authenticator.objects.create(user=bob, type="webauthn", data=PASSKEY)
    row.delete()
    write_passkey(bob, mallory)


ATTACKS = (
    *(write_password, write_former_password, copy_app, write_passkey),
    *(write_recovery_codes, write_link, write_removed_passkey),
)


@pytest.mark.parametrize("attack_on", ATTACKS)
def test_a_way_in_that_somebody_wrote_does_not_decide(
    organization: Organization, alice, bob, attack_on: Callable[[User, User], None]
):
    confirm(bob)
    asked, mallory = organization.ask(alice), person("mallory", "Auditor")
    attack_on(bob, mallory)
    with pytest.raises(Refused, match=NOT_SET):
        decide.approve(ReclaimRequest.objects.get(pk=asked.pk), actor=User.objects.get(pk=bob.pk))
    with pytest.raises(Refused, match=NOT_SET):
        decide.reject(ReclaimRequest.objects.get(pk=asked.pk), actor=User.objects.get(pk=bob.pk), comment="No")
    with pytest.raises(Refused, match=NOT_SET):
        raise_cap(ReclaimRequest.objects.get(pk=asked.pk), actor=User.objects.get(pk=bob.pk), reason="True-up")


def test_codes_that_were_seen_and_used_and_a_renamed_passkey_are_the_same(bob):
    codes = RecoveryCodes.activate(bob)
    passkey = Authenticator.objects.create(user=bob, type="webauthn", data=PASSKEY)
    confirm(bob)
    codes.mark_as_viewed()
    assert codes.validate_code(codes.get_unused_codes()[0])
    passkey.data = {**PASSKEY, "name": "Key at home"}
    passkey.save()
    assert credentials.unsigned(bob) == []
    codes.instance.data["seed"] = RecoveryCodes.activate(person("mallory", "Auditor")).instance.data["seed"]
    codes.instance.save()
    assert credentials.unsigned(bob) == ["recovery_codes"]


def test_a_used_recovery_code_stays_used_whatever_its_row_says(bob):
    """Control: without `_mark_used_codes` the second browser gets in."""
    codes = RecoveryCodes.activate(bob)
    TOTP.activate(bob, "JBSWY3DPEHPK3PXP")
    confirm(bob)
    first, second = codes.get_unused_codes()[:2]

    def comes_in(code: str) -> bool:
        visitor = Visitor()
        visitor.sign_in("bob")
        visitor.client.post(reverse("mfa_authenticate"), {"code": code})
        return visitor.is_in()

    assert comes_in(first) and not comes_in(first)
    row = codes.instance
    for wrong in (0, 0b100):  # none was used, or another one
        data = json.dumps({**row.data, "used_mask": wrong})
        attack("UPDATE mfa_authenticator SET data = %s WHERE id = %s", data, row.pk)
        assert not comes_in(first), wrong
    assert comes_in(second)
    assert credentials.unsigned(bob) == []


def test_a_way_in_that_was_used_and_removed_still_counts(organization: Organization, alice, bob):
    confirm(bob)
    asked, former = organization.ask(alice), User.objects.get(pk=bob.pk).password
    write_password(bob, alice)
    assert Visitor().try_password("bob", EVIL).status_code == 302
    attack("UPDATE auth_user SET password = %s WHERE id = %s", former, bob.pk)
    assert credentials.unsigned(User.objects.get(pk=bob.pk)) == []
    with pytest.raises(Refused, match=NOT_SET):
        decide.approve(ReclaimRequest.objects.get(pk=asked.pk), actor=bob)
    assert "this way in: password" in confirm(bob)
    assert decide.approve(ReclaimRequest.objects.get(pk=asked.pk), actor=bob) == 3


def test_an_event_of_another_place_or_without_a_signature_says_nothing(organization: Organization, alice, bob):
    """The attacker adds an event about the own hash; as the web user one can insert events."""
    confirm(bob)
    asked = organization.ask(alice)
    write_password(bob, alice)
    newest: dict[str, Any] = dict(AuditEvent.objects.order_by("-sequence").values()[0])
    known = credentials.of_password(User.objects.get(pk=bob.pk))
    about = {"action": "sign_in.password_changed", "target_type": "auth.user", "target_id": bob.pk}
    AuditEvent.objects.create(**{**newest, **about, "sequence": newest["sequence"] + 1, "data": {"credential": known}})
    assert credentials.unsigned(User.objects.get(pk=bob.pk)) == ["password"]
    with pytest.raises(Refused, match=NOT_SET):
        decide.approve(ReclaimRequest.objects.get(pk=asked.pk), actor=bob)
    drop(connection)
    AuditEvent.objects.filter(pk=newest["sequence"] + 1).delete()
    create(connection)


def test_what_a_person_sets_on_the_pages_decides(organization: Organization, alice, bob, settings):
    """Password, a new one, a stronger hash at the sign-in, an app with its codes, other keys."""
    asked = [organization.ask(alice, count=1) for _ in range(2)]
    confirm(bob)
    visitor = Visitor()
    visitor.sign_in("bob")
    words = {"old_password": password_of("bob"), "new_password1": EVIL, "new_password2": EVIL}
    assert visitor.client.post(reverse("admin:password_change"), words).status_code == 302
    assert credentials.doubts(User.objects.get(pk=bob.pk)) == []
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher", *settings.PASSWORD_HASHERS]
    Visitor("10.1.4.22").try_password("bob", EVIL)
    assert User.objects.get(pk=bob.pk).password.startswith("pbkdf2_sha256$")
    assert AuditEvent.objects.filter(action="sign_in.password_rehashed").count() == 1
    with transaction.atomic():
        TOTP.activate(bob, "JBSWY3DPEHPK3PXP")
    assert credentials.doubts(User.objects.get(pk=bob.pk)) == []
    assert decide.approve(ReclaimRequest.objects.get(pk=asked[0].pk), actor=User.objects.get(pk=bob.pk)) == 1

    settings.CREDENTIAL_KEYS = [Fernet.generate_key().decode(), *settings.CREDENTIAL_KEYS]
    second_factor.encrypt_again()
    assert decide.approve(ReclaimRequest.objects.get(pk=asked[1].pk), actor=User.objects.get(pk=bob.pk)) == 1
