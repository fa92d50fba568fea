"""Passkeys in Chromium, with its virtual authenticator: add one, sign in with it alone, and confirm an act."""

from __future__ import annotations

import pytest
from allauth.mfa.models import Authenticator
from django.urls import reverse
from playwright.sync_api import Page, expect

from licensehub.audit.models import AuditEvent
from licensehub.sign_in import step_up
from licensehub.sign_in.sessions import sessions
from licensehub.sign_in.sessions.store import SessionStore
from tests.support.web.browser import sign_in

pytestmark = pytest.mark.browser


@pytest.fixture(autouse=True)
def sign_in_settings(settings, tmp_path):
    settings.SECOND_FACTOR_ROLES = ["Approver"]
    settings.MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = True


def with_authenticator(page: Page) -> None:
    """https://chromedevtools.github.io/devtools-protocol/tot/WebAuthn/"""
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    options |= {"isUserVerified": True, "automaticPresenceSimulation": True}
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})


def grow_old(page: Page, moment: str, seconds: int) -> None:
    """Move a moment of the session of this browser into the past."""
    [key] = [cookie["value"] for cookie in page.context.cookies() if cookie["name"] == "sessionid"]
    store = SessionStore(key)
    store[moment] -= seconds
    store.save()


def test_a_passkey_is_set_up_signs_in_alone_and_confirms_an_approval(
    real_transactions, organization, alice, bob, live_server, browser_page
):
    page, base = browser_page, live_server.url
    request = organization.ask(alice, count=2)
    with_authenticator(page)
    page.goto(f"{base}/admin/login/?next=/admin/")
    page.fill("input[name=username]", "bob")
    page.fill("input[name=password]", "a long password of bob")
    page.click("button[type=submit]")
    expect(page).to_have_url(f"{base}{reverse('factors')}")
    page.get_by_role("link", name="Add a passkey").click()
    page.fill("input[name=name]", "MacBook")
    page.get_by_role("button", name="Add the passkey").click()
    expect(page.get_by_role("heading", name="Recovery codes")).to_be_visible()
    page.get_by_role("link", name="I have stored them").click()
    expect(page).to_have_url(f"{base}/admin/")
    assert Authenticator.objects.get(user=bob, type="webauthn").wrap().is_passwordless

    page.goto(f"{base}{reverse('security')}")
    expect(page.get_by_text("MacBook")).to_be_visible()
    page.context.clear_cookies()
    page.goto(f"{base}/admin/login/?next=/admin/")
    page.get_by_role("button", name="Use a passkey").click()
    expect(page).to_have_url(f"{base}/admin/")
    assert AuditEvent.objects.filter(action="sign_in.done").order_by("-sequence")[0].data["method"] == "webauthn"

    grow_old(page, step_up.CONFIRMED, 301)
    page.goto(f"{base}{reverse('admin:subscriptions_reclaimrequest_change', args=[request.pk])}")
    page.fill("textarea[name=comment]", "Looked at both")
    page.get_by_role("button", name="Approve").first.click()
    expect(page.get_by_role("heading", name="Confirm that it is you")).to_be_visible()
    request.refresh_from_db()
    assert request.state == "open"
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url(f"{base}{reverse('admin:subscriptions_reclaimrequest_change', args=[request.pk])}")
    request.refresh_from_db()
    assert (request.state, request.comment) == ("approved", "Looked at both")


def test_an_idle_session_keeps_what_was_typed(real_transactions, organization, alice, carol, live_server, browser_page):
    """Also without a factor: Carol reads, and her page asks her to sign in again."""
    page, base = browser_page, live_server.url
    sign_in(page, base, carol)
    grow_old(page, sessions.SEEN, 31 * 60)
    page.goto(f"{base}{reverse('admin:subscriptions_reclaimrequest_changelist')}")
    expect(page.get_by_text("You were signed out after 30 minutes without activity.")).to_be_visible()
    page.fill("input[name=username]", "carol")
    page.fill("input[name=password]", "a long password of carol")
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{base}{reverse('admin:subscriptions_reclaimrequest_changelist')}")
