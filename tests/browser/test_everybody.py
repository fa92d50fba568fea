"""Everybody can use the pages: with a keyboard, with a screen reader, and without a script what is possible."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from django.contrib import admin
from playwright.sync_api import Browser, Page, expect

from tests.support.fixtures import person
from tests.support.people.profile_states import ROLES
from tests.support.web.all_pages import prepare
from tests.support.web.browser import sign_in

pytestmark = pytest.mark.browser

SEVERE = ("serious", "critical")
# Only findings are written, and no rule of these reads the style sheets.
RUN = """axe.run({resultTypes: ["violations"], reporter: "no-passes", preload: {assets: ["media"]}})
    .then(results => results.violations)"""


def opened(browser: Browser, **options: Any) -> Page:
    """A page of a new person. All that it opens has axe: to send axe anew takes as long as to open a page."""
    context = browser.new_context(**options)
    context.add_init_script(AXE_SCRIPT)
    return context.new_page()


def severe(page: Page) -> list[str]:
    """The serious and critical findings of axe: rule, help and the elements."""
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(AXE_SCRIPT)
    return [
        f"{rule['id']}: {node['html'][:200]}"
        for rule in page.evaluate(RUN)
        if rule["impact"] in SEVERE
        for node in rule["nodes"]
    ]


def test_the_control_finds_a_picture_without_text_and_pale_words(browser):
    page = opened(browser)
    page.set_content('<html lang="en"><img src="x"><p style="color: #aaa; background: #bbb">Pale</p></html>')
    assert {line.partition(":")[0] for line in severe(page)} >= {"image-alt", "color-contrast"}


@pytest.mark.timeout(500)
@pytest.mark.markup
def test_no_page_has_a_serious_finding_of_axe(real_transactions, world, alice, bob, live_server, browser):
    page = opened(browser, viewport={"width": 1440, "height": 900})
    addresses, zoe = prepare(world, asks=alice, decides=bob).values(), person("zoe", "Company admin")
    page.goto(f"{live_server.url}/admin/")
    found = {"sign-in": severe(page)}
    sign_in(page, live_server.url, zoe)
    for address in addresses:
        page.goto(f"{live_server.url}{address}")
        for theme in ("light", "dark"):
            page.evaluate("dark => document.documentElement.classList.toggle('dark', dark)", theme == "dark")
            page.wait_for_timeout(200)  # colors change slowly
            found[f"{address} {theme}"] = severe(page)
    phone = opened(browser, viewport={"width": 390, "height": 844}, locale="de-DE")
    phone.goto(f"{live_server.url}/admin/")
    found["sign-in, German, on a phone"] = severe(phone)
    sign_in(phone, live_server.url, zoe)
    for address in addresses:
        phone.goto(f"{live_server.url}{address}")
        assert phone.locator("html").get_attribute("lang") == "de"
        found[f"{address}, German, on a phone"] = severe(phone)
    lines = [f"{address} {line}" for address, lines in found.items() for line in lines]
    assert not lines, "\n".join(lines)


@pytest.mark.timeout(500)
@pytest.mark.markup
def test_no_page_of_another_role_has_a_serious_finding(
    real_transactions, world, alice, bob, live_server, browser, monkeypatch
):
    """A role with fewer rights sees other buttons, and sentences in their place. German and English take turns.

    A few rows of each list are enough: the test before looks at all of them.
    """
    for its_admin in admin.site._registry.values():
        monkeypatch.setattr(its_admin, "list_per_page", 10)
    addresses, found, is_seen = prepare(world, asks=alice, decides=bob).values(), {}, False
    for number, role in enumerate(role for role in ROLES if role != "Company admin"):
        page = opened(browser, locale=("de-DE", "en-US")[number % 2])
        sign_in(page, live_server.url, person(f"role{number}", role))
        for address in addresses:
            answer = page.goto(f"{live_server.url}{address}")
            refused = answer is not None and answer.status in (403, 404)
            if not (refused and is_seen):
                found[f"{address} as {role}"] = severe(page)
            is_seen = is_seen or refused
    lines = [f"{address} {line}" for address, lines in found.items() for line in lines]
    assert not lines, "\n".join(lines)


def test_the_keyboard_reaches_what_the_mouse_reaches(real_transactions, world, alice, live_server, browser_page):
    page = browser_page
    world.download()
    sign_in(page, live_server.url, alice)
    page.goto(f"{live_server.url}/admin/subscriptions/removalcandidate/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    expect(page.get_by_role("main")).to_have_count(1)

    page.get_by_role("button", name="Filters").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#changelist-filter").get_by_text("License", exact=True)).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#changelist-filter").get_by_text("License", exact=True)).to_be_hidden()

    page.get_by_role("button", name=alice.email).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Log out")).to_be_visible()
    page.keyboard.press("Escape")

    # Keys for rows, which a person may switch off.
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("x")
    box = page.locator("input.action-select").nth(1)
    expect(box).to_be_checked()
    page.keyboard.press("a")
    expect(page.locator(".lh-bulk-main")).to_be_focused()
    page.get_by_role("button", name="Clear").click()
    expect(box).not_to_be_checked()
    page.keyboard.press("x")
    expect(box).to_be_checked()
    page.keyboard.press("?")
    expect(page.get_by_role("heading", name="Keys")).to_be_visible()
    page.get_by_label("Use these keys").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("x")
    expect(box).to_be_checked()


def test_without_a_script_a_person_can_sign_in_and_reads_what_is_needed(
    real_transactions, carol, live_server, browser: Browser
):
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(f"{live_server.url}/admin/")
    page.get_by_label("Username").fill(carol.username)
    page.locator("input[name=password]").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("do not belong together")).to_be_visible()
    page.locator("input[name=password]").fill(f"a long password of {carol.username}")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="This page needs JavaScript")).to_be_visible()
    expect(page.locator("#page")).to_be_hidden()
