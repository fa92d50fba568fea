"""The tools of a list in a browser: filters with counts and chips, the order, and a list on a phone."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.models import Subscription
from subscriptions.reclaims.engine import reclaim_due
from subscriptions.search import refresh_search
from tests.browser.conftest import SCREENSHOTS
from tests.browser.test_everybody import severe
from tests.support.web.browser import sign_in

pytestmark = pytest.mark.browser

LIST = reverse("admin:subscriptions_subscription_changelist")


def names(page: Page) -> list[str]:
    return [line.split("\n")[0] for line in page.locator("#result_list .field-person").all_inner_texts()]


def query(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def picture(page: Page, name: str) -> None:
    """Take a picture of the window. A picture of the whole list would be too long."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png")


def test_filter_sort_and_take_a_filter_back(real_transactions, world, alice, live_server, browser_page):
    world.download()
    Subscription.objects.filter(pk__in=Subscription.objects.values("pk")[:7]).update(department="Design & Art")
    refresh_search(world.profile)
    full = Subscription.objects.filter(license="full").count()
    both = Subscription.objects.filter(license="full", department="Design & Art")
    page, base = browser_page, live_server.url
    sign_in(page, base, alice)
    page.goto(f"{base}{LIST}")

    page.get_by_role("button", name="Filters").click()
    choice = page.locator("#changelist-filter select[name=license] option[value=full]")
    expect(choice).to_have_text(f"Full ({full})")
    expect(page.locator('#lh-values-department option[value="Design & Art"]')).to_have_count(1)
    picture(page, "list-filters")
    page.locator("#changelist-filter select[name=license]").select_option("full")
    page.locator("#changelist-filter input[name=department]").fill("Design & Art")
    page.get_by_role("button", name="Apply Filters").click()
    chips = page.get_by_role("list", name="Active filters")
    expect(chips).to_contain_text("License: Full")
    expect(chips).to_contain_text("Department: Design & Art")
    assert len(names(page)) == both.count() > 1

    page.locator("#result_list thead").get_by_role("link", name="Person").click()
    expect(page.locator("#result_list th.sorted")).to_contain_text("Person")
    up = names(page)
    assert query(page)["o"] == ["person"] and up == sorted(up, key=str.casefold)
    page.locator("#result_list thead").get_by_role("link", name="Person").click()
    page.wait_for_url("**o=-person**")
    assert names(page) == up[::-1]
    picture(page, "list-chips")

    page.get_by_role("link", name="Remove the filter License: Full").click()
    page.wait_for_function("!location.search.includes('license')")
    expect(chips).not_to_contain_text("License")
    assert query(page) == {"department": ["Design & Art"], "o": ["-person"]}
    expect(page.locator(".lh-pagination-count")).to_have_text("7 subscriptions")


PHONE = {"width": 390, "height": 844}
PHONE_LISTS = ("subscription", "removalcandidate", "persontoreview", "reclaim")


def test_a_phone_shows_four_people_a_screen(real_transactions, world, alice, bob, live_server, browser_page):
    world.download()
    decide.approve(request_reclaim(world.candidates(6), actor=alice), actor=bob)
    reclaim_due(world.profile)
    page, base = browser_page, live_server.url
    sign_in(page, base, alice)
    page.set_viewport_size(PHONE)
    for name in PHONE_LISTS:
        page.goto(f"{base}{reverse(f'admin:subscriptions_{name}_changelist')}")
        rows = page.locator("#result_list tr.data-row")
        heights = [row.bounding_box()["height"] for row in rows.all()]
        assert len(heights) >= 4, name
        picture(page, f"phone-{name}")
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], name
        rows.first.evaluate("row => window.scrollTo(0, row.getBoundingClientRect().top + scrollY - 8)")
        boxes = [row.bounding_box() for row in rows.all()]
        whole = [box for box in boxes if box["y"] >= 0 and box["y"] + box["height"] <= PHONE["height"]]
        assert len(whole) >= 4, (name, heights[:5])


def test_choose_columns_save_a_view_and_share_it(
    real_transactions, world, alice, bob, live_server, browser_page, new_page
):
    world.download()
    page, base = browser_page, live_server.url
    sign_in(page, base, alice)
    page.goto(f"{base}{LIST}?license=full")

    page.locator("summary", has_text="Columns").click()
    page.get_by_label("Manager", exact=True).check()
    page.get_by_role("button", name="Move Manager up").click()
    page.get_by_label("Assigned since", exact=True).uncheck()
    picture(page, "list-columns")
    page.get_by_role("button", name="Show these columns").click()
    heads = page.locator("#result_list thead")
    expect(heads).to_contain_text("Manager")
    expect(heads).not_to_contain_text("Assigned since")
    page.goto(f"{base}{LIST}?license=full")
    expect(heads).to_contain_text("Manager")

    page.locator("summary", has_text="Views").click()
    page.get_by_label("Name", exact=True).fill("Full seats")
    page.get_by_label("Share with everybody").check()
    picture(page, "list-views")
    page.get_by_role("button", name="Save as a new view").click()
    expect(page.get_by_text("The view “Full seats” is saved.")).to_be_visible()
    page.get_by_role("link", name="Remove the filter License: Full").click()
    expect(page.locator("summary", has_text="Full seats (changed)")).to_be_visible()

    other = new_page()
    sign_in(other, base, bob)
    other.goto(f"{base}{LIST}")
    expect(other.locator("#result_list thead")).not_to_contain_text("Manager")
    other.locator("summary", has_text="Views").click()
    other.get_by_role("link", name="Full seats shared by").click()
    expect(other.get_by_role("list", name="Active filters")).to_contain_text("License: Full")
    expect(other.locator("#result_list thead")).to_contain_text("Manager")
    other.locator("summary", has_text="Full seats").click()
    expect(other.get_by_role("button", name="Save as a new view")).to_be_visible()
    expect(other.get_by_role("button", name="Delete")).to_have_count(0)
    assert severe(other) == []
    other.keyboard.press("Escape")
    expect(other.get_by_role("button", name="Save as a new view")).to_be_hidden()


def test_the_keyboard_alone_finds_a_person_a_request_and_a_page(
    real_transactions, world, alice, live_server, browser_page
):
    world.download()
    made = request_reclaim(world.candidates(2), actor=alice)
    someone = Subscription.objects.exclude(name="").exclude(email="").order_by("pk")[0]
    page, base = browser_page, live_server.url
    sign_in(page, base, alice)

    page.keyboard.press("Control+k")
    field = page.get_by_role("combobox", name="Search people, requests, runs and pages")
    expect(field).to_be_focused()
    expect(page.get_by_role("option", name="Protections")).to_be_visible()
    expect(page.get_by_role("option", name=made.number)).to_be_visible()
    page.keyboard.type(someone.email)
    person_found = page.get_by_role("option", name=someone.name)
    expect(person_found).to_have_attribute("aria-selected", "true")
    expect(field).to_have_attribute("aria-activedescendant", person_found.get_attribute("id"))
    expect(page.locator(".lh-find-status")).to_have_text("1 result")
    for theme in ("light", "dark"):
        page.evaluate("dark => document.documentElement.classList.toggle('dark', dark)", theme == "dark")
        page.wait_for_timeout(200)
        picture(page, f"find-{theme}")
        assert severe(page) == [], theme
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{base}{reverse('admin:subscriptions_subscription_change', args=[someone.pk])}")

    page.wait_for_load_state()
    page.keyboard.press("Control+k")
    expect(page.get_by_role("option", name="Protections")).to_be_visible()
    page.keyboard.press("ArrowUp")
    chosen = page.locator("#lh-find-results [aria-selected=true]")
    expect(chosen).to_have_attribute("id", page.locator("#lh-find-results [role=option]").last.get_attribute("id"))
    page.keyboard.type(made.number)
    expect(page.get_by_role("option")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{base}{reverse('admin:subscriptions_reclaimrequest_change', args=[made.pk])}")

    page.wait_for_load_state()
    page.set_viewport_size(PHONE)
    page.locator(".lh-find-icon").click()
    expect(field).to_be_focused()
    picture(page, "find-phone")
    page.keyboard.press("Escape")
    expect(field).to_be_hidden()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Search people, requests, runs and pages")
