"""Answers of a sign-on provider that is broken, taken over, or played by somebody else."""

from __future__ import annotations

import json
import re
import time
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import User
from django.urls import reverse

from licensehub.checks.sign_in import check_sign_in
from licensehub.sign_in.sso import provider_session
from tests.attacks.servers.test_hostile_servers import HOSTILE, MAX_SECONDS, SHORT, ends_in_time, takes_little_memory
from tests.attacks.sign_in.test_sso import ACS, AUDIENCE, ZOE, begin, bring, come, oidc, saml, sso
from tests.support.servers.scripted_server import Reply, ScriptedServer, Seen
from tests.support.web.pages import text_of
from tests.support.web.visitor import Visitor

__all__ = ["oidc", "saml", "sso"]
pytestmark = pytest.mark.filterwarnings("ignore:get_jwt_config:DeprecationWarning")


def nobody_came(visitor: Visitor) -> bool:
    return not visitor.is_in() and not User.objects.exists() and not SocialAccount.objects.exists()


# --- SAML -------------------------------------------------------------------------------------------------------------

BEARER = '<saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer">'
FOR_OTHERS: dict[str, Callable[[str], str]] = {
    "without a request": lambda xml: re.sub(r' InResponseTo="[^"]*"', "", xml),
    "without an audience": lambda xml: re.sub("<saml:AudienceRestriction>.*</saml:AudienceRestriction>", "", xml),
    "without a recipient": lambda xml: re.sub(r' Recipient="[^"]*"', "", xml),
    "without an end": lambda xml: xml.replace(
        "SubjectConfirmationData NotOnOrAfter", "SubjectConfirmationData Address"
    ),
    "a recipient that contains ours": lambda xml: xml.replace(f'"{ACS}"', f'"https://evil.example/?{ACS}"'),
    "a second confirmation without a request": lambda xml: xml.replace(
        "</saml:Subject>",
        f'{BEARER}<saml:SubjectConfirmationData Recipient="{ACS}"/></saml:SubjectConfirmation></saml:Subject>',
    ),
}


@pytest.mark.parametrize("name", FOR_OTHERS)
def test_an_assertion_that_was_made_for_something_else_opens_nothing(saml, name):
    """Somebody put a signed assertion into an envelope for an own request: the envelope is not signed.

    Control: as the library checks it, each of these signs in as its subject, e.g. with an assertion that was taken from
    a sign-on that began at the provider, as often as somebody likes.
    """
    visitor = Visitor()
    answer = saml.response(begin(visitor, saml), ACS, AUDIENCE, attributes=ZOE, change=FOR_OTHERS[name])
    assert bring(visitor, answer).status_code == 403 and nobody_came(visitor)


def test_an_assertion_in_the_envelope_of_another_request_opens_nothing(saml):
    """Also without a word about the request in the envelope, where the library compares nothing."""
    visitor, thief = Visitor(), Visitor("10.1.4.22")
    stolen = saml.response(begin(visitor, saml), ACS, AUDIENCE, attributes=ZOE)
    [assertion] = re.findall(rb"<saml:Assertion.*?</saml:Assertion>", stolen, re.DOTALL)
    own = begin(thief, saml)
    assert bring(thief, saml.around(own, ACS, assertion.decode())).status_code == 403
    unasked = saml.around(own, ACS, assertion.decode()).replace(f'InResponseTo="{own}"'.encode(), b"", 1)
    assert bring(thief, unasked).status_code == 403 and nobody_came(thief)


ENTITIES = b'<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;"><!ENTITY f SYSTEM "file:///etc/passwd">]>'
NO_ANSWER = {
    "nothing": b"",
    "no XML": b"\x00\xff\xfe not at all",
    "another XML": b"<html/>",
    "entities": ENTITIES + b"<r>&b;&f;</r>",
    "a document type alone": b'<!DOCTYPE r SYSTEM "http://169.254.169.254/x.dtd"><r/>',
    "very deep": b"<a>" * 50_000,
    "many attributes": b"<a " + b" ".join(b'x%d="1"' % one for one in range(18_000)) + b"/>",
    "UTF-7": b'<?xml version="1.0" encoding="UTF-7"?><r/>',
    "an encrypted assertion": (
        b'<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" '
        b'xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"><saml:EncryptedAssertion/></samlp:Response>'
    ),
}


@pytest.mark.parametrize("name", NO_ANSWER)
def test_an_answer_that_is_none_is_refused_with_a_sentence(saml, name):
    """Control: without the check of the request, four of these are an error 500 of a page that anybody may send to."""
    visitor = Visitor()
    began = time.monotonic()
    sent = visitor.client.post(
        reverse("saml_acs", args=["saml"]), {"SAMLResponse": b64encode(NO_ANSWER[name]).decode()}
    )
    end = visitor.client.get(sent["Location"]) if sent.status_code == 302 else sent
    assert "cannot be believed" in text_of(end, status=403) and nobody_came(visitor)
    assert time.monotonic() - began < MAX_SECONDS
    assert visitor.client.post(reverse("saml_acs", args=["saml"]), {"SAMLResponse": "%%%"}).status_code == 403


def test_a_comment_in_the_subject_does_not_cut_it(saml):
    """The signature does not cover comments. `ad<!-- -->min` must be `admin` for everybody, or for nobody."""
    visitor = Visitor()
    answer = saml.response(begin(visitor, saml), ACS, AUDIENCE, subject="zoe.admin", attributes=ZOE)
    bring(visitor, answer.replace(b">zoe.admin<", b">zoe<!-- -->.admin<"))
    assert {row.uid for row in SocialAccount.objects.all()} <= {"zoe.admin"}


# --- OpenID Connect ---------------------------------------------------------------------------------------------------


def jwt_of(claims: dict[str, Any]) -> str:
    """It is not signed: in an answer that came directly over TLS, the certificate stands for the signature."""
    parts = (json.dumps(part).encode() for part in ({"alg": "none"}, claims))
    return ".".join([*(urlsafe_b64encode(part).decode().rstrip("=") for part in parts), ""])


class Provider:
    """Answers what a test says. It ignores PKCE. A code is the nonce for which it was made."""

    def __init__(self) -> None:
        self.server = ScriptedServer()
        self.server.respond = self.answer
        self.token: dict[str, Any] = {}
        self.id_token: dict[str, Any] = {}
        self.userinfo: dict[str, Any] = {}
        self.config: dict[str, Any] = {}
        self.instead: dict[str, Reply] = {}

    def answer(self, seen: Seen) -> Reply:
        url, path = self.server.url, urlsplit(seen.path).path
        if path in self.instead:
            return self.instead[path]
        if path.startswith("/.well-known/"):
            ways = {f"{name}_endpoint": f"{url}/{name}" for name in ("authorization", "token", "userinfo")}
            return Reply(data={"issuer": url, "jwks_uri": f"{url}/keys", **ways, **self.config})
        claims = {"sub": "sub-1", "email": "zoe@northwind.example", "groups": ["deciders"]}
        if path == "/userinfo":
            return Reply(data={**claims, **self.userinfo})
        times = {"iat": int(time.time()), "exp": int(time.time()) + 300}
        [nonce] = parse_qs(seen.body.decode())["code"]
        id_token = jwt_of({"iss": url, "aud": "licensehub", "nonce": nonce, **times, **claims, **self.id_token})
        return Reply(
            data={"access_token": "a", "token_type": "Bearer", "id_token": id_token, **self.token},
            headers={"Content-Type": "application/json"},
        )


@pytest.fixture
def provider(sso, allow_http):
    found = Provider()
    allow_http(found.server.url)
    sso.SSO_OIDC_URL = found.server.url
    app = {"provider_id": "oidc", "name": "Northwind sign-on", "client_id": "licensehub", "secret": "s"}
    app["settings"] = {"server_url": found.server.url}
    sso.SOCIALACCOUNT_PROVIDERS = {
        "openid_connect": {"OAUTH_PKCE_ENABLED": True, "SCOPE": ["openid"], "APPS": [app]},
        "saml": {"APPS": []},
    }
    yield found
    found.server.stop()


def sign_on(visitor: Visitor, query: str = "") -> Any:
    """The way to the provider and back, or the first page that says no."""
    away = visitor.client.get(reverse("openid_connect_login", args=["oidc"]) + query)
    if away.status_code != 302:
        return away
    return visitor.client.get(return_with(**asked_of(away)))


def asked_of(away: Any) -> dict[str, str]:
    """The state and the code that the provider sends back for this redirect."""
    asked = parse_qs(urlsplit(away["Location"]).query)
    return {"state": asked["state"][0], "code": asked["nonce"][0]}


def return_with(*, state: str, code: str) -> str:
    return f"{reverse('openid_connect_callback', args=['oidc'])}?{urlencode({'code': code, 'state': state})}"


def test_the_scripted_provider_is_one(provider):
    visitor = Visitor()
    assert sign_on(visitor).status_code == 302 and visitor.is_in()


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/token", "/userinfo"])
@pytest.mark.parametrize("manner", HOSTILE)
def test_a_provider_that_never_ends_its_answer_holds_no_page(provider, monkeypatch, path, manner):
    """Control: with the session of allauth, each of these pages waits for hours, follows inside, or is an error 500."""
    monkeypatch.setattr(provider_session, "SECONDS", SHORT)
    provider.instead[path] = HOSTILE[manner]
    visitor = Visitor()
    with ends_in_time(), takes_little_memory():
        answer = sign_on(visitor)
    assert "cannot be believed" in text_of(answer, status=403) and nobody_came(visitor)


def test_a_provider_that_hangs_leaves_threads_for_other_pages(provider, monkeypatch):
    """Control: without the limit, eight strangers who begin a sign-on hold all threads of the web server."""
    monkeypatch.setattr(provider_session, "SECONDS", 4.0)
    provider.instead["/x"] = HOSTILE["byte by byte"]

    def call(_: int) -> float:
        began = time.monotonic()
        with pytest.raises(requests.RequestException):
            provider_session.ProviderSession().get(f"{provider.server.url}/x")
        return time.monotonic() - began

    with ThreadPoolExecutor(8) as pool:
        taken = sorted(pool.map(call, range(8)))
    assert taken[5] < 3 < taken[6] and len(provider.server.seen) == provider_session.CALLS


ODD_JSON = {
    "a list": b"[]",
    "not a number": b'{"sub": "sub-1", "x": NaN}',
    "very deep": b'{"sub": "sub-1", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "a huge number": b'{"sub": "sub-1", "x": ' + b"9" * 5000 + b"}",
    "NUL": b'{"sub": "sub-1", "name": "Zo\\u0000"}',
    "half a surrogate": b'{"sub": "sub-1", "name": "Zo\\ud800"}',
    "invalid UTF-8": b'{"sub": "sub-1", "name": "Zo\xff"}',
    "nothing": b"",
}


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/token", "/userinfo"])
@pytest.mark.parametrize("name", ODD_JSON)
def test_json_that_no_database_stores_is_refused(provider, path, name):
    provider.instead[path] = Reply(raw=ODD_JSON[name])
    visitor = Visitor()
    assert "cannot be believed" in text_of(sign_on(visitor), status=403) and nobody_came(visitor)


WRONG: dict[str, dict[str, dict[str, Any]]] = {
    "two people": {"userinfo": {"sub": "boss"}},
    "no subject": {"userinfo": {"sub": None}, "id_token": {"sub": None}},
    "a subject that is a number": {"userinfo": {"sub": 1}, "id_token": {"sub": 1}},
    "an empty subject": {"userinfo": {"sub": ""}, "id_token": {"sub": ""}},
    "a subject that is too long": {"userinfo": {"sub": "x" * 192}, "id_token": {"sub": "x" * 192}},
    "a NUL in the id token": {"id_token": {"name": "\0"}},
    "a name that is none": {"userinfo": {"name": {"first": 1}}},
    "an address that is none": {"userinfo": {"email": ["zoe@northwind.example"]}},
    "another audience": {"id_token": {"aud": "wiki"}},
    "no nonce": {"id_token": {"nonce": None}},
    "another nonce": {"id_token": {"nonce": "x" * 64}},
    "a nonce that is none": {"id_token": {"nonce": ["x"]}},
    "no id token": {"token": {"id_token": None}},
    "an empty id token": {"token": {"id_token": ""}},
    "another issuer": {"id_token": {"iss": "https://evil.example"}},
    "expired": {"id_token": {"exp": 1}},
    "an id token that is none": {"token": {"id_token": "x.y"}},
    "an id token that is a list": {"token": {"id_token": ["x"]}},
    "an access token that is none": {"token": {"access_token": {"a": 1}}},
    "groups that are none": {"userinfo": {"groups": 7}, "id_token": {"groups": None}},
    "an address that nobody confirmed": {"userinfo": {"email_verified": False}},
    "the same as a text": {"userinfo": {"email_verified": "False"}},
    "an endpoint over plain http": {"config": {"token_endpoint": "http://evil.example/token"}},
    "an endpoint that is no address": {"config": {"userinfo_endpoint": 7}},
    "a script for the browser": {"config": {"authorization_endpoint": "javascript:alert(1)"}},
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_claim_lets_nobody_in(provider, name):
    for part, changes in WRONG[name].items():
        setattr(provider, part, changes)
    visitor = Visitor()
    assert sign_on(visitor).status_code in (400, 403), name
    assert nobody_came(visitor)


def test_a_stolen_code_opens_nothing_in_another_browser(provider):
    """The provider ignores PKCE. Somebody puts a code of Zoë's browser into the answer to an own sign-on.

    Control: without the nonce, the thief is in as Zoë.
    """
    start = reverse("openid_connect_login", args=["oidc"])
    victim, thief = Visitor(), Visitor("10.1.4.22")
    sign_on(victim)
    stolen = asked_of(victim.client.get(start))["code"]
    own = asked_of(thief.client.get(start))
    assert thief.client.get(return_with(state=own["state"], code=stolen)).status_code == 403 and not thief.is_in()
    assert SocialAccount.objects.count() == 1
    assert sign_on(thief).status_code == 302 and thief.is_in()


def test_groups_of_odd_kinds_give_no_role(provider):
    provider.userinfo = {"groups": ["deciders", 7, None, {"deciders": 1}]}
    visitor = Visitor()
    sign_on(visitor)
    assert [group.name for group in User.objects.get().groups.all()] == ["Approver"] and visitor.is_in()


def test_a_link_changes_nothing_that_the_provider_is_asked(provider):
    """Control: allauth takes `auth_params` and `scope` from the query of a link that anybody can send."""
    evil = {"auth_params": "redirect_uri=https://evil.example/&acr_values=none&prompt=none", "scope": "admin"}
    away = Visitor().client.get(f"{reverse('openid_connect_login', args=['oidc'])}?{urlencode(evil)}")
    asked = parse_qs(urlsplit(away["Location"]).query)
    assert asked["redirect_uri"] == ["http://testserver" + reverse("openid_connect_callback", args=["oidc"])]
    assert asked["scope"] == ["openid"] and not {"acr_values", "prompt"} & asked.keys()
    assert asked["code_challenge_method"] == ["S256"]


def test_another_site_does_not_link_its_company_account_to_mine(provider, bob):
    """It signs the browser in at the provider as its owner, and opens the address that begins a link.

    Control: without the token, Bob's account has a second owner, if he has just confirmed something else.
    """
    visitor = Visitor()
    visitor.sign_in("bob")
    start = reverse("openid_connect_login", args=["oidc"])
    for address in (f"{start}?process=connect", f"{start}?process=connect&token=x", reverse("sso_link", args=["oidc"])):
        assert visitor.client.get(address)["Location"] == reverse("security")
    foreign = Visitor("10.1.4.22")
    sign_on(foreign)
    [token] = set(re.findall(r"token=(\w+)", foreign.client.get(reverse("security")).content.decode())) or {"x"}
    assert visitor.client.get(f"{start}?process=connect&token={token}")["Location"] == reverse("security")
    assert not SocialAccount.objects.filter(user=bob).exists()


def test_the_address_of_the_provider_is_https(settings):
    settings.SSO_OIDC_CLIENT_ID = "licensehub"
    for url, ids in (("http://idp.example", ["licensehub.E079"]), ("https://idp.example", [])):
        settings.SSO_OIDC_URL = url
        assert [one.id for one in check_sign_in() if one.id == "licensehub.E079"] == ids


def test_a_state_and_a_code_count_once(oidc):
    """Replayed in the same browser, without another visit to the provider."""
    visitor = Visitor()
    assert come(visitor, "sub-1").status_code == 302
    away = visitor.client.get(reverse("openid_connect_login", args=["oidc"]))
    [state] = parse_qs(urlsplit(away["Location"]).query)["state"]
    visitor.client.post(reverse("admin:logout"))
    back = reverse("openid_connect_callback", args=["oidc"])
    for _ in range(2):
        assert visitor.client.get(f"{back}?{urlencode({'code': 'x', 'state': state})}").status_code == 403
    assert not visitor.is_in()
