"""The list *Needs review*: why each person is there, tabs with counts, and the actions."""

from __future__ import annotations

import pytest
from django.urls import reverse

from subscriptions.models import Protection, RemovalCandidate, Subscription, Verdict
from tests.support.organization import page, said
from tests.support.pages import text_of

LIST = "/admin/subscriptions/persontoreview/"


@pytest.fixture
def to_review(empty_organization) -> list[Subscription]:
    """People with *Never active*, *Dates went back* and *Facts missing*; and a candidate, who is not in the list."""
    never = empty_organization.hire(1, idle=1, last_activity_at=None)
    back = empty_organization.hire(2, idle=5, dates_went_back=True)
    missing = empty_organization.hire(3, idle=5, implausible_dates="license date 2099-01-01", name="", email="")
    empty_organization.hire(4, idle=100)
    empty_organization.propose()
    return [never, back, missing]


def test_the_list_says_why_each_person_is_there(to_review, as_user, alice, carol):
    client = as_user(alice)
    whole = text_of(client.get(LIST))
    assert [row.display_name in whole for row in to_review] == [True] * 3
    assert "Person 4" not in whole
    assert "said" in whole and "then no date. We count" in whole
    assert "Miro sent a date that cannot be right (license date 2099-01-01)." in whole
    assert "Needs review: " not in whole
    for label, count in (("All", 3), ("Never active", 1), ("Dates went back", 1), ("Facts missing", 1)):
        assert f'{label} <span class="lh-count">{count}</span>' in whole
    assert 'aria-current="page"> <span class="material-symbols-outlined lh-is-warning"' in whole
    one = text_of(client.get(f"{LIST}?reason=dates_went_back"))
    assert ("Person 2" in one, "Person 1" in one) == (True, False)
    assert "Person 2" in text_of(client.get(f"{LIST}?q=person2"))
    assert "Nobody matches" in text_of(client.get(f"{LIST}?q=nobody-here"))
    # An auditor reads, and has no buttons.
    reader = text_of(as_user(carol).get(LIST))
    assert "Person 1" in reader
    assert "Make a candidate" not in reader
    assert as_user(carol).post(f"{LIST}candidates/", {"subscription": to_review[0].pk}).status_code == 403
    assert client.get(f"{LIST}{to_review[0].pk}/change/").url == page("subscription", "change", to_review[0].pk)


def test_one_row_and_several_rows_are_decided_with_a_reason(to_review, as_user, alice):
    never, back, missing = to_review
    client = as_user(alice)
    form = text_of(client.post(f"{LIST}candidates/", {"subscription": never.pk}))
    assert "Make 1 person a candidate" in form
    refused = client.post(f"{LIST}candidates/", {"subscription": never.pk, "decided": "1", "reason": "no"})
    assert "Say in a sentence why" in text_of(refused)
    sent = {"subscription": [row.pk for row in to_review], "decided": "1", "reason": "Left, the manager confirmed it."}
    answer = client.post(f"{LIST}candidates/", sent)
    assert answer.url == LIST
    assert set(RemovalCandidate.objects.filter(evidence__has_key="review").values_list("subscription", flat=True)) == {
        never.pk
    }
    text = said(answer)
    assert "1 person is a candidate now" in text
    assert f"{back.display_name} cannot be a candidate" in text
    assert f"{missing.display_name} cannot be a candidate" in text
    bulk = client.post(LIST, {"action": "keep", "index": "0", "_selected_action": [back.pk, missing.pk]})
    assert f'action="{LIST}keep/"' in text_of(bulk)
    kept = client.post(
        f"{LIST}keep/",
        {"_selected_action": [back.pk, missing.pk], "decided": "1", "days": "30", "reason": "Asked the manager."},
    )
    assert "2 people kept" in said(kept)
    assert "Nobody needs review" in text_of(client.get(LIST))


def test_protecting_from_the_list_takes_these_people_and_no_candidate_of_the_same_number(to_review, as_user, alice):
    never = to_review[0]
    other = Subscription.objects.get(evaluation__verdict=Verdict.CANDIDATE)
    RemovalCandidate.objects.filter(subscription=other).update(id=never.pk)
    form = text_of(as_user(alice).post(f"{LIST}protect/", {"_selected_action": [never.pk]}))
    assert never.display_name in form
    assert other.display_name not in form
    assert not Protection.objects.exists()


def test_a_selection_that_cannot_be_used_is_refused_with_a_sentence(to_review, as_user, alice):
    client = as_user(alice)
    for sent in ({}, {"_selected_action": "x"}, {"_selected_action": to_review[0].pk, "select_across": "1"}):
        assert "Select the people on one page" in said(client.post(f"{LIST}look-up/", sent))
    assert client.get(f"{LIST}keep/").url == reverse("admin:subscriptions_persontoreview_changelist")
