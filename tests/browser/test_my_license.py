"""*My license* in a real browser without JavaScript: on a phone and wide, light and dark, and in one click each."""

from __future__ import annotations

from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from subscriptions.models import RequestedRemoval
from tests.support.people.notices import Asking, asking, mail_server, people

pytestmark = pytest.mark.browser

SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")

__all__ = ["asking", "mail_server"]


def open_page(
    browser: Browser, address: str, *, width: int, scheme: Literal["light", "dark"] = "light"
) -> tuple[Page, list[str]]:
    """The page, and what the browser complained about."""
    context = browser.new_context(
        viewport={"width": width, "height": 844}, color_scheme=scheme, java_script_enabled=False
    )
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(address)
    return page, complaints


def fits(page: Page, width: int) -> bool:
    """Nothing stands beyond the right edge: no scrolling sideways."""
    boxes = [element.bounding_box() for element in page.locator("main *").all()]
    return all(box["x"] + box["width"] <= width for box in boxes if box)


def answer_of(person: RequestedRemoval) -> str:
    person.refresh_from_db()
    return person.answer


def test_keep_and_release(real_transactions, asking: Asking, live_server, browser, screenshot):
    first, other = people(asking.asked(2))
    address = live_server.url + asking.link(first)
    for width in (390, 1440):
        for scheme in SCHEMES:
            page, complaints = open_page(browser, address, width=width, scheme=scheme)
            screenshot(page, f"my-license-{width}-{scheme}")
            assert fits(page, width)
            assert complaints == []
    assert answer_of(first) == ""

    page.get_by_role("button", name="Release my license").click()
    expect(page.get_by_role("heading", name="You release your Miro license")).to_be_visible()
    assert answer_of(first) == "release"
    page.get_by_role("button", name="Keep my license").click()
    expect(page.get_by_role("heading", name="You keep your Miro license")).to_be_visible()
    expect(page.get_by_role("button")).to_have_count(0)
    assert answer_of(first) == "keep"

    page, _ = open_page(browser, live_server.url + asking.link(other), width=390)
    page.get_by_role("button", name="Keep my license").click()
    expect(page.get_by_role("heading", name="You keep your Miro license")).to_be_visible()
    screenshot(page, "my-license-kept")
    assert answer_of(other) == "keep"
