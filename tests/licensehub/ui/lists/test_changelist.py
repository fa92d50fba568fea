"""Every list: a few queries whatever its size, pages by key in the address, and the same rows in the export."""

from __future__ import annotations

import html
import logging
import re
from collections import Counter
from urllib.parse import parse_qs

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from unfold.admin import checkbox

from licensehub.ui.lists.counts import Count
from subscriptions.candidates.propose import propose_candidates
from subscriptions.eligibility.evaluate import evaluate_profile
from subscriptions.models import RemovalCandidate, SearchText, Subscription
from subscriptions.search import refresh_search
from tests.support.data import cached_world

LISTS = {
    "subscriptions_subscription": 21,
    "subscriptions_removalcandidate": 24,
    "subscriptions_reclaimrequest": 16,
    "subscriptions_reclaim": 16,
    "subscriptions_downloadrun": 14,
    "audit_auditevent": 12,
    "auth_user": 16,
    "integrations_integrationprofile": 18,
    "integrations_connection": 14,
    "subscriptions_reclaimrule": 14,
}
STEP = re.compile(r'href="(\?[^"]*)"><span class="material-symbols-outlined" aria-hidden="true">[a-z_]+</span>(\w+)<')


@pytest.fixture
def client(bucket, profile, request) -> Client:
    def make() -> None:
        refresh_search(profile)
        evaluate_profile(profile)
        propose_candidates(profile.download_runs.get())

    cached_world.current().scene(request, make)
    signed_in = Client()
    signed_in.force_login(User.objects.create_superuser("admin", "admin@northwind.example", "a long password"))
    return signed_in


def links(response) -> dict[str, str]:
    return {label: html.unescape(address) for address, label in STEP.findall(response.content.decode())}


def shown(response) -> list[int]:
    return [row.pk for row in response.context["cl"].result_list]


@pytest.mark.parametrize(("name", "most"), LISTS.items())
def test_few_queries(client, name, most, django_assert_max_num_queries):
    address = reverse(f"admin:{name}_changelist")
    client.get(address)
    with django_assert_max_num_queries(most):
        assert client.get(address).status_code == 200
    with django_assert_max_num_queries(most + 3):
        assert client.get(address, {"q": "person"}).status_code == 200


# A search that finds more than the stop is read by key, like a list that is not searched.
@pytest.mark.parametrize("stop", [10_000, 20])
@pytest.mark.parametrize(
    "query",
    [
        *("", "q=northwind", "license=full&seat=held", "o=-activity", "q=northwind&o=-activity"),
        *("o=person", "o=-person", "o=department_shown", "o=-department_shown", "q=northwind&o=-cost_center_shown"),
    ],
)
def test_through_all_pages_and_back(client, query, stop, monkeypatch):
    monkeypatch.setattr("licensehub.ui.lists.counts.STOP", stop)
    monkeypatch.setattr("subscriptions.admin.subscriptions.subscription_admin.SubscriptionAdmin.list_per_page", 17)
    address = reverse("admin:subscriptions_subscription_changelist")
    response = client.get(f"{address}?{query}")
    assert "Previous" not in links(response)
    forwards = [shown(response)]
    while "Next" in links(response):
        response = client.get(address + links(response)["Next"])
        forwards.append(shown(response))
    assert sorted(pk for page in forwards for pk in page) == sorted(Subscription.objects.values_list("pk", flat=True))
    backwards = [shown(response)]
    while "Previous" in links(response):
        response = client.get(address + links(response)["Previous"])
        backwards.append(shown(response))
    assert [pk for page in reversed(backwards) for pk in page] == [pk for page in forwards for pk in page]
    order = response.context["cl"].order.terms()
    assert [pk for page in forwards for pk in page] == list(
        Subscription.objects.order_by(*order).values_list("pk", flat=True)
    )


@pytest.mark.parametrize("query", ["", "?q=northwind"])
def test_first_and_last(client, query, monkeypatch):
    monkeypatch.setattr("subscriptions.admin.subscriptions.subscription_admin.SubscriptionAdmin.list_per_page", 11)
    address = reverse("admin:subscriptions_subscription_changelist")
    one = client.get(address + query)
    last = client.get(address + links(one)["Last"])
    everybody = list(Subscription.objects.order_by(*one.context["cl"].order.terms()).values_list("pk", flat=True))
    assert shown(last) == everybody[-11:]
    assert shown(client.get(address + links(last)["First"])) == shown(one)
    assert "1–11 of 60 subscriptions" in one.content.decode()
    assert "50–60 of 60 subscriptions" in last.content.decode()
    assert "39–49 of 60 subscriptions" in client.get(address + links(last)["Previous"]).content.decode()


def test_a_page_far_away_says_after_how_many(client, monkeypatch):
    """Rows before a page are counted up to the limit of the list itself."""
    monkeypatch.setattr("subscriptions.admin.subscriptions.subscription_admin.SubscriptionAdmin.list_per_page", 11)
    monkeypatch.setattr("licensehub.ui.lists.counts.STOP", 25)
    monkeypatch.setattr("licensehub.ui.lists.counts.EXACT_UP_TO", 25)
    address = reverse("admin:subscriptions_subscription_changelist") + "?license=full"
    base, said, whole = address.partition("?")[0], [], client.get(address).context["cl"].counted.words
    for label in ("Next", "Next", "Next", "Last"):
        response = client.get(address)
        said.append(response.context["cl"].position)
        address = base + links(response)[label]
    assert said == [
        *(f"{span} of {whole} subscriptions" for span in ("1–11", "12–22", "23–33")),
        f"11 after the first 25 of {whole} subscriptions",
    ]
    assert client.get(address).context["cl"].position == f"the last 11 of {whole} subscriptions"


def test_new_people_have_no_texts_yet_and_come_last(client):
    """New people get their texts in the last step of a download. A person without department comes last, too."""
    address = reverse("admin:subscriptions_subscription_changelist")
    new, empty = Subscription.objects.order_by("-pk")[:2]
    SearchText.objects.filter(pk=new.pk).delete()
    Subscription.objects.exclude(pk=empty.pk).update(department="Sales")
    SearchText.objects.exclude(pk=empty.pk).update(department="Sales")
    for order in ("person", "-person", "department_shown", "-department_shown"):
        rows = shown(client.get(address, {"o": order, "p": "last"}))
        assert new.pk in rows[-2:], order
        assert "department" not in order or set(rows[-2:]) == {new.pk, empty.pk}, order


def test_who_left_what_was_found_still_marks_the_place(client, monkeypatch):
    monkeypatch.setattr("subscriptions.admin.subscriptions.subscription_admin.SubscriptionAdmin.list_per_page", 11)
    address = reverse("admin:subscriptions_subscription_changelist")
    one = client.get(f"{address}?q=northwind")
    second = shown(client.get(address + links(one)["Next"]))
    SearchText.objects.filter(pk=shown(one)[-1]).update(text="somebody else")
    assert shown(client.get(address + links(one)["Next"])) == second


def test_the_last_page_of_a_few(client, monkeypatch):
    monkeypatch.setattr("subscriptions.admin.subscriptions.subscription_admin.SubscriptionAdmin.list_per_page", 13)
    address = reverse("admin:subscriptions_subscription_changelist")
    every = shown(client.get(address, {"q": "person1"}))
    assert len(every) == 11
    assert shown(client.get(address, {"q": "person1", "p": "last"})) == every


@pytest.mark.parametrize("name", ["subscription", "removalcandidate", "reclaim", "reclaimrequest"])
def test_a_search_looks_once(client, name):
    """For the page, its count and all tabs together; and for the keys without any join."""
    with CaptureQueriesContext(connection) as asked:
        client.get(reverse(f"admin:subscriptions_{name}_changelist"), {"q": "northwind"})
    texts = [query["sql"] for query in asked.captured_queries if 'FROM "subscriptions_searchtext"' in query["sql"]]
    assert len(texts) == 1
    assert name == "reclaimrequest" or "JOIN" not in texts[0]


def counts(response) -> dict[str, str]:
    return {tab["label"]: str(tab["count"]) for tab in response.context["cl"].tabs}


@pytest.mark.parametrize("name", ["removalcandidate", "reclaimrequest", "persontoreview"])
def test_another_tab_keeps_the_filters(client, name):
    """The name of a filter may begin like the parameter of the page."""
    page = client.get(reverse(f"admin:subscriptions_{name}_changelist"), {"profile": "1", "q": "person", "p": "last"})
    for tab in page.context["cl"].tabs:
        kept = parse_qs(tab["url"].removeprefix("?"))
        assert (kept["profile"], kept["q"], kept.get("p")) == (["1"], ["person"], None), tab["label"]


def test_the_tabs_count_what_is_found(client, monkeypatch):
    address = reverse("admin:subscriptions_removalcandidate_changelist")
    RemovalCandidate.objects.filter(pk=RemovalCandidate.objects.first().pk).update(state="closed_canceled")
    ready = RemovalCandidate.objects.filter(state="ready").count()
    few = client.get(address, {"q": "northwind"})
    assert counts(few) == {**dict.fromkeys(counts(few), "0"), "Ready": str(ready), "Closed": "1"}
    assert len(shown(few)) == ready
    assert f"{ready} removal candidates" in few.content.decode()
    assert f"{ready} removal candidates" in client.get(address, {"q": "northwind", "p": "last"}).content.decode()
    monkeypatch.setattr("licensehub.ui.lists.search_results.STOP", 5)
    many = client.get(address, {"q": "northwind"})
    some = {label: int(count.rstrip("+").replace("?", "0")) for label, count in counts(many).items()}
    assert sum(some.values()) == 5
    assert all(count in (f"{some[label]}+", "?") for label, count in counts(many).items())
    assert shown(many) == shown(few)
    assert f"more than {some['Ready']} removal candidates" in many.content.decode()
    assert "0 removal candidates" in client.get(address, {"q": "northwind", "state__exact": "x"}).content.decode()


def test_a_search_that_finds_very_many_says_so(client, monkeypatch):
    address = reverse("admin:subscriptions_subscription_changelist")
    whole = shown(client.get(address))
    monkeypatch.setattr("licensehub.ui.lists.counts.STOP", 59)
    monkeypatch.setattr("licensehub.ui.lists.search_results.STOP", 20)
    many = client.get(address, {"q": "northwind"})
    assert "more than 59 subscriptions" in many.content.decode()
    assert shown(many) == whole
    filtered = client.get(address, {"q": "northwind", "license": "full"})
    assert "more than 20 subscriptions" in filtered.content.decode()
    assert shown(filtered) == whole
    assert "1 subscription<" in client.get(address, {"q": "person12"}).content.decode()


def test_a_filter_and_the_order_stay(client, monkeypatch):
    monkeypatch.setattr("subscriptions.admin.subscriptions.subscription_admin.SubscriptionAdmin.list_per_page", 11)
    address = reverse("admin:subscriptions_subscription_changelist")
    on = links(client.get(f"{address}?license=full&o=-activity"))["Next"]
    assert "license=full" in on
    assert "o=-activity" in on


@pytest.mark.parametrize("page", ["2", "0", "-1", "after-", "after-nonsense", "before-W10", "lastly", "x"])
def test_a_page_of_nobodys_making_leads_to_the_first(client, page):
    response = client.get(reverse("admin:subscriptions_subscription_changelist"), {"p": page})
    assert response.status_code == 302
    assert response.url.endswith("?e=1")


@pytest.mark.parametrize("name", ["subscription", "removalcandidate"])
def test_nothing_is_looked_for_in_vain_with_every_row(client, name, caplog):
    """Django looks through all that an object has before it gives up; with each row that takes longer than drawing."""
    caplog.set_level(logging.DEBUG, "django.template")
    rows = shown(client.get(reverse(f"admin:subscriptions_{name}_changelist")))
    missed = Counter(record.args[0] for record in caplog.records if record.msg.startswith("Exception while resolving"))
    assert missed
    assert {word: times for word, times in missed.items() if times >= len(rows)} == {}


def test_the_boxes_are_those_of_unfold(client):
    page = client.get(reverse("admin:subscriptions_removalcandidate_changelist"))
    rows = shown(page)
    assert rows
    assert all(str(checkbox.render("_selected_action", str(pk))) in page.content.decode() for pk in rows)


def test_an_honest_more(client, monkeypatch):
    """The count under a filter: up to the limit of the count, or PostgreSQL's estimate."""
    monkeypatch.setattr("licensehub.ui.lists.counts.STOP", 59)
    monkeypatch.setattr("licensehub.ui.lists.counts.EXACT_UP_TO", 20)
    monkeypatch.setattr("subscriptions.admin.subscriptions.subscription_admin.SubscriptionAdmin.list_per_page", 11)
    page = client.get(reverse("admin:subscriptions_subscription_changelist"), {"license": "full"}).content.decode()
    more = r"about \d+" if connection.vendor == "postgresql" else "more than 59"
    assert re.search(rf">1–11 of {more} subscriptions", page)


def test_all_of_very_many_candidates_are_counted_before_somebody_asks(client, monkeypatch):
    Subscription.objects.filter(idle_since=None).update(license_assigned_at="2025-01-01T00:00:00Z")
    RemovalCandidate.objects.all().delete()
    profile = Subscription.objects.first().profile
    evaluate_profile(profile)
    propose_candidates(profile.download_runs.get())
    ready = RemovalCandidate.objects.filter(state="ready").count()
    monkeypatch.setattr("licensehub.ui.lists.counts.STOP", 20)
    monkeypatch.setattr("subscriptions.admin.candidates.candidate_admin.RemovalCandidateAdmin.list_per_page", 11)
    address = reverse("admin:subscriptions_removalcandidate_changelist")
    page = client.get(address).content.decode()
    assert "Select all 20+ matching" in page
    one = RemovalCandidate.objects.filter(state="ready").first()
    chosen = {"action": "request_reclaim", "select_across": "1", "_selected_action": one.pk, "index": "0"}
    assert f"Request reclaim of {ready} seats" in client.post(address, chosen).content.decode()


def test_the_export_has_the_rows_of_the_list_in_its_order(client):
    address = reverse("admin:subscriptions_subscription_export")
    lines = b"".join(client.get(address, {"o": "-activity"}).streaming_content).decode("utf-8-sig").splitlines()
    order = (
        client.get(reverse("admin:subscriptions_subscription_changelist"), {"o": "-activity"})
        .context["cl"]
        .order.terms()
    )
    ids = list(Subscription.objects.order_by(*order).values_list("external_id", flat=True))
    assert [line.split(",")[1] for line in lines[1:]] == ids


@pytest.mark.parametrize(
    "filters",
    [
        {"verdict": "candidate"},
        {"verdict": "candidate,unknown"},
        {"verdict": "not_evaluated"},
        {"verdict": "candidate,unknown", "license": "free"},
        {"verdict": "candidate,unknown", "q": "person1"},
        {"verdict": "candidate", "o": "-activity"},
    ],
    ids=str,
)
def test_a_list_of_verdicts_says_how_many_they_are(client, monkeypatch, filters):
    monkeypatch.setattr("subscriptions.admin.subscriptions.subscription_admin.SubscriptionAdmin.list_per_page", 3)
    some = list(Subscription.objects.candidates().values_list("pk", flat=True)[:5])
    Subscription.objects.filter(pk__in=some).update(license="free")
    response = client.get(reverse("admin:subscriptions_subscription_changelist"), filters)
    rows = response.context["cl"].queryset
    assert response.context["cl"].counted == Count(rows.count())
    assert len(shown(response)) == min(3, rows.count())


def test_each_row_leads_back_to_the_list(client):
    address = reverse("admin:subscriptions_subscription_changelist")
    response = client.get(address, {"q": "person12"})
    (row,) = shown(response)
    link = reverse("admin:subscriptions_subscription_change", args=[row])
    assert f'href="{link}?_changelist_filters=q%3Dperson12"' in response.content.decode()
    assert f'href="{address}?q=person12"' in client.get(f"{link}?_changelist_filters=q%3Dperson12").content.decode()
    (first, *_) = shown(client.get(address))
    plain = reverse("admin:subscriptions_subscription_change", args=[first])
    assert f'href="{plain}"' in client.get(address).content.decode()


@pytest.mark.parametrize(
    ("name", "query", "words"),
    [
        ("subscriptions_subscription", {"q": "nobody"}, "No matching subscriptions"),
        ("subscriptions_subscription", {"license": "standard"}, "No matching subscriptions"),
        ("audit_auditevent", {"q": "nobody"}, "No matching events"),
        ("auth_user", {"q": "nobody"}, "No matching users"),
        ("integrations_connection", {}, "No connections yet"),
    ],
)
def test_an_empty_list_offers_nothing_that_nobody_can_do(client, name, query, words):
    page = client.get(reverse(f"admin:{name}_changelist"), query).content.decode()
    assert words in page
    assert "Create a new item" not in page
    assert ("Clear search and filters" in page) == bool(query)
