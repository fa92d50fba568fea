"""The candidates' list, the request for their reclaim, and the page of one candidate."""

from __future__ import annotations

import pytest
from django.urls import reverse

from integrations.models import IntegrationProfile
from subscriptions.models import (
    CandidateState,
    Evaluation,
    ReclaimRequest,
    ReclaimRule,
    RemovalCandidate,
    Subscription,
)
from subscriptions.profiles import lifecycle
from tests.support.people.organization import page, questions, said
from tests.support.web.pages import text_of

LIST = "/admin/subscriptions/removalcandidate/"


def bulk(pks, **more):
    return {"action": "request_reclaim", "index": "0", "select_across": "0", "_selected_action": list(pks), **more}


def ready(count: int) -> list[int]:
    return list(RemovalCandidate.objects.filter(state="ready").values_list("pk", flat=True)[:count])


def test_the_list_shows_who_is_ready(organization, alice, as_user):
    shown = text_of(as_user(alice).get(LIST))

    assert "Person 11" in shown and "Person 1<" not in shown
    assert "Inactive 111 days, 51 over the threshold." in shown
    assert "Needs review" in shown and page("persontoreview", "changelist") in shown
    assert "Awaiting User" in shown


def test_the_tabs_of_verdicts_lead_to_the_subscriptions(organization, alice, as_user):
    client = as_user(alice)

    shown = text_of(client.get(LIST))

    subscriptions, review = page("subscription", "changelist"), page("persontoreview", "changelist")
    for address in (review, f"{subscriptions}?verdict=cannot_be_removed,protected"):
        assert f'href="{address}"' in shown
        assert client.get(address).status_code == 200


def test_requesting_asks_first_and_then_does_it(organization, alice, as_user):
    client, chosen = as_user(alice), ready(2)

    asked = text_of(client.post(LIST, bulk(chosen)))
    assert "Request reclaim of 2 seats" in asked and 'name="reason"' in asked
    assert not ReclaimRequest.objects.exists()

    response = client.post(LIST, bulk(chosen, confirmed="2", reason="True-up"))

    made = ReclaimRequest.objects.get()
    assert response["Location"] == page("reclaimrequest", "change", made.pk)
    assert (made.requested_by, made.reason, made.removals.count()) == (alice, "True-up", 2)


def test_all_across_the_pages(organization, alice, as_user, monkeypatch):
    monkeypatch.setattr("subscriptions.admin.candidates.candidate_admin.RemovalCandidateAdmin.list_per_page", 3)

    as_user(alice).post(LIST, bulk(ready(1), select_across="1", confirmed="8"))

    assert ReclaimRequest.objects.get().removals.count() == 8


def test_all_means_all_of_the_search(organization, alice, as_user):
    as_user(alice).post(f"{LIST}?q=person11", bulk(ready(1), select_across="1", confirmed="1"))

    assert [str(person) for person in ReclaimRequest.objects.get().removals.all()] == ["Person 11"]


def test_all_means_all_of_a_search_that_finds_very_many(organization, alice, as_user, monkeypatch):
    """However few of them are counted and looked up for the page."""
    monkeypatch.setattr("licensehub.ui.lists.counts.STOP", 2)
    monkeypatch.setattr("licensehub.ui.lists.search_results.STOP", 2)
    monkeypatch.setattr("subscriptions.admin.candidates.candidate_admin.RemovalCandidateAdmin.list_per_page", 3)
    assert "2+" in text_of(as_user(alice).get(f"{LIST}?q=northwind"))

    as_user(alice).post(f"{LIST}?q=northwind", bulk(ready(1), select_across="1", confirmed="8"))

    assert ReclaimRequest.objects.get().removals.count() == 8


def test_a_list_that_changed_is_shown_again(organization, alice, as_user):
    response = as_user(alice).post(LIST, bulk(ready(1), select_across="1", confirmed="9"))

    assert "8 of these people are Ready now" in text_of(response)
    assert not ReclaimRequest.objects.exists()


def test_people_who_are_requested_already(organization, alice, as_user):
    chosen = ready(2)
    organization.ask(alice, count=2)

    response = as_user(alice).post(LIST, bulk(chosen, confirmed="2"))

    assert response.status_code == 302
    assert ReclaimRequest.objects.count() == 1


@pytest.mark.parametrize("pk", ["abc", "9" * 30, "-1", "1' OR 1=1"])
def test_ids_that_no_page_of_ours_sends(organization, alice, as_user, pk):
    assert "is not valid" in said(as_user(alice).post(LIST, bulk([pk], confirmed="1")))
    assert not ReclaimRequest.objects.exists()


def test_a_paused_profile_is_a_sentence(organization, alice, as_user):
    organization.profile.state = "paused"
    organization.profile.save()

    response = as_user(alice).post(LIST, bulk(ready(2), confirmed="2"))

    assert "is paused" in said(response)
    assert not ReclaimRequest.objects.exists()


@pytest.mark.parametrize("who", ["bob", "carol", "dave"])
def test_who_may_not_request(organization, as_user, request, who):
    client = as_user(request.getfixturevalue(who))

    shown = client.get(LIST)
    client.post(LIST, bulk(ready(2), confirmed="2"))

    assert "Request reclaim" not in text_of(shown, status=403 if who == "dave" else 200)
    assert not ReclaimRequest.objects.exists()


def needing_attention() -> RemovalCandidate:
    row = RemovalCandidate.objects.first()
    row.state, row.attention = CandidateState.ATTENTION_REQUIRED, "Miro refused: last admin of the team “Ops”."
    row.save()
    return row


def test_miros_words_and_the_two_ways_on(organization, alice, as_user):
    row = needing_attention()

    shown = text_of(as_user(alice).get(page("removalcandidate", "change", row.pk)))

    assert "last admin of the team “Ops”" in shown and "Resume" in shown and "Leave alone" in shown


@pytest.mark.parametrize(("act", "state"), [("resume", "ready"), ("leave", "closed_skipped")])
def test_the_two_ways_on(organization, alice, as_user, act, state):
    row = needing_attention()
    client = as_user(alice)

    client.get(page("removalcandidate", act, row.pk))
    row.refresh_from_db()
    assert row.state == "attention_required"

    first = said(client.post(page("removalcandidate", act, row.pk)))
    again = said(client.post(page("removalcandidate", act, row.pk)))

    row.refresh_from_db()
    assert row.state == state
    assert str(row) in first and "Nothing was changed" in again


@pytest.mark.parametrize("act", ["resume", "leave"])
@pytest.mark.parametrize("who", ["bob", "carol", "dave"])
def test_who_may_not_go_on(organization, as_user, request, act, who):
    row = needing_attention()

    response = as_user(request.getfixturevalue(who)).post(page("removalcandidate", act, row.pk))

    assert response.status_code == 403
    row.refresh_from_db()
    assert row.state == "attention_required"


@pytest.mark.parametrize("model", ["removalcandidate", "reclaimrequest", "reclaim"])
def test_nobody_edits_records(organization, admin_user, as_user, model):
    asked = organization.ask(admin_user)
    pk = asked.pk if model == "reclaimrequest" else ready(1)[0]
    client = as_user(admin_user)

    assert client.get(f"/admin/subscriptions/{model}/add/").status_code == 403
    if model != "reclaim":
        assert client.post(page(model, "change", pk), {"state": "ready"}).status_code == 403
        assert client.post(page(model, "delete", pk), {"post": "yes"}).status_code == 403


def test_states_that_nobody_is_in(empty_organization, alice, as_user):
    client = as_user(alice)

    assert "Nobody is ready to be reclaimed" in text_of(client.get(LIST))
    assert "Nothing needs your attention" in text_of(client.get(f"{LIST}?state__exact=attention_required"))
    assert "No matching candidates" in text_of(client.get(f"{LIST}?q=nobody"))


@pytest.mark.parametrize(
    "query", ["idle=90", "idle=never", "idle=x", "license=full", "license=x", "profile=1", "state__in="]
)
def test_filters_never_break(organization, alice, as_user, query):
    assert as_user(alice).get(f"{LIST}?{query}", follow=True).status_code == 200


def test_filters_find_their_people(empty_organization, alice, as_user):
    """At the limits of the bands, and by department and cost center, also of the list of all people."""
    places = {
        80: ("Sales", "K1"),
        89: ("Sales", ""),
        90: ("", "K1"),
        179: ("Design & Art", "K1"),
        180: ("", ""),
        360: ("Sales", "K2"),
    }
    for days, (department, center) in places.items():
        empty_organization.hire(days, idle=days, department=department, cost_center=center)
    empty_organization.hire(1, idle=1, last_activity_at=None)
    ReclaimRule.objects.update(never_active="candidate")
    empty_organization.propose()
    client = as_user(alice)

    def found(model: str, query: str) -> list[int]:
        rows = client.get(page(model, "changelist") + f"?{query}").context["cl"].result_list
        return sorted(int(getattr(row, "subscription", row).name.removeprefix("Person ")) for row in rows)

    assert found("removalcandidate", "") == [1, *places]
    bands = {query: found("removalcandidate", f"idle={query}") for query in ("0", "90", "180", "360", "never")}
    # Who was never active counts from the day of the license.
    assert bands == {"0": [80, 89], "90": [90, 179], "180": [180], "360": [1, 360], "never": [1]}
    for model in ("removalcandidate", "subscription"):
        assert found(model, "department=Sales") == [80, 89, 360], model
        assert found(model, "department=Design+%26+Art") == [179], model
        assert found(model, "department=-") == [1, 90, 180], model
        assert found(model, "cost_center=K1&department=Sales") == [80], model
        assert found(model, "department=Nowhere") == [], model


def test_the_tab_of_protected_people_counts_the_rows_of_its_list(organization, alice, as_user):
    Evaluation.objects.filter(subscription__name__in=["Person 1", "Person 2"]).update(verdict="cannot_be_removed")
    Evaluation.objects.filter(subscription__name="Person 3").update(verdict="protected")
    client = as_user(alice)

    assert "<strong>Protected or not removable</strong><b>3</b>" in text_of(client.get(LIST))
    listed = text_of(client.get(page("subscription", "changelist") + "?verdict=cannot_be_removed,protected"))
    assert all(f"Person {number}<" in listed for number in (1, 2, 3)) and "Person 4<" not in listed


def test_the_cap_stands_beside_the_button(organization, alice, as_user):
    ReclaimRule.objects.update(batch_cap_people=2)
    client = as_user(alice)

    assert 'data-cap="2"' in text_of(client.get(LIST))
    within, over = text_of(client.post(LIST, bulk(ready(2)))), text_of(client.post(LIST, bulk(ready(3))))
    assert "More than the cap" not in within
    assert "2 requests of at most 2 people" in over and "One request with the first 2 people" in over
    assert "1 person stays Ready." in over and "another person has to raise its cap" in over


def test_more_people_than_the_cap_are_requested_only_in_a_chosen_way(organization, alice, as_user):
    """Without a choice, or if the cap has changed since the page, nothing is requested, and the page comes again."""
    ReclaimRule.objects.update(batch_cap_people=2)
    client, five = as_user(alice), bulk(ready(5), confirmed="5")

    for sent in ({}, {"split": "several"}, {"split": "several", "caps": "3"}, {"split": "all", "caps": "2"}):
        shown = text_of(client.post(LIST, {**five, **sent}))
        assert "The cap of one request has changed. Choose again." in shown and 'name="caps" value="2"' in shown
    assert not ReclaimRequest.objects.exists()

    told = said(client.post(LIST, {**five, "split": "several", "caps": "2"}))

    first, last = ReclaimRequest.objects.order_by("pk")[0], ReclaimRequest.objects.order_by("pk")[2]
    assert told == f"3 requests, {first} to {last}, ask for 5 seats. Another person has to approve each."
    assert [request.removals.count() for request in ReclaimRequest.objects.order_by("pk")] == [2, 2, 1]
    told = said(client.post(LIST, {**bulk(ready(3), confirmed="3"), "split": "first", "caps": "2"}))
    assert "asks for 2 seats" in told and RemovalCandidate.objects.filter(state="ready").count() == 1


def test_whether_people_are_asked_is_said_before_the_request(organization, alice, as_user):
    ReclaimRule.objects.update(notify_user=True, days_to_answer=9)

    assert "first asked by mail, and has 9 days" in text_of(as_user(alice).post(LIST, bulk(ready(2))))


def test_protecting_is_offered_to_whoever_may(organization, alice, bob, as_user):
    assert "Protect…" in text_of(as_user(alice).get(LIST))
    assert "Protect…" not in text_of(as_user(bob).get(LIST))


def test_no_question_per_row(organization, alice, as_user):
    client = as_user(alice)
    one, six = questions(client, f"{LIST}?q=person11"), questions(client, f"{LIST}?q=person")

    assert six <= one <= questions(client, LIST) <= 26


def test_hostile_names_stay_text(empty_organization, alice, as_user):
    empty_organization.hire(1, idle=100, name="<script>alert(1)</script>", department="<b>x")
    empty_organization.propose()

    for shown in (LIST, page("removalcandidate", "change", ready(1)[0])):
        assert "<script>alert(1)" not in text_of(as_user(alice).get(shown))


def test_people_who_can_be_requested_are_and_each_other_person_is_named(organization, alice, as_user):
    """One of ten people is the requester, one is requested already, and two belong to a profile that is paused."""
    client, chosen = as_user(alice), ready(8)
    organization.ask(alice, count=1)
    mine = RemovalCandidate.objects.get(pk=chosen[1])
    Subscription.objects.filter(pk=mine.subscription_id).update(email="Alice@northwind.example")
    other = IntegrationProfile.objects.create(
        name="Paused one", organization_id="9", kind=organization.profile.kind, state="paused"
    )
    RemovalCandidate.objects.filter(pk__in=chosen[6:]).update(profile=other)

    asked = text_of(client.post(LIST, bulk(chosen)))
    assert "Request reclaim of 4 seats" in asked
    answer = client.post(LIST, bulk(chosen, confirmed="4"))

    made = ReclaimRequest.objects.latest("pk")
    assert made.removals.count() == 4 and not made.removals.filter(candidate=mine).exists()
    for text in (asked, said(answer)):
        assert f"1 person is left out ({mine.subscription}): Your own seat" in text
        assert "1 person is left out (Person 11): Not Ready any more." in text
        assert (
            "2 people are left out (Person 5, Person 4)" in text or "2 people are left out (Person 4, Person 5)" in text
        )


def test_several_profiles_get_a_request_each(organization, alice, as_user):
    other = IntegrationProfile.objects.create(
        name="Other", organization_id="9", kind=organization.profile.kind, state="published"
    )
    ReclaimRule.objects.create(profile=other, licenses=["full"], batch_cap_people=1000, batch_cap_percent=100)
    chosen = ready(4)
    RemovalCandidate.objects.filter(pk=chosen[0]).update(profile=other)

    asked = text_of(as_user(alice).post(LIST, bulk(chosen)))
    assert "These people belong to 2 profiles" in asked
    as_user(alice).post(LIST, bulk(chosen, confirmed="4"))

    assert sorted((made.profile.name, made.removals.count()) for made in ReclaimRequest.objects.all()) == [
        ("Northwind", 3),
        ("Other", 1),
    ]


def test_nobody_is_left_to_request(organization, alice, as_user):
    chosen = ready(2)
    organization.ask(alice, count=2)
    assert "2 people are left out" in said(as_user(alice).post(LIST, bulk(chosen)))


def test_a_ready_candidate_is_requested_or_protected_on_its_own_page(organization, alice, carol, as_user):
    ready_one = RemovalCandidate.objects.filter(state="ready").first()
    address = page("removalcandidate", "change", ready_one.pk)
    ask = page("subscription", "request", ready_one.subscription_id)
    client = as_user(alice)
    shown = text_of(client.get(address))
    assert f'action="{ask}"' in shown and "Protect…" in shown
    assert "Request reclaim" not in text_of(as_user(carol).get(address)), "an auditor asks for nothing"
    answer = client.post(ask, follow=True)
    assert "asks for 1 seat" in text_of(answer)
    later = text_of(client.get(address))
    assert ask not in later and "Protect…" not in later, "it waits for a decision"


def test_a_switch_that_stops_requests_is_named_on_the_page_of_a_candidate(organization, alice, as_user):
    lifecycle.switch_reclaim(organization.profile, enabled=False, actor=None)
    address = page("removalcandidate", "change", RemovalCandidate.objects.filter(state="ready").first().pk)
    shown = text_of(as_user(alice).get(address))
    assert "disabled" in shown and "Request reclaim of 1 seat" in shown and "Open the candidate" not in shown
    assert "Reclaim subscriptions is switched off." in shown


def test_the_days_go_on_while_a_candidate_waits(organization, alice, as_user):
    """The day of the last activity and the reason stand in one row, and in one file: they count to the same day."""
    client = as_user(alice)
    row = RemovalCandidate.objects.get(subscription__name="Person 11")
    found = {**row.evidence, "why": "Inactive 94 days, 34 over the threshold.", "idle_days": 94}
    RemovalCandidate.objects.filter(pk=row.pk).update(evidence=found)

    shown = text_of(client.get(LIST))
    assert "111 days ago" in shown
    assert "Inactive 111 days, 51 over the threshold." in shown and "Inactive 94 days" not in shown
    exported = client.get(reverse("admin:subscriptions_removalcandidate_export", args=["csv"]))
    assert "Inactive 111 days, 51 over the threshold." in b"".join(exported.streaming_content).decode()

    # Evidence of an earlier version may lack a term. Then the default of the term counts.
    RemovalCandidate.objects.filter(pk=row.pk).update(evidence={**found, "terms": {}})
    assert "Inactive 111 days, 51 over the threshold." in text_of(client.get(LIST))
    RemovalCandidate.objects.filter(pk=row.pk).update(evidence=found)

    # What was decided on keeps the reason of its day.
    RemovalCandidate.objects.filter(pk=row.pk).update(state="closed_skipped")
    closed = text_of(client.get(f"{LIST}?state__in=closed_skipped"))
    assert "Inactive 94 days, 34 over the threshold." in closed
    assert RemovalCandidate.objects.get(pk=row.pk).evidence == found
