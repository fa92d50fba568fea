"""A page in a real browser. Screenshots go to var/screenshots/."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.db import connections
from playwright.sync_api import Page, sync_playwright

from tests.support.web import chromium

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser

SCREENSHOTS = chromium.PROJECT / "var" / "screenshots"
MAX_WAIT_MS = 30_000


@pytest.fixture(scope="session")
def browser_program() -> Path:
    """Found or installed once."""
    return chromium.find_or_install()


@pytest.fixture(scope="session")
def chromium_process(browser_program: Path) -> Iterator[tuple[Browser, asyncio.AbstractEventLoop]]:
    """One Chromium for each process of pytest-xdist, and the event loop that Playwright runs for it."""
    with sync_playwright() as playwright:
        loop = asyncio.get_running_loop()
        running = playwright.chromium.launch(executable_path=str(browser_program), args=chromium.flags())
        asyncio._set_running_loop(None)
        yield running, loop
        asyncio._set_running_loop(loop)
        running.close()


@pytest.fixture
def browser(
    chromium_process: tuple[Browser, asyncio.AbstractEventLoop], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Browser]:
    """Chromium without any page. All that a test opens is closed after it.

    Playwright's loop stays in this thread. Outside of these tests it is hidden, since Django would take all tests that
    come after them for asynchronous code. Inside Django is told that this is meant.
    """
    running, loop = chromium_process
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    asyncio._set_running_loop(loop)
    yield running
    for context in running.contexts:
        context.close()
    # Made under Playwright's event loop, and found by nobody outside of it.
    connections.close_all()
    asyncio._set_running_loop(None)


@pytest.fixture
def new_page(browser: Browser) -> Callable[[], Page]:
    """Each page is a person of its own, with cookies of its own."""

    def open_page() -> Page:
        page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
        page.set_default_timeout(MAX_WAIT_MS)
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
