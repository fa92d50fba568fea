"""Attacks on sessions, done: a form of another site, and a session that is older than the rights of its account."""

from __future__ import annotations

from base64 import b64encode
from datetime import timedelta

import pytest
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from licensehub.audit.models import AuditEvent
from licensehub.sign_in.models import AccountSession
from licensehub.sign_in.sessions import sessions
from licensehub.sign_in.sessions.store import stored_key
from subscriptions.accounts import rights_changes
from subscriptions.models import ChangeKind
from tests.support.attacks import attack
from tests.support.fixtures import person
from tests.support.people.organization import seen
from tests.support.people.rights import announced_a_day_ago
from tests.support.web.pages import text_of
from tests.support.web.visitor import IPHONE, Visitor, password_of


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


@pytest.mark.parametrize("kind", [ChangeKind.SUPERUSER, ChangeKind.PASSWORD])
def test_a_right_that_takes_effect_later_ends_the_sessions_before_it(kind, bob, settings):
    """Control: without `generations.end_sessions`, the open session is a superuser's that no factor has opened."""
    settings.SECOND_FACTOR_ROLES = ["Approver"]
    dave = person("dave", "Auditor")
    visitor, phone = Visitor(), Visitor(agent=IPHONE)
    for browser in (visitor, phone):
        browser.sign_in("dave")
        assert browser.is_in()
    new = make_password(password_of("dave")) if kind == ChangeKind.PASSWORD else ""
    rights_changes.ask(dave, kind, actor=None, password=new)
    announced_a_day_ago()
    assert rights_changes.take_due() == 1
    over = visitor.client.get(reverse("admin:index"))["Location"]
    assert over.startswith(reverse("admin:login")) and not phone.is_in()
    if kind == ChangeKind.SUPERUSER:
        assert "password or the rights of your account changed" in text_of(visitor.client.get(over))
        assert [e.data["why"] for e in AuditEvent.objects.filter(action="sign_in.sessions_ended")] == [
            "password, state or rights changed"
        ] * 2
    visitor.sign_in("dave")
    page = visitor.client.get(reverse("admin:index"))
    assert page.status_code == 200 if kind == ChangeKind.PASSWORD else page["Location"] == reverse("factors")


def test_a_session_that_nobody_listed_is_over_or_in_the_list(bob, noon):
    """Control: as it was, a stolen cookie from before the update stays in, is in no list, and outlives the roles."""
    old = Visitor()
    old.sign_in("bob")
    session = old.client.session
    for key in (sessions.STARTED, sessions.SEEN, sessions.METHOD, sessions.LISTED, sessions.GENERATION):
        session.pop(key, None)
    session.save()
    AccountSession.objects.all().delete()
    over = old.client.get(reverse("admin:index"))["Location"]
    assert "LicenseHub was updated" in text_of(old.client.get(over)) and not old.is_in()
    ended = AuditEvent.objects.get(action="sign_in.sessions_ended")
    assert (ended.data["why"], ended.target_id) == ("began before an update", bob.pk)
    # Somebody removes the row of an open session from the table.
    old.sign_in("bob")
    AccountSession.objects.all().delete()
    noon.shift(61)
    assert old.is_in()
    assert "This browser" in text_of(old.client.get(reverse("security")))
    bob.groups.clear()
    assert not old.is_in()


def test_nobody_fills_the_database_with_sessions(bob, settings, noon):
    """Control: with allauth's own view, 2 MB of a stranger lie in the database for ever."""
    address, stranger = reverse("saml_acs", args=["saml"]), Visitor()
    settings.SSO_SAML_URL = ""
    assert stranger.client.post(address, {"SAMLResponse": "x"}).status_code == 404
    settings.SSO_SAML_URL = "https://idp.northwind.example/sso"
    assert stranger.client.post(address, {"SAMLResponse": "x" * 300_000}).status_code == 413
    assert not Session.objects.exists()
    assert stranger.client.post(address, {"SAMLResponse": "x" * 200_000}).status_code == 403, "no XML"
    assert not Session.objects.exists()
    large = b64encode(b"<a>" + b"x" * 140_000 + b"</a>").decode()
    assert stranger.client.post(address, {"SAMLResponse": large}).status_code == 302
    [kept] = Session.objects.all()
    assert kept.expire_date <= timezone.now() + timedelta(minutes=5)
    # What is over is removed with the next answer, and with the next sign-in.
    noon.shift(6 * 60)
    assert Visitor().client.post(address, {"SAMLResponse": b64encode(b"<a/>").decode()}).status_code == 302
    assert Session.objects.count() == 1 and not Session.objects.filter(pk=kept.pk).exists()
    noon.shift(6 * 60)
    Visitor().sign_in("bob")
    assert [row.pk for row in Session.objects.all()] == [row.session_key for row in AccountSession.objects.all()]


def test_a_key_that_was_read_in_the_database_opens_no_session(bob):
    """Control: with Django's own sessions (SESSION_ENGINE), the thief is Bob."""
    visitor, thief = Visitor(), Visitor("203.0.113.66")
    visitor.sign_in("bob")
    keys = [
        *Session.objects.values_list("pk", flat=True),
        *AccountSession.objects.values_list("session_key", flat=True),
    ]
    data = [str(text) for row in Session.objects.all() for text in row.get_decoded().values()]
    for key in {*keys, visitor.client.session[sessions.LISTED], *data}:
        thief.client.cookies[settings.SESSION_COOKIE_NAME] = key
        assert not thief.is_in()
    assert visitor.is_in()


def test_the_data_of_a_session_counts_for_nothing_in_another_row(bob):
    """Control: without `key_salt`, the thief is Bob."""
    person("carol", "Auditor")
    visitor, thief = Visitor(), Visitor("203.0.113.66")
    visitor.sign_in("bob")
    thief.sign_in("carol")
    mine, theirs = (stored_key(one.client.session.session_key) for one in (thief, visitor))
    [data] = Session.objects.filter(pk=theirs).values_list("session_data", flat=True)
    attack("DELETE FROM sign_in_accountsession WHERE session_key = %s", mine)
    assert attack("UPDATE django_session SET session_data = %s WHERE session_key = %s", data, mine) == 1
    assert not thief.is_in() and visitor.is_in()
