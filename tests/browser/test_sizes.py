"""Pages from a phone to a wide screen: what fits, what stays beside what, and letters of one size."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import Page, ViewportSize, expect

from subscriptions.models import Subscription
from subscriptions.money.contracts import ContractInput, save_contract, version_of
from tests.browser.test_everybody import severe
from tests.subscriptions.admin.money.test_contract_admin import PAGE, weeks_of_downloads
from tests.support.fixtures import person
from tests.support.web.browser import sign_in

pytestmark = pytest.mark.browser

PHONE: ViewportSize = {"width": 360, "height": 800}
WIDE: ViewportSize = {"width": 1920, "height": 1000}
# The size of the letters of a chart as the screen shows them.
LETTERS = """() => [...document.querySelectorAll('svg.lh-chart text:not(.lh-end)')]
    .filter((text) => text.checkVisibility()).map((text) =>
    parseFloat(getComputedStyle(text).fontSize) * text.getScreenCTM().a)"""
FITS = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"


@pytest.fixture
def page(real_transactions, world, live_server, browser_page: Page) -> Page:
    world.download()
    Subscription.objects.update(department="Customer Success", cost_center="CC-5310")
    sign_in(browser_page, live_server.url, person("ada", "Company admin"))
    return browser_page


def test_the_report_of_a_month_fits_on_a_phone(page, live_server, screenshot):
    page.set_viewport_size(PHONE)
    page.goto(f"{live_server.url}/admin/subscriptions/monthlyreport/")
    table = page.locator("section:has(> .lh-report-table)")
    expect(table).to_contain_text("Customer Success")
    assert page.evaluate(FITS) and table.evaluate("one => one.scrollWidth <= one.clientWidth")
    assert not severe(page)
    screenshot(page, "report-360")
    page.set_viewport_size(WIDE)
    expect(page.get_by_role("columnheader", name="Cost center")).to_be_visible()


def test_a_phone_shows_the_whole_name_of_a_page_and_a_way_to_the_page_above(page, world, live_server):
    page.set_viewport_size(PHONE)
    page.goto(f"{live_server.url}/admin/integrations/integrationprofile/{world.profile.pk}/change/")
    name = page.locator("#header-inner h1 > :last-child")
    expect(name).to_have_text(world.profile.name)
    assert name.evaluate("one => one.scrollWidth <= one.clientWidth")
    page.get_by_role("link", name="Integration profiles", exact=True).locator("visible=true").click()
    expect(page).to_have_url(f"{live_server.url}/admin/integrations/integrationprofile/")


@pytest.mark.parametrize("width", [1280, 1440, 1920])
def test_the_buttons_of_both_halves_of_a_profile(page, world, live_server, width):
    """No switch is alone on a second line, and both *Run now* begin at one height."""
    page.set_viewport_size({"width": width, "height": 1000})
    page.goto(f"{live_server.url}/admin/integrations/integrationprofile/{world.profile.pk}/change/")
    tops = {
        name: [box["y"] for one in page.get_by_role("button", name=name).all() if (box := one.bounding_box())]
        for name in ("Run now", "Stop sending", "Switch reclaim off")
    }
    assert len(tops["Run now"]) == 2 and len(set(tops["Run now"])) == 1
    assert tops["Stop sending"] == tops["Switch reclaim off"]


def test_letters_of_charts_have_one_size(page, world, live_server):
    """A chart grows with its card. Its letters grew, too: 17 pixels in a wide window."""
    today = timezone.localdate()
    dates = (today - timedelta(days=300), today + timedelta(days=98), today + timedelta(days=38))
    wanted = ContractInput("full", 20, *dates)
    save_contract(world.profile, wanted, seen=version_of(None), actor=User.objects.get(username="ada"))
    weeks_of_downloads(world, [20, 21, 23, 22, 24, 25, 24, 26, 27])
    rule = f"/admin/subscriptions/reclaimrule/{world.profile.rule.pk}/change/"
    for address, charts in (("/admin/", 1), (PAGE, 2), (rule, 1)):
        page.goto(f"{live_server.url}{address}")
        expect(page.locator("svg.lh-chart")).to_have_count(charts)
        for width in (360, 768, 1024, 1280, 1440, 1920):
            page.set_viewport_size({"width": width, "height": 1000})
            sizes = page.evaluate(LETTERS)
            assert sizes, (address, width)
            assert min(sizes) >= 10 and max(sizes) <= 14.5, (address, width, min(sizes), max(sizes))
