"""Attacks on tokens of the API: guessed, stolen, over, sent in the wrong place, and used to be two persons at once."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth import authenticate
from django.contrib.auth.models import Group, User
from django.db import connection, transaction
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from licensehub.api.access.counters import counters
from licensehub.audit.actions import Action
from licensehub.audit.log import by_means_of, record
from licensehub.audit.models import AuditEvent
from licensehub.sign_in import step_up
from licensehub.sign_in.factors import second_factor
from licensehub.sign_in.models import ApiToken
from licensehub.sign_in.sessions.generations import end_sessions
from licensehub.sign_in.sessions.sessions import SEEN
from licensehub.sign_in.tokens import tokens
from subscriptions.accounts import rights
from subscriptions.accounts.own_seat import accounts_of
from subscriptions.approvals import decide
from subscriptions.errors import OwnRequest, Refused
from subscriptions.models import CandidateState, DecidingRight, ReclaimRequest, RemovalCandidate
from tests.support.attacks import attack
from tests.support.fixtures import person
from tests.support.people.api import Program, problem
from tests.support.people.organization import seen
from tests.support.web.pages import text_of
from tests.support.web.visitor import Visitor, password_of


def me(sent: Program) -> int:
    return sent.call("GET", "/me").status_code


def test_only_the_header_counts(program, alice):
    """A session, a token in the address or as a password, and half a token say nobody."""
    sent = program(alice)
    assert sent.get("/me")["account"] == "alice"
    session = Client()
    session.force_login(alice)
    assert problem(session.get("/api/v1/me"), 401) == "no_token"
    assert not session.get("/api/v1/me").cookies
    # Nor does a call keep a session alive. Control: with the cookies of the call, it does.
    visitor = Visitor()
    visitor.sign_in("alice")
    noted = visitor.session()[SEEN]
    with time_machine.travel(timezone.now() + timedelta(minutes=5)):
        assert problem(visitor.client.get("/api/v1/me"), 401) == "no_token"
        assert visitor.session()[SEEN] == noted and visitor.is_in() and visitor.session()[SEEN] > noted
    assert problem(Client().get(f"/api/v1/me?token={sent.text}&access_token={sent.text}"), 401) == "no_token"
    assert problem(Client().get("/api/v1/me", headers={"Authorization": f"Basic {sent.text}"}), 401) == "no_token"
    for wrong in (sent.text[:-1], sent.text + "a", sent.text[:16] + "A" * 43, "lh_", "ü"):
        assert problem(Program(wrong, sent.token).call("GET", "/me"), 401) == "wrong_token", wrong
    # Nothing of the secret is stored, and the page shows the beginning only.
    stored = ApiToken.objects.get()
    assert sent.text.partition(stored.prefix)[2] not in str(stored.__dict__)
    assert stored.used_from == "203.0.113.7"


def test_a_token_ends_with_what_ends_the_sessions(program, alice, bob):
    """Password, role, rights of a role, state in SQL, all sessions by a worker. Nothing brings it back."""
    manager = Group.objects.get(name="License manager")
    changes = {
        "password": (lambda user: (user.set_password("another long password"), user.save()), "ended"),
        "role": (lambda user: user.groups.add(Group.objects.get(name="Auditor")), "ended"),
        "rights": (lambda user: manager.permissions.remove(manager.permissions.first()), "ended"),
        "state": (lambda user: User.objects.filter(pk=user.pk).update(is_active=False), "account_changed"),
        "sessions": (end_sessions, "account_changed"),
    }
    for name, (change, code) in changes.items():
        user = person(f"user-{name}", "License manager")
        sent = program(user)
        assert me(sent) == 200
        change(user)
        assert problem(sent.call("GET", "/me"), 401) == f"token_{code}", name
        User.objects.filter(pk=user.pk).update(is_active=True)
        assert problem(sent.call("GET", "/me"), 401) == "token_ended", name
        event = AuditEvent.objects.get(action="api_token.ended", target_id=user.pk)
        assert "changed" in event.data["why"] and event.actor_id is None
    refused = AuditEvent.objects.filter(action="api_token.refused")
    assert refused.count() == len(changes) and refused.first().data["address"] == "203.0.113.7"
    # Django stores the same password with a newer hash: nothing has changed.
    alice.set_password("the same password as ever")
    alice.save()
    sent = program(alice)
    User.objects.get(pk=alice.pk).save(update_fields=["password"])
    assert me(sent) == 200


def test_a_token_that_is_over_is_refused_and_recorded_once(program, alice):
    ended, short = program(alice), program(alice, days=1)
    assert tokens.end(ended.token, actor=alice) and not tokens.end(ended.token, actor=alice)
    for _ in range(3):
        assert problem(ended.call("GET", "/me"), 401) == "token_ended"
    with time_machine.travel(timezone.now() + timedelta(days=1, minutes=1)):
        assert problem(short.call("GET", "/me"), 401) == "token_expired"
    events = AuditEvent.objects.filter(action="api_token.refused").order_by("sequence")
    assert [event.data["why"] for event in events] == ["ended", "expired"]
    with pytest.raises(tokens.CannotMake):
        program(alice, days=366)


def test_a_token_may_never_do_more_than_account_and_role(program, alice, carol):
    sent = program(alice, "Auditor")
    rights_of_it = set(sent.get("/me")["rights"])
    assert rights_of_it and not {name for name in rights_of_it if ".view_" not in name}
    # The auditor reads the audit; alice does not, so her token does not.
    assert (
        "audit.view_auditevent" not in rights_of_it and "audit.view_auditevent" in program(carol).get("/me")["rights"]
    )
    with pytest.raises(tokens.CannotMake, match="does not have this role"):
        program(alice, "Approver")
    with pytest.raises(tokens.CannotMake, match="makes their own"):
        program(alice, actor=carol)
    root = User.objects.create_superuser("root", "root@northwind.example", "x")
    assert set(program(root, "Auditor").get("/me")["rights"]) == set(program(carol).get("/me")["rights"])
    # The role loses a right: the token loses it at its next call.
    Group.objects.get(name="Auditor").permissions.clear()
    assert program(carol).get("/me")["rights"] == []


def test_guesses_are_stopped_before_they_cost_a_query(program, alice):
    """60 unknown tokens, then none is looked up; a broken program with an ended token stops itself only.

    Programs that came from the same address before go on: a company may be behind it. Control: without `remember`.
    """
    sent, broken = program(alice), program(alice)
    tokens.end(broken.token, actor=alice)
    codes = [broken.call("GET", "/me").status_code for _ in range(12)]
    assert codes == [401] * 10 + [429] * 2 and me(sent) == 200
    guess = Program(f"lh_{'a' * 12}_{'B' * 43}", sent.token)
    assert {me(guess) for _ in range(60)} == {401}
    with CaptureQueriesContext(connection) as asked:
        response = guess.call("GET", "/me")
    assert problem(response, 429) == "too_many_wrong_tokens" and 0 < int(response["Retry-After"]) <= 60
    assert len(asked) == 0
    assert me(sent) == 200 and me(program(alice)) == 429


def test_calls_of_one_token_are_limited(program, alice, bob, settings):
    settings.API_CALLS_PER_MINUTE = 3
    one, other = program(alice), program(bob)
    answers = [one.call("GET", "/me") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[0]["RateLimit-Policy"] == '"token";q=3;w=60' and answers[0]["RateLimit"].startswith('"token";r=2;t=')
    assert problem(answers[3], 429) == "too_many" and int(answers[3]["Retry-After"]) <= 60
    assert me(other) == 200


def test_a_program_and_its_holder_are_one_person(organization, alice, bob, erin):
    """Bob holds a token of the service account that requests. So Bob is no second person, and Erin is.

    Control: without `holders` in `same_person_as`, Bob approves.
    """
    robot = tokens.make_service_account(
        username="robot", email="robots@northwind.example", role=alice.groups.get(), actor=alice
    )
    tokens.make(robot, name="x", role=robot.groups.get(), actor=bob)
    request = organization.ask(robot, count=1)
    # The whole person: who asks with an own account what their program would approve is refused as well.
    assert set(accounts_of(bob, organization.profile)) == {bob.pk, robot.pk}
    with pytest.raises(OwnRequest, match="You made this request"):
        decide.approve(request, actor=bob, **seen(request))
    assert decide.approve(request, actor=erin, **seen(request)) == 1


def test_who_gets_the_token_of_a_program_does_not_approve_for_it(organization, alice, bob, erin):
    """An admin makes it, and Bob's script uses it. Control: without `holder`, Bob approves what his script requests."""
    zoe = person("zoe", "Company admin")
    role = alice.groups.get()
    robot = tokens.make_service_account(username="robot", email="robots@northwind.example", role=role, actor=zoe)
    _token, text = tokens.make(robot, name="x", role=role, actor=zoe, holder=bob)
    ready = RemovalCandidate.objects.filter(state=CandidateState.READY).first()
    answer = Program(text, _token).post("/requests", {"candidates": [ready.pk]})
    request = ReclaimRequest.objects.get(pk=answer.json()["request"])
    with pytest.raises(OwnRequest, match="You made this request"):
        decide.approve(request, actor=bob, **seen(request))
    assert decide.approve(request, actor=erin, **seen(request)) == 1


def test_a_token_that_somebody_wrote_into_the_database_is_none(organization, program, alice, bob):
    """A row in the name of an approver, another secret for a row of theirs, and one that was ended.

    Control: without `_made` in `find`, each of the three reads as Bob; with `factor_at` of the row in place of
    `proved_at`, each approves, too.
    """
    request = organization.ask(alice, count=1)
    address, given = f"/requests/{request.pk}/approve", {**seen(request), "comment": "Read it"}
    real = program(bob)
    text = f"lh_{'m' * 12}_{'M' * 43}"
    columns = [str(field.column) for field in ApiToken._meta.concrete_fields if field.name != "id"]
    chosen = {"prefix": "%s", "digest": "%s"}
    values = ", ".join(chosen.get(column, column) for column in columns)
    attack(
        f"INSERT INTO sign_in_apitoken ({', '.join(columns)})"  # noqa: S608 - names of our own columns
        f" SELECT {values} FROM sign_in_apitoken WHERE id = %s",
        text.split("_")[1],
        tokens.digest_of(text),
        real.token.pk,
    )
    forged = Program(text, real.token)
    assert me(real) == 200
    assert problem(forged.post(address, given), 401) == "wrong_token"

    other = Program(f"lh_{real.token.prefix}_{'M' * 43}", real.token)
    attack("UPDATE sign_in_apitoken SET digest = %s WHERE id = %s", tokens.digest_of(other.text), real.token.pk)
    assert problem(other.post(address, given), 401) == "wrong_token"

    attack("UPDATE sign_in_apitoken SET digest = %s WHERE id = %s", real.token.digest, real.token.pk)
    tokens.end(real.token, actor=bob)
    attack("UPDATE sign_in_apitoken SET ended_at = NULL WHERE id = %s", real.token.pk)
    assert problem(real.post(address, given), 401) == "wrong_token"
    assert program(bob).post(address, given).status_code == 200


def test_a_token_rests_when_its_owner_does_not_come_in_by_the_sign_on(program, alice, bob):
    """A person who was removed at the provider signs in no more. Control: without `_waits_for_the_provider`, 200."""
    alice.set_unusable_password()
    alice.last_login = timezone.now()
    alice.save()
    SocialAccount.objects.create(user=alice, provider="oidc", uid="1")
    role = bob.groups.get()
    robot = tokens.make_service_account(username="robot", email="robots@northwind.example", role=role, actor=bob)
    sent, by_password, by_robot = program(alice), program(bob), program(robot, actor=bob, factor_at=None)
    assert me(sent) == 200
    with time_machine.travel(timezone.now() + timedelta(days=tokens.SIGN_ON_DAYS, minutes=1)):
        assert problem(sent.call("GET", "/me"), 401) == "token_sign_on"
        assert me(by_password) == me(by_robot) == 200
        User.objects.filter(pk=alice.pk).update(last_login=timezone.now())
        assert me(sent) == 200


def test_a_service_account_never_decides(organization, alice, bob):
    """Not even with the role, staff status, and a right that is in effect."""
    robot = tokens.make_service_account(
        username="robot", email="robots@northwind.example", role=bob.groups.get(), actor=alice
    )
    User.objects.filter(pk=robot.pk).update(is_staff=True)
    DecidingRight.objects.create(user=robot, since=timezone.now() - timedelta(days=99))
    robot.refresh_from_db()
    request = organization.ask(alice, count=1)
    assert not rights.deciders().filter(pk=robot.pk).exists() and rights.deciders().filter(pk=bob.pk).exists()
    with pytest.raises(Refused):
        decide.approve(request, actor=robot, **seen(request))


def test_a_service_account_signs_in_nowhere(alice, bob):
    """Also not with staff status and a password, which an admin can give it. Control: without the refusal, 200."""
    robot = tokens.make_service_account(
        username="robot", email="robots@northwind.example", role=alice.groups.get(), actor=alice
    )
    password = "a long password of robot"
    robot.is_staff = True
    robot.set_password(password)
    robot.save()
    request = RequestFactory().post(reverse("admin:login"))
    assert authenticate(request, username="robot", password=password) is None
    assert authenticate(request, username="bob", password="a long password of bob") == bob
    for user, status in ((robot, 302), (bob, 200)):
        client = Client()
        client.force_login(user)
        assert client.get(reverse("admin:index")).status_code == status, user


def test_an_account_that_needs_a_factor_gets_no_token_without_one(program, bob, settings):
    settings.SECOND_FACTOR_ROLES = ["Approver"]
    assert second_factor.is_needed(bob)
    with pytest.raises(tokens.CannotMake, match="second factor"):
        program(bob, factor_at=None)
    sent = program(bob)
    assert me(sent) == 200
    # A token from before the role needed a factor.
    ApiToken.objects.update(factor_at=None)
    assert problem(sent.call("GET", "/me"), 401) == "token_second_factor"


def test_pages_make_show_and_end_tokens(alice, bob, settings):
    """With a fresh confirmation; the token is in that one answer only, and is not stored by the browser."""
    zoe = person("zoe", "Company admin")
    visitor = Visitor()
    visitor.sign_in("alice")
    role = alice.groups.get().pk
    form = {"name": "nightly report", "role": role, "days": 30}
    # The sign-in was a second ago, and is no proof for this. Control: without EACH_TIME the token is made.
    asked = visitor.client.post(reverse("api_tokens"), form)
    shown = text_of(asked, status=403)
    assert "Confirm that it is you" in shown and not ApiToken.objects.exists()
    assert "For this, LicenseHub asks each time." in shown and "minutes ago" not in shown
    own = {step_up.PASSWORD: password_of("alice")}
    answer = visitor.client.post(reverse("api_tokens"), {**form, **own})
    text = answer.content.decode().partition('value="lh_')[2].partition('"')[0]
    assert "no-store" in answer["Cache-Control"] and len(text) == 12 + 1 + 43
    token = ApiToken.objects.get()
    assert (token.user, token.factor_at, (token.expires_at - token.made_at).days) == (alice, None, 30)
    assert me(Program(f"lh_{text}", token)) == 200
    page = text_of(visitor.client.get(reverse("api_tokens")))
    assert "nightly report" in page and text not in page
    assert text not in str(list(AuditEvent.objects.values_list("data", flat=True)))
    # Only an admin sees those of others.
    assert visitor.client.get(reverse("all_api_tokens")).status_code == 403
    assert visitor.client.get(reverse("api_tokens"), {"account": zoe.pk}).status_code == 403
    other = Visitor()
    other.sign_in("bob")
    assert other.client.post(reverse("end_api_token", args=[token.pk])).status_code == 404
    admin = Visitor()
    admin.sign_in("zoe")
    assert "nightly report" in text_of(admin.client.get(reverse("all_api_tokens")))
    # No token in the name of another person, and a service account instead.
    proof = {step_up.PASSWORD: password_of("zoe")}
    assert admin.client.post(reverse("api_tokens"), {**form, **proof, "account": alice.pk}).status_code == 404
    made = admin.client.post(
        reverse("all_api_tokens"), {"username": "robot", "email": "robots@northwind.example", "role": role}
    )
    robot = User.objects.get(username="robot")
    assert made["Location"].endswith(f"?account={robot.pk}")
    whose = {**form, **proof, "account": robot.pk}
    assert "shown only once" not in text_of(admin.client.post(reverse("api_tokens"), whose))
    answer = admin.client.post(reverse("api_tokens"), {**whose, "holder": bob.pk})
    robot.service_account.refresh_from_db()
    assert "shown only once" in text_of(answer) and robot.service_account.holders == sorted([zoe.pk, bob.pk])
    admin.client.post(reverse("end_api_token", args=[token.pk]))
    assert me(Program(f"lh_{text}", token)) == 401
    assert AuditEvent.objects.filter(action="api_token.ended", actor_id=zoe.pk).count() == 1


def test_the_event_of_an_act_names_the_token(organization, alice):
    with by_means_of(token=7):
        organization.ask(alice, count=1)
        # What LicenseHub itself does meanwhile was not done with the token.
        with transaction.atomic():
            record(Action.CONNECTION_RECOVERED, actor=None, target=organization.profile)
    organization.ask(alice, count=1)
    events = AuditEvent.objects.filter(action="request.opened").order_by("sequence")
    assert [event.data.get("token") for event in events] == [7, None]
    assert AuditEvent.objects.get(action="connection.recovered").data == {}


def test_errors_below_the_api_are_problems(program, alice, settings, monkeypatch):
    sent = program(alice)
    with monkeypatch.context() as patch:
        patch.setattr("licensehub.api.reading.me.is_service", lambda user: 1 / 0)
        assert problem(sent.call("GET", "/me"), 500) == "failed"
    assert problem(sent.call("GET", "/nothing"), 404) == "not_found"
    wrong = sent.call("PUT", "/me")
    assert problem(wrong, 405) == "wrong_method" and wrong["Allow"]
    assert problem(sent.client.get("/api/v1/me?x=%00"), 400) == "unreadable"
    assert problem(sent.client.get("/api/v1/me", HTTP_HOST="evil.example"), 400) == "unreadable"
    settings.SECURE_SSL_REDIRECT = True
    assert problem(sent.call("GET", "/me"), 403) == "not_encrypted"


def test_an_odd_counter_in_redis_is_no_error(program, alice, monkeypatch):
    """Somebody who can write to Redis wrote it. Control: without the ValueError in `number`, each call is a 500."""
    monkeypatch.setattr(counters()._redis, "get", lambda key: "no number")
    assert me(program(alice)) == 200
    assert problem(Client().get("/api/v1/me", headers={"Authorization": "Bearer lh_x"}), 401) == "wrong_token"
