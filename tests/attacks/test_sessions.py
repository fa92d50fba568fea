"""Attacks on sessions, done: a page elsewhere that makes an idle browser send a form."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from tests.support.doors import Visitor, password_of
from tests.support.organization import seen
from tests.support.pages import text_of


@pytest.fixture(autouse=True)
def noon(time_machine, db, settings):
    settings.AXES_ENABLED = True
    time_machine.move_to(timezone.now(), tick=False)
    return time_machine


def strict() -> Visitor:
    """A browser in which the token of a form is checked, as it is outside of tests."""
    visitor = Visitor()
    visitor.client = Client(enforce_csrf_checks=True, REMOTE_ADDR="203.0.113.9")
    return visitor


def sign_in(visitor: Visitor, address: str = "") -> str:
    """Sign in with the token of the page. Returns the address that follows."""
    address = address or reverse("admin:login")
    visitor.client.get(address)
    form = {"username": "bob", "password": password_of("bob"), "csrfmiddlewaretoken": token(visitor)}
    return visitor.client.post(address, form)["Location"]


def token(visitor: Visitor) -> str:
    return visitor.client.cookies["csrftoken"].value


def test_a_form_of_another_site_is_not_kept_when_the_session_is_over(organization, alice, bob, noon):
    """Control: with the end of the session before the check of the token, *Go on* offers the approval of the other
    site with a valid token."""
    request = organization.ask(alice, count=2)
    address = reverse("admin:subscriptions_reclaimrequest_approve", args=[request.pk])
    visitor = strict()
    sign_in(visitor)
    noon.shift(31 * 60)
    forged = {"comment": "Looked at both", **seen(request)}
    assert visitor.client.post(address, forged).status_code == 403
    assert "Looked at both" not in str(dict(visitor.client.session))
    ended = visitor.client.get(reverse("admin:index"))["Location"]
    assert "kept" not in text_of(visitor.client.get(ended))
    assert sign_in(visitor, ended) == reverse("admin:index")
    # Only saml_acs is sent from elsewhere on purpose. It is never kept either.
    noon.shift(31 * 60)
    visitor.client.post(reverse("saml_acs", args=["saml"]), {"RelayState": "Looked at both"})
    assert "Looked at both" not in str(dict(visitor.client.session))
    # The own form, with its token, is kept. The page says which act it is before it is sent.
    sign_in(visitor)
    noon.shift(31 * 60)
    own = {**forged, "csrfmiddlewaretoken": token(visitor)}
    ended = visitor.client.post(address, own)["Location"]
    offered = text_of(visitor.client.get(sign_in(visitor, ended)))
    for word in (f"<dd>{address}</dd>", f"request {request.pk}</dd>", "<dt>comment</dt><dd>Looked at both</dd>"):
        assert word in offered, word
    request.refresh_from_db()
    assert request.state == "open"
