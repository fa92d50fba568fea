"""The preview beside a rule: what stands in the form, before anything is saved."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from subscriptions.eligibility.buckets import count_buckets
from subscriptions.eligibility.evaluate import evaluate_profile
from subscriptions.eligibility.terms import Terms, current_terms
from subscriptions.models import PastBucket, ReclaimRule, Subscription
from subscriptions.rules.rules import change_rule
from tests.support.people.members import member


@pytest.fixture
def rule(profile) -> ReclaimRule:
    now = timezone.now()
    for number, idle in enumerate((1, 40, 50, 70, 80, 90)):
        moment = now - timedelta(days=idle, hours=1)
        member(profile, number, last_activity_at=moment, license_assigned_at=now - timedelta(days=400))
    evaluate_profile(profile)
    count_buckets(profile)
    return profile.rule


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def asked(user: User, rule: ReclaimRule, **entries: str | list[str]):
    return signed_in(user).get(address_of(rule), entries)


def address_of(rule: ReclaimRule) -> str:
    return reverse("admin:subscriptions_reclaimrule_preview", args=[rule.pk])


def test_a_threshold_that_is_not_saved(rule, alice, django_assert_max_num_queries):
    client = signed_in(alice)
    with django_assert_max_num_queries(14):
        page = client.get(address_of(rule), {"last_activity_threshold": "45"})
    assert "1 more person would be a candidate: 3 at 60 days, 4 at 45 days." in page.content.decode()
    assert (
        "2 more people would be candidates: 3 at 60 days, 5 at 39 days."
        in asked(alice, rule, last_activity_threshold="39").content.decode()
    )
    assert "Nothing is saved yet." in page.content.decode()
    assert ReclaimRule.objects.get().last_activity_threshold == 60
    assert Subscription.objects.candidates().count() == 3


def test_it_foresees_what_saving_does(rule, alice):
    foreseen = asked(alice, rule, last_activity_threshold="45").context["verdicts"]
    change_rule(rule, actor=alice, changed={"last_activity_threshold": 45})
    evaluate_profile(rule.profile)
    assert Subscription.objects.candidates().count() == foreseen["candidate"] == 4


def test_it_names_who_would_be_new_and_says_what_changes(rule, alice, monkeypatch):
    """Those who are named become candidates when the rule is saved; nobody else does."""
    before = set(Subscription.objects.candidates().values_list("pk", flat=True))
    shown = asked(alice, rule, last_activity_threshold="39")
    named = [person["pk"] for person in shown.context["newly"]["first"]]
    text = shown.content.decode()
    assert len(named) == 2 and all(f"/subscription/{pk}/change/" in text for pk in named)
    changes = {bar.label: bar.change for bar in shown.context["funnel"] if bar.change}
    assert changes == {"Active lately": "2 fewer", "Inactive, candidates": "2 more"}
    drawn = shown.context["histogram"]
    assert {shade.tone: count for shade, count in drawn.legend if count} == {"beyond": 3, "new": 2, "active": 1}
    assert drawn.saved_x > drawn.line_x and "dashed: the saved threshold" in text
    monkeypatch.setattr("subscriptions.admin.rules.rule_preview.NAMED_FIRST", 1)
    monkeypatch.setattr("subscriptions.admin.rules.rule_preview.MAX_NAMED", 1)
    assert asked(alice, rule, last_activity_threshold="39").context["newly"]["cut"] == 1

    change_rule(rule, actor=alice, changed={"last_activity_threshold": 39})
    evaluate_profile(rule.profile)
    assert set(Subscription.objects.candidates().values_list("pk", flat=True)) - before == set(named)


def test_the_saved_rule_changes_nothing_and_names_nobody(rule, alice, monkeypatch):
    shown = asked(alice, rule)
    assert shown.context["newly"] is None and not [bar for bar in shown.context["funnel"] if bar.change]
    assert shown.context["histogram"].saved_x is None
    monkeypatch.setattr("subscriptions.admin.rules.rule_preview.COUNTED_LIVE", 0)
    assert asked(alice, rule, last_activity_threshold="39").context["newly"] is None, "too many people to evaluate"


@pytest.mark.parametrize("entry", ["", "x", "-1", "0", "1e3", "99999999999999999999"])
def test_a_wrong_number_counts_as_saved(rule, alice, entry):
    page = asked(alice, rule, last_activity_threshold=entry)
    assert page.status_code == 200
    assert "3 seats are inactive by the saved rule." in page.content.decode()


@pytest.mark.parametrize("entry", ["3651", "99999999", "99999999999999999999"])
def test_a_grace_that_cannot_be_saved_counts_as_saved(rule, alice, entry):
    page = asked(alice, rule, new_joiner_grace=entry)
    assert page.status_code == 200
    assert "3 seats are inactive by the saved rule." in page.content.decode()


def test_all_terms_of_the_form(rule, alice):
    fields: dict[str, str | list[str]] = {
        "last_activity_threshold": "45",
        "licenses": ["full", "free"],
        "new_joiner_grace": "7",
        "never_active": "candidate",
        "license_thresholds-TOTAL_FORMS": "2",
        "license_thresholds-0-license": "full",
        "license_thresholds-0-last_activity_threshold": "75",
        "license_thresholds-1-license": "free",
        "license_thresholds-1-last_activity_threshold": "9",
        "license_thresholds-1-DELETE": "on",
    }
    page = asked(alice, rule, **fields)
    assert page.context["verdicts"] == {"candidate": 2, "active": 4}


def test_the_page_asks_for_it_without_the_token_of_the_form(rule, alice):
    client = Client()
    client.force_login(alice)
    page = client.get(reverse("admin:subscriptions_reclaimrule_change", args=[rule.pk])).content.decode()
    assert f'hx-get="{reverse("admin:subscriptions_reclaimrule_preview", args=[rule.pk])}"' in page
    assert 'hx-params="not csrfmiddlewaretoken"' in page
    assert "3 seats are inactive by the saved rule." in page


def test_a_reader_sees_the_saved_terms_and_a_stranger_nothing(rule, carol, dave):
    page = asked(carol, rule)
    assert page.status_code == 200
    assert "hx-get" not in page.content.decode()
    assert asked(dave, rule).status_code == 403
    assert current_terms(rule.profile_id) == Terms.of(rule)


def test_it_says_how_many_would_have_come_back(rule, alice):
    """The number stands beside any threshold. If the history is too short, a sentence says so."""
    page = asked(alice, rule, last_activity_threshold="45").content.decode()
    assert "The first answer is possible on" in page or "The next download counts it." in page
    now = timezone.now()
    for idle, people, came_back, reclaimed in ((40, 3, 3, 0), (50, 20, 5, 4), (70, 1300, 8, 0)):
        moment = now - timedelta(days=idle)
        PastBucket.objects.create(
            profile=rule.profile, counted_at=now, days=60, moment=now - timedelta(days=61), license="full",
            idle_since=moment, last_activity_at=moment, people=people, came_back=came_back, reclaimed=reclaimed,
        )  # fmt: skip
    page = asked(alice, rule, last_activity_threshold="45").content.decode()
    assert "60 days ago" in page
    assert "1,316" in page
    assert "13 (1 %)" in page
    assert "up to 4 people whose seats were reclaimed meanwhile" in page
    page = asked(alice, rule, last_activity_threshold="60").content.decode()
    assert ">1,300<" in page
    assert "8 (1 %)" in page
    page = asked(alice, rule, last_activity_threshold="90").content.decode()
    assert '<td class="lh-number">0</td>' in page
    page = asked(alice, rule, new_joiner_grace="91").content.decode()
    assert "Not counted for a grace of more than 90 days." in page
