"""One subscription: the sentence, every clause, and the button that asks for its reclaim."""

from __future__ import annotations

import pytest
from django.db.models import F
from django.urls import reverse

from subscriptions.admin.subscriptions.subscription_page import VERDICTS
from subscriptions.eligibility.clauses import CLAUSES
from subscriptions.models import Evaluation, Protection, ReclaimRequest, RemovalCandidate, Subscription, Verdict
from subscriptions.models.subscription import LEFT_OUT
from subscriptions.search import refresh_search
from tests.support.people.organization import said
from tests.support.web.pages import text_of


def page_of(row: Subscription) -> str:
    return reverse("admin:subscriptions_subscription_change", args=[row.pk])


def request_of(row: Subscription) -> str:
    return reverse("admin:subscriptions_subscription_request", args=[row.pk])


@pytest.fixture
def candidate(run) -> Subscription:
    return Subscription.objects.candidates().first()


def test_each_verdict_has_a_badge():
    assert set(VERDICTS) == set(Verdict)


def test_the_page_tells_why_and_shows_every_clause(candidate, sign_in):
    answer = sign_in("License manager").get(page_of(candidate))
    assert "over the threshold" in answer.context["why"]
    # Who is the only admin of a team was not checked, and is not said to have passed.
    icons = [check["icon"] for check in answer.context["checks"]]
    assert icons == ["check"] * 4 + ["remove"] + ["check"] * (len(CLAUSES) - 5)
    assert "Request reclaim of 1 seat" in answer.content.decode()


def test_the_clause_that_decides_is_marked_and_later_ones_were_not_asked(run, sign_in):
    row = Subscription.objects.filter(evaluation__verdict__in=LEFT_OUT).first()
    checks = sign_in("Auditor").get(page_of(row)).context["checks"]
    assert [check["icon"] for check in checks] == ["check"] * 3 + ["close"] + ["remove"] * (len(CLAUSES) - 4)


def test_a_license_manager_requests_one_seat(candidate, sign_in):
    answer = sign_in("License manager").post(request_of(candidate), follow=True)
    assert "asks for 1 seat" in answer.content.decode()
    assert ReclaimRequest.objects.get().removals.get().candidate.subscription == candidate


def test_asking_twice_is_refused_in_a_sentence(candidate, sign_in):
    client = sign_in("License manager")
    client.post(request_of(candidate))
    answer = client.post(request_of(candidate), follow=True)
    assert "nothing to request" in answer.content.decode()
    assert ReclaimRequest.objects.count() == 1


@pytest.mark.parametrize("role", ["Approver", "Auditor", "Operator", ""])
def test_others_may_not(candidate, sign_in, role):
    assert sign_in(role).post(request_of(candidate)).status_code == 403
    assert RemovalCandidate.objects.filter(state="ready").count() == 5


def test_a_link_does_not_request(candidate, sign_in):
    assert sign_in("License manager").get(request_of(candidate)).status_code == 405
    assert not ReclaimRequest.objects.exists()


@pytest.mark.parametrize(
    "query",
    [
        "verdict=candidate",
        "verdict=candidate&q=p1",
        "verdict=unknown,never_active",
        "verdict=not_evaluated",
        "verdict=x",
        "license=full",
        "role=unknown",
        "seat=free",
        "idle=never",
        "idle=x",
        "q=p1",
        "license__in=full,basic",
    ],
)
def test_filters_answer(run, sign_in, query):
    assert (
        sign_in("Auditor").get(reverse("admin:subscriptions_subscription_changelist") + f"?{query}").status_code == 200
    )


def test_every_kind_of_person_has_a_page(run, sign_in):
    client = sign_in("Auditor")
    for row in Subscription.objects.all():
        assert client.get(page_of(row)).status_code == 200


def listed(client, query: str) -> list[int]:
    page = client.get(reverse("admin:subscriptions_subscription_changelist") + f"?{query}")
    return [row.pk for row in page.context["cl"].result_list]


@pytest.mark.parametrize("wanted", [["candidate"], ["unknown", "never_active"], ["never_active"]])
def test_verdicts_are_listed_by_the_longest_idle(run, sign_in, wanted):
    rows = Subscription.objects.filter(evaluation__verdict__in=wanted)
    expected = list(rows.order_by(F("idle_since").asc(nulls_last=True), "pk").values_list("pk", flat=True)[:50])
    refresh_search(run.profile)
    client = sign_in("Auditor")

    assert listed(client, f"verdict={','.join(wanted)}") == expected != []
    assert listed(client, f"verdict={','.join(wanted)}&q=example") == expected


def test_who_was_never_judged_is_listed_as_such(run, sign_in):
    client = sign_in("Auditor")
    assert listed(client, "verdict=not_evaluated") == []

    row = Subscription.objects.order_by("pk").first()
    Evaluation.objects.filter(pk=row.pk).delete()

    assert listed(client, "verdict=not_evaluated") == [row.pk]
    assert row.pk in listed(client, "")


def test_the_ticked_people_are_protected_and_never_all_of_a_list(run, sign_in):
    """The list does not count exactly what it shows."""
    manager, auditor = sign_in("License manager"), sign_in("Auditor")
    address = reverse("admin:subscriptions_subscription_changelist")
    chosen = list(Subscription.objects.order_by("pk")[:2])
    sent = {"action": "protect", "index": "0", "_selected_action": [row.pk for row in chosen]}
    assert "Protect the selected people" in text_of(manager.get(address))
    assert 'name="_selected_action"' not in text_of(auditor.get(address))
    assert "on one page of the list" in said(manager.post(address, {**sent, "select_across": "1"}))

    form = text_of(manager.post(address, sent))
    assert "Protect 2 people" in form
    assert all(f'name="subscription" value="{row.pk}"' in form for row in chosen)
    before = Protection.objects.count()
    wish = {"subscription": [row.pk for row in chosen], "confirmed": "2", "reason": "On leave", "owner": "HR"}
    manager.post(reverse("admin:subscriptions_protection_protect"), wish)
    assert Protection.objects.count() == before + 2
