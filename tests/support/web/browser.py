"""Steps of people in a browser that many tests share."""

from __future__ import annotations

from playwright.sync_api import Page, expect


def sign_in(page: Page, base: str, user) -> None:
    page.context.clear_cookies()
    page.goto(f"{base}/admin/login/?next=/admin/")
    page.fill("input[name=username]", user.username)
    page.fill("input[name=password]", f"a long password of {user.username}")
    page.click("button[type=submit]")
    expect(page).to_have_url(f"{base}/admin/")
