"""Passkeys, recovery codes and confirmations in the hands of somebody else, with a device that really signs."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from django.contrib.auth.models import User
from django.db import connection
from django.urls import reverse

from licensehub.audit.models import AuditEvent
from licensehub.sign_in import step_up
from tests.support.people.organization import seen
from tests.support.web.pages import text_of
from tests.support.web.passkey_device import Device
from tests.support.web.visitor import Visitor

LOGIN = reverse("mfa_login_webauthn")


@pytest.fixture(autouse=True)
def sign_in_settings(settings, tmp_path):
    settings.MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = True  # as in the demo, where there is no TLS
    settings.AXES_ENABLED = True
    settings.RUNTIME_DIR = tmp_path


def challenge(visitor: Visitor) -> str:
    answer = visitor.client.get(LOGIN, headers={"X-Requested-With": "XMLHttpRequest"})
    return str(answer.json()["request_options"]["publicKey"]["challenge"])


def enter(visitor: Visitor, answer: dict[str, Any]) -> bool:
    """Whether somebody is signed in after this answer of a device."""
    assert visitor.client.post(LOGIN, {"credential": json.dumps(answer)}).status_code == 302
    return visitor.is_in()


def test_a_device_opens_its_own_account_once(bob):
    device = Device()
    device.register(bob)
    visitor, thief = Visitor(), Visitor("10.1.4.22")
    answer = device.answer(challenge(visitor), bob)
    assert enter(visitor, answer)
    challenge(thief)
    assert not enter(thief, answer), "the challenge of another browser"
    visitor.client.post(reverse("admin:logout"))
    assert not enter(visitor, answer), "a challenge counts once"
    challenge(visitor)
    assert not enter(visitor, answer), "and not for the next one"
    failed = AuditEvent.objects.filter(action="sign_in.failed").order_by("sequence")
    assert [row.data["method"] for row in failed] == ["webauthn"], "the 1st, the 10th, the 100th"


WRONG: dict[str, dict[str, str]] = {
    "another site": {"origin": "https://evil.example"},
    "a name below ours": {"origin": "https://pages.testserver"},
    "another port": {"origin": "http://testserver:8443"},
    "the host of another site": {"host": "evil.example"},
    "an answer for a registration": {"kind": "webauthn.create"},
}


@pytest.mark.parametrize("name", WRONG)
def test_an_answer_for_another_page_opens_nothing(bob, name):
    """Control: without `_is_our_page`, a page below our name can have its visitors sign in for somebody else."""
    device, visitor = Device(), Visitor()
    device.register(bob)
    assert not enter(visitor, device.answer(challenge(visitor), bob, **WRONG[name]))


def test_a_passkey_opens_no_other_account(alice, bob):
    device, visitor = Device(), Visitor()
    device.register(bob)
    Device().register(alice)
    assert not enter(visitor, device.answer(challenge(visitor), alice)), "the handle of another account"
    stranger = Device(id=device.id)
    assert not enter(visitor, stranger.answer(challenge(visitor), bob)), "the id of a passkey and another key"


def test_a_copy_of_a_passkey_is_noticed(bob):
    """Control: without `count`, both go on for ever."""
    device, visitor = Device(counts=True), Visitor()
    device.register(bob)
    copy = Device(counts=True, counter=device.counter, key=device.key, id=device.id)
    for _ in range(2):
        assert enter(visitor, device.answer(challenge(visitor), bob))
        visitor.client.post(reverse("admin:logout"))
    assert not enter(visitor, copy.answer(challenge(visitor), bob))
    assert "may have been copied" in text_of(visitor.client.get(reverse("admin:login")))
    silent = Device(key=device.key, id=device.id)
    assert not enter(visitor, silent.answer(challenge(visitor), bob)), "a counter does not end"
    assert enter(visitor, device.answer(challenge(visitor), bob))


ODD: list[object] = [
    [],
    "x",
    7,
    None,
    {},
    {"id": 1},
    {"response": 7},
    {"response": {"userHandle": 7}},
    {"rawId": "AA", "id": "AA", "type": "public-key", "response": {}},
]
PARTS = ("clientDataJSON", "authenticatorData", "signature", "userHandle")
VALUES: tuple[object, ...] = ("", "AA", "%%%", "\ud800", "W10", "e30", "bnVsbA", 7, None, [], {}, "A" * 100_000)


def test_no_odd_answer_is_an_error_of_ours(bob):
    """Control: with allauth's form, some of these are an error 500 of a page that anybody may send to."""
    device, visitor = Device(), Visitor()
    device.register(bob)
    for odd in ODD:
        challenge(visitor)
        assert not enter(visitor, odd)
    for part in PARTS:
        for value in VALUES:
            answer = device.answer(challenge(visitor), bob)
            answer["response"][part] = value
            assert visitor.client.post(LOGIN, {"credential": json.dumps(answer)}).status_code in (302, 400)
            assert not visitor.is_in()


# --- Recovery codes ---------------------------------------------------------------------------------------------------


def codes_of(user: User) -> list[str]:
    Device().register(user)
    return RecoveryCodes.activate(user).generate_codes()


def test_a_recovery_code_that_is_sent_twice_at_once_signs_in_once(real_transactions, bob):
    """Control on PostgreSQL: without the locks of the account and of its codes, several browsers come in."""
    [code, *_] = codes_of(bob)
    visitors = [Visitor(f"203.0.113.{number}") for number in range(6)]
    for visitor in visitors:
        visitor.sign_in("bob")
    together = Barrier(len(visitors))

    def use(visitor: Visitor) -> None:
        try:
            together.wait(timeout=20)
            visitor.client.post(reverse("mfa_authenticate"), {"code": code})
        finally:
            connection.close()

    with ThreadPoolExecutor(len(visitors)) as pool:
        list(pool.map(use, visitors))
    assert sum(visitor.is_in() for visitor in visitors) == 1
    assert AuditEvent.objects.filter(action="sign_in.recovery_code_used").count() == 1


def test_recovery_codes_are_not_guessed_from_many_addresses(bob, settings):
    """The tries are those of the account: neither another address nor another browser has new ones."""
    right = codes_of(bob)[0]
    answers = []
    for number in range(8):
        visitor = Visitor(f"203.0.{number}.7")
        visitor.sign_in("bob")
        answers.append(visitor.client.post(reverse("mfa_authenticate"), {"code": f"{number:08}"}).content.decode())
    assert sum("did not fit" in answer for answer in answers) <= settings.SIGN_IN_TRIES
    late = Visitor("203.0.99.7")
    late.sign_in("bob")
    late.client.post(reverse("mfa_authenticate"), {"code": right})
    assert not late.is_in()


# --- Confirmations ----------------------------------------------------------------------------------------------------


def test_a_confirmation_counts_in_its_own_browser(organization, alice, bob, time_machine):
    device = Device()
    device.register(bob)
    request = organization.ask(alice, count=2)
    address = reverse("admin:subscriptions_reclaimrequest_approve", args=[request.pk])
    mine, other = Visitor(), Visitor("10.1.4.22")
    for visitor in (mine, other):
        assert enter(visitor, device.answer(challenge(visitor), bob))
        session = visitor.client.session
        session[step_up.CONFIRMED] -= 301
        session.save()

    def asked(visitor: Visitor) -> str:
        page = visitor.client.post(address, seen(request))
        assert page.status_code == 403
        return str(page.context["js_data"]["request_options"]["publicKey"]["challenge"])

    answer = device.answer(asked(mine), bob)
    asked(other)
    other.client.post(address, {**seen(request), step_up.PASSKEY: json.dumps(answer)})
    request.refresh_from_db()
    assert request.state == "open", "the proof of another browser"
    mine.client.post(address, {**seen(request), "comment": "Looked at both", step_up.PASSKEY: json.dumps(answer)})
    request.refresh_from_db()
    assert request.state == "approved"
    assert other.client.post(address, seen(request)).status_code == 403, "this one has confirmed nothing"
