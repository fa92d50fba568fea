"""The list *Needs review*: why each person is there, tabs with counts, and the actions."""

from __future__ import annotations

import pytest
from django.urls import reverse

from integrations.models import IntegrationProfile
from subscriptions.admin.review import actions
from subscriptions.approvals.deciders import deciders_of
from subscriptions.models import (
    Evaluation,
    Notice,
    Protection,
    ReclaimRequest,
    ReclaimRule,
    RemovalCandidate,
    Subscription,
    Verdict,
)
from subscriptions.review import Decided
from tests.support.people.organization import page, said
from tests.support.web.pages import text_of

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


def test_all_that_match_are_decided_by_the_filter_with_the_count_of_the_click(to_review, as_user, alice):
    """A download changes a verdict between the page and the click: the new count is shown, and nothing happens."""
    never, back, _ = to_review
    client, match = as_user(alice), f"{LIST}?q=person"
    every = {"action": ["keep", "protect"], "index": "0", "select_across": "1", "_selected_action": never.pk}
    shown = text_of(client.get(LIST))
    assert "This acts on the filter of this list" in shown

    form = text_of(client.post(match, every))
    assert 'name="confirmed" value="2"' in form and "Keep 2 people" in form and f'action="{match}"' in form
    Evaluation.objects.filter(subscription=back.pk).update(verdict=Verdict.ACTIVE)
    decided = {**every, "decided": "1", "days": "30", "reason": "Asked the manager."}
    changed = text_of(client.post(match, {**decided, "confirmed": "2"}))
    assert "The list has changed: 1 match now." in changed and "Keep 1 person" in changed
    assert not Subscription.objects.exclude(cooldown_until=None).exists()

    assert "1 person kept" in said(client.post(match, {**decided, "confirmed": "1"}))
    assert list(Subscription.objects.exclude(cooldown_until=None)) == [never]


def test_all_that_match_are_protected_from_both_lists(to_review, empty_organization, as_user, alice):
    client, wish = as_user(alice), {"reason": "On leave", "owner": "HR", "ends_at": ""}
    every = {"action": "protect", "index": "0", "select_across": "1", "_selected_action": to_review[0].pk}
    form = text_of(client.post(LIST, every))
    assert "Protect 3 people" in form and f'action="{LIST}"' in form and not Protection.objects.exists()
    changed = text_of(client.post(LIST, {**every, **wish, "confirmed": "4"}))
    assert "The list has changed: 3 match now." in changed and not Protection.objects.exists()
    assert "Protected 3 people" in said(client.post(LIST, {**every, **wish, "confirmed": "3"}))

    candidates = "/admin/subscriptions/removalcandidate/"
    every["_selected_action"] = RemovalCandidate.objects.get().pk
    assert "Protect 1 person" in text_of(client.post(candidates, every))
    assert "no longer a removal candidate" in said(client.post(candidates, {**every, **wish, "confirmed": "1"}))
    assert Protection.objects.count() == 4 and not RemovalCandidate.objects.open().exists()


def test_people_are_asked_by_mail_in_a_request_that_another_person_decides(to_review, as_user, alice):
    """Only if the rule asks people, and only those with an address who can be candidates at all."""
    never, back, missing = to_review
    client, sent = as_user(alice), {"subscription": [row.pk for row in to_review]}
    refused = said(client.post(f"{LIST}ask/", sent))
    assert "does not ask people by mail. Switch that on" in refused
    assert page("reclaimrule", "change", ReclaimRule.objects.get().pk) in refused, "with the way to the rule"
    ReclaimRule.objects.update(notify_user=True)
    assert "Ask 3 people" in text_of(client.post(f"{LIST}ask/", sent))
    decided = {**sent, "decided": "1", "reason": "Never active, and the role may need it."}
    assert "Say in a sentence why" in text_of(client.post(f"{LIST}ask/", {**decided, "reason": "no"}))
    assert not ReclaimRequest.objects.exists() and not RemovalCandidate.objects.filter(subscription=never).exists()

    told = said(client.post(f"{LIST}ask/", decided))

    asked = ReclaimRequest.objects.get()
    assert f'1 person gets a mail, in <a href="{page("reclaimrequest", "change", asked.pk)}">{asked}</a>.' in told
    assert f"{back.display_name} cannot be a candidate" in told and f"{missing.display_name} has no e-mail" in told
    assert (asked.state, asked.removals.get().candidate.subscription) == ("collecting", never)
    assert asked.removals.get().candidate.state == "awaiting_user"
    notice = Notice.objects.get()
    assert (notice.kind, notice.email, notice.state) == ("ask", never.email, "due")
    assert not deciders_of(asked).filter(pk=alice.pk).exists()


def test_a_look_up_of_many_people_ends_in_one_sentence(to_review, as_user, alice, monkeypatch):
    """Not in one message for each reason: the list says why each is there."""
    client, sent = as_user(alice), {"subscription": [row.pk for row in to_review]}
    monkeypatch.setattr(actions.review, "look_up", lambda rows, *, actor: Decided(still_in_review=rows))

    assert said(client.post(f"{LIST}look-up/", sent)) == (
        "3 people still need review by the current facts. The list says why each is there."
    )
    one = said(client.post(f"{LIST}look-up/", {"subscription": to_review[0].pk}))
    assert f"{to_review[0].display_name} still needs review: never active" in one


def test_nobody_becomes_a_candidate_without_being_asked(to_review, as_user, alice):
    """The request is refused, so the step before it is undone."""
    ReclaimRule.objects.update(notify_user=True)
    IntegrationProfile.objects.update(reclaim_enabled=False)
    sent = {"subscription": to_review[0].pk, "decided": "1", "reason": "Never active, perhaps unused."}

    assert "was not asked" in said(as_user(alice).post(f"{LIST}ask/", sent))
    assert not RemovalCandidate.objects.filter(subscription=to_review[0]).exists()


def test_a_page_does_not_work_for_ever_on_very_many_people(to_review, as_user, alice, monkeypatch):
    monkeypatch.setattr(actions, "SECONDS", 0.0)
    sent = {"subscription": [row.pk for row in to_review], "decided": "1", "days": "30", "reason": "Asked the manager."}

    told = said(as_user(alice).post(f"{LIST}keep/", sent))

    assert told == "There was not enough time for 3 people. Nothing has changed for them: do it once more."
    assert not Subscription.objects.exclude(cooldown_until=None).exists()


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
