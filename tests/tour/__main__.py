"""Start the demo in an empty folder, work in Chromium as its users, and take a picture at each stop.

The demo always makes the same company; only the dates are those of today. `python -m tests.tour --no-pictures` writes
the text alone.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from tests.support.web import chromium
from tests.tour.pictures import take
from tests.tour.text import PAGE, PICTURES, ROOT, STOPS, tour

WINDOW: ViewportSize = {"width": 1440, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 780}
READY = "LicenseHub is at "
MAX_WAIT = 300.0  # seconds
REQUESTED = 3
# A machine without fonts for these letters draws boxes.
LEAVE_OUT = r"""() => document.querySelectorAll('#result_list tbody tr').forEach((row) => {
    if (/[\u0400-\u06ff\u0900-\u0eff\u3000-\ud7ff]/.test(row.textContent)) row.remove();
})"""


def main() -> int:
    PICTURES.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(tour(), encoding="utf-8")
    if "--no-pictures" in sys.argv:
        return 0
    program = chromium.on_machine() or chromium.from_apt() or chromium.from_npm(ROOT / "var" / "browser")
    if program is None:
        sys.stderr.write("make tour: there is no Chromium. Set CHROMIUM=/path/to/chromium, or install one.\n")
        return 1
    with tempfile.TemporaryDirectory(prefix="licensehub-tour-") as folder, demo(Path(folder)) as address:
        passwords = json.loads((Path(folder) / "demo-accounts.json").read_text())
        with sync_playwright() as playwright:
            running = playwright.chromium.launch(executable_path=str(program), args=chromium.flags())
            Tour(running, address, passwords, Path(folder)).take_all()
            running.close()
    for stale in {*PICTURES.glob("*.png")} - {stop.path for stop in STOPS}:
        stale.unlink()
    return 0


@contextmanager
def demo(folder: Path) -> Iterator[str]:
    """The running demo; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "LICENSEHUB_VAR": str(folder), "PYTHONUNBUFFERED": "1"}
    for name in ("DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE"):
        environment.pop(name, None)
    log = folder / "tour.log"
    with log.open("w") as output:
        command = [sys.executable, "manage.py", "demo", "--port", str(port)]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + MAX_WAIT
        while READY not in log.read_text():
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"make tour: the demo did not start.\n{log.read_text()}")
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=60)


class Tour:
    """One method for each picture, in the order of the work."""

    def __init__(self, browser: Browser, address: str, passwords: dict[str, str], folder: Path) -> None:
        self.browser, self.address, self.passwords, self.folder = browser, address, passwords, folder
        self.blank = browser.new_page()
        self.pages: dict[str, Page] = {}

    def take_all(self) -> None:
        stops: dict[str, Callable[[], Page]] = {
            "set-up": self.set_up,
            "rule": self.rule,
            "candidates": self.candidates,
            "person": self.person,
            "approval": self.approval,
            "reject": self.reject,
            "decided": self.decided,
            "history": self.history,
            "overview": self.overview,
            "savings": self.savings,
            "my-license": self.my_license,
            "company": self.company,
        }
        for stop in STOPS:
            page = stops[stop.picture]()
            page.evaluate("document.fonts.ready")
            page.wait_for_timeout(400)
            take(page, self.blank, stop.path)
            print(f"{stop.path.relative_to(ROOT)}  {stop.path.stat().st_size // 1000} KB")  # noqa: T201 - what it wrote

    def at(self, username: str, path: str) -> Page:
        """The page at this path, as this person sees it."""
        page = self.pages.get(username)
        if page is None:
            context = self.browser.new_context(viewport=WINDOW, color_scheme="light", locale="en-US", timezone_id="UTC")
            page = self.pages[username] = context.new_page()
            page.goto(f"{self.address}/admin/login/?next=/admin/")
            page.fill("input[name=username]", username)
            page.fill("input[name=password]", self.passwords[username])
            page.click("button[type=submit]")
            expect(page).to_have_url(f"{self.address}/admin/")
        page.goto(f"{self.address}/admin/{path}")
        return page

    def set_up(self) -> Page:
        return self.at("manager", "")

    def rule(self) -> Page:
        page = self.at("manager", "subscriptions/reclaimrule/")
        page.locator("#result_list tbody a").first.click()
        expect(page.get_by_text("Effect of this rule")).to_be_visible()
        return page

    def candidates(self) -> Page:
        page = self.at("manager", "subscriptions/removalcandidate/")
        page.evaluate(LEAVE_OUT)
        boxes = page.locator("input.action-select")
        for number in range(REQUESTED):
            boxes.nth(number).check()
        return page

    def person(self) -> Page:
        page = self.at("manager", "subscriptions/subscription/?verdict=candidate")
        page.locator("#result_list tbody a").first.click()
        return page

    def approval(self) -> Page:
        page = self.candidates()
        page.locator("button:visible", has_text=re.compile("Request reclaim")).first.click()
        reason = page.locator("[name=reason]")
        if reason.count():
            reason.first.fill("True-up on January 1")
        page.locator("button:visible", has_text=re.compile("Request reclaim")).last.click()
        page.wait_for_url(re.compile(r"reclaimrequest/\d+/"))
        self.request = re.sub(r".*/admin/", "", page.url)
        return self.at("approver", self.request)

    def reject(self) -> Page:
        page = self.at("approver", self.request)
        page.locator("button.lh-reject").click()
        expect(page.get_by_text("Pause until a date").first).to_be_visible()
        page.get_by_label("Pause until a date").check()
        page.locator("[name=pause_until]").fill(str(date.today() + timedelta(days=53)))  # noqa: DTZ011 - the day of this machine
        page.locator("dialog [name=comment]").fill("Quarter close runs until January 10. Please wait until then.")
        return page

    def decided(self) -> Page:
        page = self.at("approver", self.request)
        page.locator("textarea[name=comment], input[name=comment]").first.fill("Checked with the team leads")
        page.get_by_role("button", name=re.compile("^.*Approve")).last.click()
        expect(page.get_by_text(re.compile(f"{REQUESTED} of {REQUESTED}|verified")).first).to_be_visible(timeout=60_000)
        page.wait_for_timeout(6000)
        return self.at("approver", self.request)

    def history(self) -> Page:
        return self.at("manager", "subscriptions/reclaim/")

    def overview(self) -> Page:
        return self.at("manager", "")

    def savings(self) -> Page:
        return self.at("manager", "subscriptions/price/savings/")

    def my_license(self) -> Page:
        page = self.browser.new_context(viewport=PHONE, color_scheme="light", locale="en-US").new_page()
        page.goto(self.address + ask_somebody(self.folder))
        return page

    def company(self) -> Page:
        return self.at("admin", "subscriptions/company/")


def ask_somebody(folder: Path) -> str:
    """Ask one person of the demo by mail, and return the path of the link."""
    environment = {**os.environ, "LICENSEHUB_VAR": str(folder), "DJANGO_SETTINGS_MODULE": "licensehub.settings"}
    environment.pop("DATABASE_URL", None)
    command = [sys.executable, "-m", "tests.tour.ask"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"make tour: nobody could be asked.\n{done.stderr}")
    return done.stdout.strip().splitlines()[-1]


if __name__ == "__main__":
    sys.exit(main())
