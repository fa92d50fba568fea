"""A company admin connects Miro alone: from the empty admin to the first download, and every obstacle."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import Group, User
from playwright.sync_api import Page, expect

from integrations.connectors.miro.sandbox.control import SandboxControl
from integrations.credentials import credential_store
from integrations.models import Connection, IntegrationProfile
from subscriptions import tasks
from subscriptions.models import DownloadRun, Subscription
from subscriptions.profiles import lifecycle
from tests.support.fixtures import MEMBERS
from tests.support.web.browser import sign_in

pytestmark = [pytest.mark.browser]

PASSWORD = "a long password of {}"


@pytest.fixture
def miro(sandbox) -> SandboxControl:
    return SandboxControl(sandbox.control_url)


@pytest.fixture
def admin_user(real_transactions) -> User:
    """Somebody on their first day with LicenseHub."""
    user = User.objects.create_user("grace", password=PASSWORD.format("grace"), is_staff=True)
    user.groups.add(Group.objects.get(name="Company admin"))
    return user


@pytest.fixture
def page(browser_page, live_server, admin_user, at_sandbox) -> Page:
    sign_in(browser_page, live_server.url, admin_user)
    return browser_page


def new_profile(page: Page) -> None:
    page.get_by_role("link", name="New integration profile").click()
    page.get_by_role("searchbox").fill("miro enterprise")
    page.get_by_role("main").get_by_role("button", name="Search").click()
    page.get_by_role("link", name="Choose Miro Enterprise").click()
    page.get_by_label("Name").fill("Northwind Labs")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("is created as a Draft")).to_be_visible()


def set_up(page: Page, slot: str, values: dict[str, str]) -> None:
    page.get_by_role("link", name=slot, exact=True).click()
    for label, value in values.items():
        page.get_by_label(label, exact=True).fill(value)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("New credentials are stored")).to_be_visible()


def consent(page: Page, team: str) -> None:
    """At Miro: pick this team and install the app."""
    expect(page.get_by_role("heading", name="Install & authorize LicenseHub")).to_be_visible()
    page.get_by_label(re.compile(team)).first.check()
    page.get_by_role("button", name="Install & authorize").click()


def back_to_profile(page: Page) -> None:
    page.get_by_role("link", name="Northwind Labs", exact=True).click()


@pytest.fixture(autouse=True)
def public_url(live_server, settings) -> None:
    """Miro sends the browser back to where people reach LicenseHub."""
    settings.PUBLIC_URL = live_server.url


@pytest.fixture
def draft(admin_user, at_sandbox) -> Connection:
    """A Draft whose app and SCIM token are set, and which is to be connected."""
    profile = lifecycle.create_profile(name="Northwind Labs", organization_id="", kind="miro_enterprise", actor=None)
    app = {name: at_sandbox[name] for name in ("client_id", "client_secret")}
    credential_store.set_credentials(profile, "scim", {"token": at_sandbox["scim_token"]}, actor=None)
    return credential_store.set_credentials(profile, "rest", app, actor=None)


def open_connection(page: Page, base: str, connection: Connection) -> None:
    page.goto(f"{base}/admin/integrations/connection/{connection.pk}/change/")


@pytest.mark.worker
def test_from_the_empty_admin_to_the_first_download(
    page, live_server, at_sandbox, miro, screenshot, celery_worker_process
):
    celery_worker_process(MIRO_API_URL=at_sandbox["api_url"], MIRO_SCIM_URL=at_sandbox["scim_url"])
    expect(page.get_by_text("Nothing is connected yet")).to_be_visible()
    screenshot(page, "set-up-1-empty")
    new_profile(page)
    screenshot(page, "set-up-2-draft")
    set_up(page, "OAuth app", {"Client ID": at_sandbox["client_id"], "Client secret": at_sandbox["client_secret"]})
    shown = page.get_by_label("Redirect address, to enter in Miro").input_value()
    assert shown == f"{live_server.url}/admin/integrations/connection/callback/"
    miro.set_toggles(redirect_uris=[shown])
    screenshot(page, "set-up-3-connection")
    page.get_by_role("button", name="Connect to Miro").click()
    screenshot(page, "set-up-4-consent")
    consent(page, miro.oauth()["teams"][0]["name"])
    expect(page.get_by_text(re.compile("Connected to .* through the team"))).to_be_visible()
    set_up(page, "SCIM API token", {"Token": at_sandbox["scim_token"]})
    page.get_by_role("button", name="Validate connection").click()
    expect(page.get_by_text("checks passed")).to_be_visible()
    expect(page.get_by_text(re.compile(r"\d error"))).to_have_count(0)
    screenshot(page, "set-up-5-validated")
    page.get_by_role("button", name="Publish").click()
    expect(page.get_by_text("is published")).to_be_visible()

    tasks.sweep()  # beat runs it every minute
    expect(page.get_by_text("1 complete", exact=True)).to_be_visible()  # the page has followed it
    screenshot(page, "set-up-6-downloaded")
    assert DownloadRun.objects.get().state == "complete"
    assert Subscription.objects.count() == MEMBERS
    page.goto(f"{live_server.url}/admin/")
    expect(page.get_by_text("Assigned").first).to_be_visible()
    screenshot(page, "set-up-7-overview")
    assert miro.oauth()["counters"]["secrets_in_query"] == 0


def test_the_developer_team_is_refused_by_name_and_the_next_try_works(page, live_server, draft, miro, screenshot):
    open_connection(page, live_server.url, draft)
    page.get_by_role("button", name="Connect to Miro").click()
    consent(page, "Labs Dev Sandbox")
    expect(page.get_by_text("The app is installed on a Developer team").first).to_be_visible()
    expect(page.get_by_text("Install it on a team of your Enterprise organization")).to_be_visible()
    expect(page.get_by_text("pick a production team")).to_be_visible()
    screenshot(page, "set-up-developer-team")
    # A validation without a token keeps the specific reason.
    page.get_by_role("button", name="Validate connection").click()
    expect(page.get_by_text("checks were made")).to_be_visible()
    expect(page.get_by_text("pick a production team")).to_be_visible()
    page.get_by_role("button", name="Connect to Miro again").click()
    consent(page, miro.oauth()["teams"][0]["name"])
    expect(page.get_by_text(re.compile("Connected to"))).to_be_visible()


def test_a_missing_scope(page, live_server, draft, miro):
    miro.set_toggles(scopes=["boards:read"])
    open_connection(page, live_server.url, draft)
    page.get_by_role("button", name="Connect to Miro").click()
    consent(page, miro.oauth()["teams"][0]["name"])
    expect(page.get_by_text("does not have the scope organizations:read").first).to_be_visible()
    expect(page.get_by_text("Tick organizations:read in the app's settings").first).to_be_visible()


def test_another_organization(page, live_server, draft, miro, at_sandbox):
    IntegrationProfile.objects.update(organization_id=at_sandbox["organization_id"])
    open_connection(page, live_server.url, draft)
    page.get_by_role("button", name="Connect to Miro").click()
    consent(page, "Strangers")
    expect(page.get_by_text("The token is for another organization").first).to_be_visible()


def test_cancel(page, live_server, draft):
    open_connection(page, live_server.url, draft)
    page.get_by_role("button", name="Connect to Miro").click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("somebody chose Cancel")).to_be_visible()


def callback_with(page: Page, base: str, *, state: str, code: str) -> None:
    page.goto(f"{base}/admin/integrations/connection/callback/?state={state}&code={code}")


def state_at_consent(page: Page) -> str:
    expect(page.get_by_role("heading", name="Install & authorize LicenseHub")).to_be_visible()
    return str(page.locator("input[name=state]").get_attribute("value"))


def test_an_expired_and_a_used_code(page, live_server, draft, miro):
    back = f"{live_server.url}/admin/integrations/connection/callback/"
    for spoil, words in (("expire", "has expired"), ("use", "was used already")):
        open_connection(page, live_server.url, draft)
        page.get_by_role("button", name="Connect to Miro").click()
        state, code = state_at_consent(page), miro.install(back)
        if spoil == "expire":
            miro.clock(offset_seconds=700)
        else:
            credential_store.connector_for(draft.profile).oauth().exchange(code, redirect_uri=back)
        callback_with(page, live_server.url, state=state, code=code)
        expect(page.get_by_text(words).first).to_be_visible()
        miro.clock(offset_seconds=0)


def test_a_foreign_state(page, live_server, draft, miro, new_page):
    """A state that was made in another browser is worth nothing in this one."""
    open_connection(page, live_server.url, draft)
    page.get_by_role("button", name="Connect to Miro").click()
    state = state_at_consent(page)
    other = new_page()
    sign_in(other, live_server.url, User.objects.get(username="grace"))
    callback_with(other, live_server.url, state=state, code="anything")
    expect(other.get_by_text("did not start this connection")).to_be_visible()


def test_a_revoked_token_asks_to_reconnect(page, live_server, draft, miro, screenshot):
    open_connection(page, live_server.url, draft)
    page.get_by_role("button", name="Connect to Miro").click()
    consent(page, miro.oauth()["teams"][0]["name"])
    expect(page.get_by_text(re.compile("Connected to"))).to_be_visible()
    miro.revoke_tokens()
    page.get_by_role("button", name="Validate connection").click()
    expect(page.get_by_text("The access token could not be renewed").first).to_be_visible()
    screenshot(page, "set-up-revoked")
    open_connection(page, live_server.url, draft)
    page.get_by_role("button", name="Reconnect").click()
    consent(page, miro.oauth()["teams"][0]["name"])
    expect(page.get_by_text(re.compile("Connected to"))).to_be_visible()


def test_a_scim_token_of_another_organization(page, live_server, draft, miro):
    miro.set_toggles(foreign_scim=True)
    open_connection(page, live_server.url, draft)
    page.get_by_role("button", name="Connect to Miro").click()
    consent(page, miro.oauth()["teams"][0]["name"])
    expect(page.get_by_text("The SCIM API token is for another organization").first).to_be_visible()
    expect(page.get_by_text("Enter the SCIM API token of the organization").first).to_be_visible()
