"""Acts through the API: the same two persons, the same refusals, and each act at most once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from hashlib import sha256

import pytest
import time_machine
from django.db import connection, connections, transaction
from django.http import HttpResponse
from django.utils import timezone

from integrations import sending
from licensehub.api.acts import once
from licensehub.api.models import IdempotentCall
from licensehub.audit.models import AuditEvent
from licensehub.sign_in.tokens import tokens
from subscriptions.models import (
    CandidateState,
    Protection,
    Reclaim,
    ReclaimRequest,
    RemovalCandidate,
    RequestState,
    Subscription,
)
from tests.support.attacks import attack
from tests.support.fixtures import person
from tests.support.people.api import Program, problem


def ready(count: int) -> list[int]:
    rows = RemovalCandidate.objects.filter(state=CandidateState.READY).order_by("pk")
    return list(rows.values_list("pk", flat=True)[:count])


def asked(sent: Program, count: int = 2, **headers: str) -> int:
    answer = sent.post("/requests", {"candidates": ready(count), "reason": "True-up"}, **headers)
    assert answer.status_code == 200, answer.content
    return int(answer.json()["request"])


def decision(sent: Program, request: int) -> dict[str, object]:
    page = sent.get(f"/requests/{request}")
    return {"digest": page["digest"], "revision": page["revision"], "comment": "Read it"}


def test_one_person_with_two_tokens_is_one_person(organization, program, alice, bob, erin):
    """Own request, a program of one's own, a role that does not decide, and an approval without reading."""
    request = asked(program(alice), 1)
    given = decision(program(bob), request)
    # Who asked has no right to decide; and with it, it is still the own request.
    assert problem(program(alice).post(f"/requests/{request}/approve", given), 403) == "forbidden"
    own = organization.ask(bob, count=1)
    assert (
        problem(program(bob).post(f"/requests/{own.pk}/approve", decision(program(bob), own.pk)), 409) == "own_request"
    )
    # A service account requests with a token that bob holds.
    robot = tokens.make_service_account(
        username="robot", email="robots@northwind.example", role=alice.groups.get(), actor=alice
    )
    held = program(robot, actor=bob, factor_at=None)
    by_robot = asked(held, 1)
    wanted = decision(program(bob), by_robot)
    assert problem(program(bob).post(f"/requests/{by_robot}/approve", wanted), 409) == "own_request"
    assert program(erin).post(f"/requests/{by_robot}/approve", wanted).status_code == 200
    # The token's role decides, not only that of the account.
    assert problem(program(bob, "Auditor").post(f"/requests/{request}/approve", given), 403) == "forbidden"
    for wrong in ({**given, "digest": "0" * 64}, {**given, "revision": 7}):
        assert problem(program(bob).post(f"/requests/{request}/approve", wrong), 409) == "too_late"
    for missing in ("digest", "revision"):
        left = {name: value for name, value in given.items() if name != missing}
        assert problem(program(bob).post(f"/requests/{request}/approve", left), 422) == "invalid"
    assert ReclaimRequest.objects.get(pk=request).state == RequestState.OPEN
    assert program(bob).post(f"/requests/{request}/approve", given).status_code == 200


def test_a_token_decides_only_soon_after_a_proof(organization, program, alice, bob, settings):
    """Control: without `refuse_without_proof` both calls approve."""
    request = asked(program(alice), 1)
    without, fresh = program(bob, factor_at=None), program(bob)
    given = decision(fresh, request)
    assert problem(without.post(f"/requests/{request}/approve", given), 403) == "proof_too_old"
    with time_machine.travel(timezone.now() + timedelta(hours=12, minutes=1)):
        assert problem(fresh.post(f"/requests/{request}/approve", given), 403) == "proof_too_old"
        assert problem(fresh.post(f"/requests/{request}/reject", {"comment": "No"}), 403) == "proof_too_old"
        assert fresh.get("/me")["account"] == "bob"
    settings.API_DECIDE_HOURS = 0
    assert problem(fresh.post(f"/requests/{request}/approve", given), 403) == "proof_too_old"
    settings.API_DECIDE_HOURS = 12
    assert fresh.post(f"/requests/{request}/reject", {"comment": "Still needed"}).json()["state"] == "rejected"


def test_a_request_that_was_changed_in_the_database_is_refused_and_recorded(organization, program, alice, bob):
    """Also with an Idempotency-Key, whose transaction must not take the event back."""
    request = asked(program(alice), 1)
    given = decision(program(bob), request)
    attack("UPDATE subscriptions_reclaimrequest SET reason = 'x' WHERE id = %s", request)
    sent = program(bob)
    for _ in range(2):
        answer = sent.post(f"/requests/{request}/approve", given, Idempotency_Key="one")
        assert problem(answer, 409) == "changed_outside"
    assert AuditEvent.objects.filter(action="request.tampered").count() == 1


def test_a_repeated_call_does_nothing_twice(organization, program, alice, bob):
    sent = program(alice)
    body = {"candidates": ready(2), "reason": "True-up"}
    first = sent.post("/requests", body, Idempotency_Key="a1")
    again = sent.post("/requests", body, Idempotency_Key="a1")
    assert (again.status_code, again.json(), again["Idempotency-Replayed"]) == (200, first.json(), "true")
    assert "Idempotency-Replayed" not in first and ReclaimRequest.objects.count() == 1
    assert problem(sent.post("/requests", {**body, "reason": "x"}, Idempotency_Key="a1"), 422) == "key_used"
    # Keys of another token are others; and a refusal is an answer, too.
    assert problem(program(alice).post("/requests", body, Idempotency_Key="a1"), 409) == "too_late"
    refused = [sent.post("/requests", body, Idempotency_Key="a2") for _ in range(2)]
    assert [problem(answer, 409) for answer in refused] == ["too_late"] * 2 and "Idempotency-Replayed" in refused[1]
    assert problem(sent.post("/requests", body, Idempotency_Key="x" * 101), 422) == "invalid"
    with time_machine.travel(timezone.now() + timedelta(hours=24, minutes=1)):
        assert problem(sent.post("/requests", body, Idempotency_Key="a1"), 409) == "too_late"
        assert IdempotentCall.objects.filter(token=sent.token).count() == 1


def test_what_is_kept_of_a_call_names_nobody(organization, program, alice):
    """A refusal names the person, and so may the key. Control: the whole body in `_kept` has the name."""
    sent, row = program(alice), Subscription.objects.filter(gone_at=None).exclude(name="").first()
    wish = {"reason": "On leave", "owner": "HR", "profile": row.profile_id, "value": row.email}
    made = sent.post("/protections", wish, Idempotency_Key=f"protect {row.email}").json()["protections"][0]
    sent.post(f"/protections/{made}/end")
    first = sent.post(f"/protections/{made}/end", Idempotency_Key=f"end {row.email}")
    assert problem(first, 409) == "too_late" and row.email in first.json()["detail"]
    again = sent.post(f"/protections/{made}/end", Idempotency_Key=f"end {row.email}")
    assert problem(again, 409) == "too_late" and "Use a new key" in again.json()["detail"]
    kept = [str(values) for values in IdempotentCall.objects.values_list("key", "status", "body")]
    assert len(kept) == 2 and not [line for line in kept if row.email in line or row.name in line]


def test_a_call_waits_for_another_one_with_its_key_for_a_while_only(
    real_transactions, organization, program, alice, monkeypatch
):
    """Control: without the timeout the second call waits as long as the first one runs."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has a limit for each wait already.")
    monkeypatch.setattr(once, "MAX_WAIT", 1)
    sent = program(alice)
    body = {"candidates": ready(2), "reason": "True-up"}
    key = sha256(b"once").hexdigest()

    def call() -> HttpResponse:
        try:
            return sent.post("/requests", body, Idempotency_Key="once")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            # A call that takes long.
            IdempotentCall.objects.create(token=sent.token, key=key, digest="0" * 64, made_at=timezone.now())
            answer = pool.submit(call).result(timeout=20)
            assert problem(answer, 409) == "still_running" and answer["Retry-After"] == "1"
            transaction.set_rollback(True)
        assert pool.submit(call).result(timeout=20).status_code == 200
    assert ReclaimRequest.objects.count() == 1


def test_the_same_key_at_the_same_time_is_one_act(real_transactions, organization, program, alice):
    """Four at once: one makes the request, the others wait for it and get its answer."""
    sent = program(alice)
    sent.get("/me")
    body = {"candidates": ready(2), "reason": "True-up"}

    def call(_number: int) -> tuple[int, int]:
        try:
            answer = Program(sent.text, sent.token).post("/requests", body, Idempotency_Key="once")
            return answer.status_code, answer.json().get("request")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(call, range(4)))
    assert len(set(answers)) == 1 and answers[0][0] == 200, answers
    assert ReclaimRequest.objects.count() == 1 and connection.vendor


def test_people_are_protected_and_protections_ended(organization, program, alice):
    sent = program(alice)
    wish = {"reason": "On leave", "owner": "HR"}
    people = [row["subscription"] for row in sent.get("/candidates", limit=2)["items"]]
    made = sent.post("/protected-people", {**wish, "subscriptions": people}).json()
    assert len(made["protections"]) == 2 and made["withdrawn"] == 2
    verdict = sent.get(f"/subscriptions/{people[0]}")["verdict"]
    assert verdict["code"] == "protected" and "On leave" in verdict["reason"]
    one = sent.post(
        "/protections", {**wish, "profile": organization.profile.pk, "kind": "domain", "value": "x.example"}
    )
    assert Protection.objects.get(pk=one.json()["protections"][0]).created_by == alice
    ended = sent.post(f"/protections/{made['protections'][0]}/end")
    assert ended.json()["protections"] == made["protections"][:1]
    assert problem(sent.post(f"/protections/{made['protections'][0]}/end"), 409) == "too_late"
    odd = sent.post("/protections", {**wish, "profile": organization.profile.pk, "value": "nobody"})
    assert problem(odd, 422) == "invalid" and odd.json()["errors"][0]["place"] == "body.value"
    past = sent.post("/protected-people", {**wish, "subscriptions": people, "ends_at": "2020-01-01T00:00:00Z"})
    assert past.json()["errors"][0]["place"] == "body.ends_at"
    unknown = sent.post("/protected-people", {**wish, "subscriptions": [*people, 999999]})
    assert problem(unknown, 422) == "invalid" and "999999" in unknown.json()["errors"][0]["detail"]


def test_a_program_starts_what_is_due_and_stops_sending(organization, program, alice):
    """It never allows it again."""
    operator, profile = program(person("olga", "Operator")), organization.profile
    assert problem(operator.post(f"/profiles/{profile.pk}/reclaim"), 409) == "refused"
    refused = operator.post(f"/profiles/{profile.pk}/download")
    assert problem(refused, 409) == "refused" and "No download was started." in refused.json()["detail"]
    assert operator.post(f"/profiles/{profile.pk}/stop").status_code == 200
    profile.refresh_from_db()
    assert profile.sending_stopped
    assert operator.post("/sending/stop", {"reason": "Strange calls"}).status_code == 200
    assert sending.control().stopped and problem(operator.post("/sending/stop", {"reason": "x"}), 409) == "too_late"
    assert problem(program(alice).post(f"/profiles/{profile.pk}/stop"), 403) == "forbidden"
    limited = program(person("otto", "Operator"), profiles=[profile.pk])
    assert problem(limited.post("/sending/stop", {"reason": "x"}), 403) == "forbidden"
    # No address of the API allows sending.
    assert problem(operator.post("/sending/allow"), 404) == "not_found"


def test_what_a_token_does_not_reach_it_does_not_change(organization, program, alice):
    """A token of another profile finds none of these rows, and nothing happens."""
    elsewhere = program(alice, profiles=[organization.profile.pk + 1])
    wish = {"reason": "x", "owner": "x"}
    before = AuditEvent.objects.exclude(action__startswith="api_token").count()
    calls = {
        "/requests": {"candidates": ready(1)},
        "/protected-people": {**wish, "subscriptions": [Subscription.objects.first().pk]},
    }
    for path, body in calls.items():
        assert problem(elsewhere.post(path, body), 422) == "invalid", path
    body = {**wish, "profile": organization.profile.pk, "value": "a@northwind.example"}
    assert problem(elsewhere.post("/protections", body), 404) == "not_found"
    assert AuditEvent.objects.exclude(action__startswith="api_token").count() == before
    assert not Reclaim.objects.exists() and not ReclaimRequest.objects.exists()


@pytest.mark.parametrize("letter, role", [("U", "Auditor"), ("A", "Approver"), ("O", "Operator")])
def test_who_may_not_request_on_the_screen_does_not_here(letter, role, organization, program):
    sent = program(person(f"reader-{letter}", role))
    assert problem(sent.post("/requests", {"candidates": ready(1)}), 403) == "forbidden"
    body = {"reason": "x", "owner": "x", "profile": organization.profile.pk, "value": "a@northwind.example"}
    assert problem(sent.post("/protections", body), 403) == "forbidden"
