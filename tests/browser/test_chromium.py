"""The browser itself: it shows the health page of the running server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.mark.browser
def test_a_page_of_the_server_is_shown(real_transactions: None, live_server: Any, browser_page: Page) -> None:
    browser_page.goto(f"{live_server.url}/health/live")
    assert '"ok"' in browser_page.content()
