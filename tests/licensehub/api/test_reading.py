"""The API reads with the rows, rights and query counts of the screens, page by page."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from integrations import sending
from integrations.models import IntegrationProfile, ProfileState
from integrations.scopes.account_scopes import is_company_wide
from licensehub.api.management.commands.openapi import FILE
from licensehub.audit.models import AuditEvent
from subscriptions.approvals import decide
from subscriptions.models import Price, ReclaimRule, RemovalCandidate, Subscription
from tests.licensehub.site.roles.role_matrix import LISTS
from tests.support.fixtures import person
from tests.support.people.api import Program, problem
from tests.support.people.organization import Organization, limited_to, seen

# Address -> the list of the screens with the same rows.
ADDRESSES = {
    "/subscriptions": "subscriptions_subscription",
    "/candidates": "subscriptions_removalcandidate",
    "/requests": "subscriptions_reclaimrequest",
    "/history": "subscriptions_reclaim",
    "/runs": "subscriptions_downloadrun",
    "/protections": "subscriptions_protection",
    "/profiles": "integrations_integrationprofile",
    "/audit": "audit_auditevent",
}
LETTERS = {"C": "Company admin", "M": "License manager", "A": "Approver", "U": "Auditor", "O": "Operator"}


def test_the_document_names_the_errors_of_each_operation():
    document = json.loads((settings.BASE_DIR / FILE).read_text())
    assert document["openapi"].startswith("3.1")
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert operation["summary"] and {"401", "403", "422", "429"} <= set(operation["responses"]), path


def test_each_role_reads_what_it_reads_on_the_screens(organization, program):
    """The same letters as in the matrix of the roles."""
    found = {}
    sent = {letter: program(person(f"reader-{letter}", role)) for letter, role in LETTERS.items()}
    for address in ADDRESSES:
        statuses = {letter: one.call("GET", address).status_code for letter, one in sent.items()}
        assert set(statuses.values()) <= {200, 403}
        found[address] = "".join(letter for letter, status in statuses.items() if status == 200)
    assert found == {address: LISTS[name].replace("S", "") for address, name in ADDRESSES.items()}
    readers = "".join(letter for letter, one in sent.items() if one.call("GET", "/savings").status_code == 200)
    assert readers == LISTS["subscriptions_price"].replace("S", "")


def test_pages_have_each_row_once_in_the_order_of_the_screen(organization, program, alice):
    sent = program(alice)
    whole = sent.get("/subscriptions", limit=200)
    assert len(whole["items"]) == 12 and whole["next_cursor"] is None
    pages, cursor = [], ""
    for _ in range(4):
        page = sent.get("/subscriptions", limit=5, **({"cursor": cursor} if cursor else {}))
        pages += page["items"]
        cursor = page["next_cursor"]
        if not cursor:
            break
    assert pages == whole["items"]
    idle = [row["idle_since"] for row in pages]
    assert idle == sorted(idle)
    first = sent.get("/subscriptions", limit=5)["next_cursor"]
    for wrong in (first[:-1] + "_", "x", first.partition(":")[0], "a" * 600):
        assert problem(sent.call("GET", "/subscriptions", query={"cursor": wrong}), 422) == "invalid", wrong
    # Of another list, and with values of the caller's choice.
    assert problem(sent.call("GET", "/candidates", query={"cursor": first}), 422) == "invalid"
    for limit in ("0", "201", "x"):
        body = sent.call("GET", "/subscriptions", query={"limit": limit}).json()
        assert body["status"] == 422 and body["errors"][0]["place"] == "query.limit", body


def test_a_verdict_has_a_code_a_sentence_and_its_checks(organization, program, alice):
    sent = program(alice)
    idle = sent.get("/subscriptions", verdict="candidate")["items"]
    assert len(idle) == 8 and {row["verdict"]["code"] for row in idle} == {"candidate"}
    june = (timezone.now() - timedelta(days=50)).date().isoformat()
    assert [row["id"] for row in sent.get("/subscriptions", idle_before=june)["items"]] == [row["id"] for row in idle]
    active = sent.get("/subscriptions", q="person1@")["items"][0]
    assert active["verdict"]["code"] == "active" and "3 days" in active["verdict"]["reason"]
    page = sent.get(f"/subscriptions/{idle[0]['id']}")
    assert page["open_candidate"] and page["protections"] == []
    assert [one["passed"] for one in page["checks"] if one["passed"] is False] == []
    # In English for everybody, whatever the program asks for.
    german = sent.call("GET", f"/subscriptions/{idle[0]['id']}", Accept_Language="de")
    assert german.json() == page and german["Content-Language"] == "en"


def test_a_token_of_some_profiles_sees_no_others(organization, program, alice, carol):
    other = IntegrationProfile.objects.create(
        name="Contoso", organization_id="77", kind="miro_enterprise", state=ProfileState.PUBLISHED
    )
    ReclaimRule.objects.create(profile=other, licenses=["full"])
    request = organization.ask(alice, count=1)
    seen_all, seen_one = program(carol), program(carol, profiles=[other.pk])
    for address, name in ADDRESSES.items():
        if name.startswith("audit"):
            assert problem(seen_one.call("GET", address), 403) == "forbidden"
            continue
        of = {row.get("profile", row["id"]) for row in seen_one.get(address)["items"]}
        assert of <= {other.pk}, address
        every = seen_all.get(address)["items"]
        for row in every[:1]:
            if row.get("profile", row["id"]) != other.pk and address != "/audit":
                assert problem(seen_one.call("GET", f"{address}/{row['id']}"), 404) == "not_found"
    assert problem(seen_one.call("GET", f"/requests/{request.pk}/people"), 404) == "not_found"
    assert seen_one.get("/savings")["currencies"] == []
    assert problem(seen_one.call("GET", "/savings", query={"profile": organization.profile.pk}), 404) == "not_found"


def test_a_token_of_an_account_with_a_scope_sees_no_more_than_the_account(organization, us, program, alice):
    """Also a token that names other profiles, and one for all."""
    request = us.ask(person("root", "License manager"), count=1)
    alice = limited_to(alice, organization.profile)
    for sent in (program(alice), program(alice, profiles=[organization.profile.pk, us.profile.pk])):
        assert {row["profile"] for row in sent.get("/subscriptions", limit=200)["items"]} == {organization.profile.pk}
        assert [row["id"] for row in sent.get("/profiles")["items"]] == [organization.profile.pk]
        assert problem(sent.call("GET", f"/requests/{request.pk}"), 404) == "not_found"
        theirs = RemovalCandidate.objects.filter(profile=us.profile, state="ready").first().pk
        assert problem(sent.post("/requests", {"candidates": [theirs]}), 422) == "invalid"
    assert program(alice, profiles=[us.profile.pk]).get("/subscriptions")["items"] == []


def test_a_token_of_some_profiles_is_not_one_of_the_company_for_a_superuser_either(organization, us, program):
    """Control: with the rights of before `narrow`, it stops all sending and reads the whole audit."""
    root = User.objects.create_superuser("root", "root@northwind.example", "x")
    everywhere = program(root, "Company admin")
    sent = program(root, "Company admin", profiles=[organization.profile.pk])
    assert {one for one in everywhere.get("/me")["rights"] if is_company_wide(one)}
    assert not {one for one in sent.get("/me")["rights"] if is_company_wide(one)}
    assert [row["id"] for row in sent.get("/profiles")["items"]] == [organization.profile.pk]
    assert problem(sent.call("GET", "/audit"), 403) == "forbidden"
    assert problem(sent.post("/sending/stop", {"reason": "Stop"}), 403) == "forbidden"
    assert not sending.control().stopped


def test_the_document_is_made_once_for_everybody_who_asks(db, client, monkeypatch):
    """Nobody has to have a token for it. Control: made anew for each call, this is a 500."""
    first = client.get("/api/v1/openapi.json")
    monkeypatch.setattr("licensehub.api.service.completed", lambda document: 1 / 0)
    assert client.get("/api/v1/openapi.json").json() == first.json()


def test_a_request_shows_what_a_decision_has_to_name(organization, program, alice, bob):
    request = organization.ask(alice, count=3)
    page = program(bob).get(f"/requests/{request.pk}")
    shown = seen(request)
    assert (page["digest"], page["revision"], page["people"]) == (shown["digest"], shown["revision"], 3)
    assert page["may_decide"] and not page["why_not"]
    own = program(alice).get(f"/requests/{request.pk}")
    assert not own["may_decide"] and "You made this request" in own["why_not"]
    people = program(bob).get(f"/requests/{request.pk}/people")["items"]
    assert len(people) == 3 and all(one["evidence"]["license"] == "full" for one in people)
    decide.approve(request, actor=bob, **shown)
    history = program(alice).get("/history", request_id=request.pk)["items"]
    assert {row["state"]["code"] for row in history} == {"queued"} and history[0]["decided_by"] == "bob"
    assert program(bob).get("/requests", state="approved")["items"][0]["decided_by"] == "bob"


def test_nothing_changed_is_answered_without_a_body(organization, program, alice):
    sent = program(alice)
    first = sent.call("GET", "/candidates")
    again = sent.call("GET", "/candidates", If_None_Match=first["ETag"])
    assert again.status_code == 304 and not again.content and again["RateLimit"]
    RemovalCandidate.objects.filter(pk=first.json()["items"][0]["id"]).update(attention="Look at it.")
    assert sent.call("GET", "/candidates", If_None_Match=first["ETag"]).status_code == 200


def _questions(sent: Program, address: str) -> int:
    """Count the queries of a program that called lately: its use is noted once a minute."""
    sent.get("/me")
    with CaptureQueriesContext(connection) as asked:
        assert sent.call("GET", address, query={"limit": "200"}).status_code == 200
    return len(asked)


@pytest.mark.parametrize("address", sorted(ADDRESSES))
def test_a_list_asks_as_often_for_many_rows_as_for_few(address, organization, program, carol, alice):
    """And no more often than ten times, with token, account and rights."""
    organization.ask(alice, count=1)
    sent = program(carol)
    few = _questions(sent, address)
    Subscription.objects.bulk_create(organization.person(number, idle=200) for number in range(100, 160))
    organization.propose()
    for _ in range(3):
        organization.ask(alice, count=2)
    assert _questions(sent, address) == few <= 13


def test_small_groups_are_shown_together_to_who_sees_no_names(organization, program, settings):
    settings.MIN_GROUP_SIZE = 5
    Price.objects.create(
        profile=organization.profile, license="full", amount="10", currency="EUR", per="month", valid_from="2020-01-01"
    )
    seer = program(person("seer", "Auditor"))
    savings = seer.get("/savings")
    [line] = savings["currencies"][0]["lines"]
    assert line["potential"] == {"seats": 8, "amount": "960.00"} and savings["currencies"][0]["currency"] == "EUR"
    blind = person("blind", None)
    role = Group.objects.create(name="Money only")
    wanted = ("view_price", "view_integrationprofile")
    role.permissions.set(Group.objects.get(name="Auditor").permissions.filter(codename__in=wanted))
    blind.groups.add(role)
    assert program(blind).get("/savings")["currencies"][0]["departments_together"] is None
    assert problem(program(blind).call("GET", "/subscriptions"), 403) == "forbidden"


def test_the_audit_is_read_newest_first(organization: Organization, program, carol, alice):
    request = organization.ask(alice, count=1)
    sent = program(carol)
    events = sent.get("/audit", target_type="subscriptions.reclaimrequest", target_id=request.pk)["items"]
    assert [event["action"]["code"] for event in events] == ["request.opened"]
    newest = sent.get("/audit", limit=1)
    assert newest["items"][0]["sequence"] == AuditEvent.objects.order_by("-sequence").first().sequence


def test_the_token_of_an_account_for_some_profiles_sees_no_others(organization, us, program, alice, carol):
    asked = organization.ask(alice, count=1)
    sent = program(limited_to(carol, us.profile))
    assert {row["profile"] for row in sent.get("/subscriptions")["items"]} == {us.profile.pk}
    assert [row["id"] for row in sent.get("/profiles")["items"]] == [us.profile.pk]
    assert problem(sent.call("GET", f"/requests/{asked.pk}"), 404) == "not_found"
    assert sent.get("/requests")["items"] == []
    assert problem(sent.call("GET", "/audit"), 403) == "forbidden"
