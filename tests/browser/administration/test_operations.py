"""The page *Operations* in a browser: it follows by itself, fits a phone, and everybody can use it."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from integrations.models import CheckResult
from tests.support.fixtures import person
from tests.support.operations import an_evening
from tests.support.web.browser import sign_in

pytestmark = [pytest.mark.browser, pytest.mark.markup]
ADDRESS = "/admin/integrations/checkresult/"
LEFT = "all => all.map((one) => one.getBoundingClientRect().left)"


@pytest.mark.parametrize(("width", "locale", "theme"), [(1440, "en-US", "light"), (390, "de-DE", "dark")])
def test_it_is_readable_and_fits(
    real_transactions, world, valkey, live_server, browser: Browser, screenshot, width, locale, theme
):
    an_evening()
    page = browser.new_context(viewport={"width": width, "height": 1000}, locale=locale, color_scheme=theme).new_page()
    sign_in(page, live_server.url, person("nils", "Operator"))
    page.goto(f"{live_server.url}{ADDRESS}")
    first = {"en-US": "Mails are not sent", "de-DE": "E-Mails werden nicht gesendet"}[locale]
    expect(page.locator("#lh-first")).to_have_text(first)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    # Headings of all cards begin in one column, and an address is not broken inside of a word.
    assert len(set(page.locator(".lh-card h2:not(#lh-first)").evaluate_all(LEFT))) == 1 + (width > 640)
    address = page.locator(".lh-state-value", has_text="licenses.northwind.example").bounding_box()
    assert address
    assert address["height"] < 30
    violations = Axe().run(page).response["violations"]
    assert not [rule["id"] for rule in violations if rule["impact"] in ("serious", "critical")]
    screenshot(page, f"operations-{width}")


def test_it_follows_and_copies(real_transactions, live_server, browser: Browser):
    an_evening()
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    sign_in(page, live_server.url, person("nils", "Operator"))
    page.goto(f"{live_server.url}{ADDRESS}")
    page.click("#lh-copy-1-1")
    expect(page.locator("#lh-copy-1-1")).to_contain_text("Copied")
    assert page.input_value("#lh-command-1-1") == "sudo systemctl restart 'licensehub-worker@*'"
    page.focus("#lh-copy-1-1")
    CheckResult.objects.filter(check_id="mail").update(detail="The mail server answered: 421 too busy.")
    ask = "htmx.trigger(document.querySelector('.lh-operations'), 'lh-ask')"
    page.evaluate(ask)
    expect(page.locator("#lh-first + p + p")).to_have_text("The mail server answered: 421 too busy.")
    # Nobody loses their place by it.
    assert page.evaluate("document.activeElement.id") == "lh-copy-1-1"
    CheckResult.objects.filter(check_id="mail").update(level="ok", since=None)
    page.evaluate(ask)
    expect(page.locator("#lh-operations-status")).to_have_text("2 things to look at")
    expect(page.locator("#lh-operations-counts")).to_contain_text("2 to look at")
