"""A page in a real browser. Screenshots go to var/screenshots/."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.db import connections
from playwright.sync_api import Page, sync_playwright

from tests.support import chromium

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser

SCREENSHOTS = chromium.PROJECT / "var" / "screenshots"
PATIENCE_MS = 15_000


@pytest.fixture(scope="session")
def browser_program() -> Path:
    """Found or installed once."""
    return chromium.find_or_install()


@pytest.fixture
def browser(browser_program: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Browser]:
    """One Chromium for each test."""
    # Playwright's event loop runs in this thread, and Django would take the test for asynchronous code.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=str(browser_program), args=chromium.flags())
        yield running
        running.close()
        # Made under Playwright's event loop, and found by nobody outside of it.
        connections.close_all()


@pytest.fixture
def new_page(browser: Browser) -> Callable[[], Page]:
    """Each page is a person of its own, with cookies of its own."""

    def open_page() -> Page:
        page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        page.set_default_timeout(PATIENCE_MS)
        return page

    return open_page


@pytest.fixture
def browser_page(new_page: Callable[[], Page]) -> Page:
    """For tests with one person."""
    return new_page()


@pytest.fixture
def screenshot() -> Callable[[Page, str], Path]:
    """`screenshot(page, "name")` keeps a picture to look at."""

    def take(page: Page, name: str) -> Path:
        path = SCREENSHOTS / f"{name}.png"
        page.screenshot(path=path, full_page=True)
        return path

    return take
