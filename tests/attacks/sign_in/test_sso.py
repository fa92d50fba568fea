"""Single sign-on against real providers on this machine, and what a person could do with its answers."""

from __future__ import annotations

import base64
import re
from urllib.parse import parse_qs, urlencode, urlsplit

import oidc_provider_mock
import pytest
import requests
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp
from django.contrib.auth.models import Group, Permission, User
from django.core import mail
from django.db import transaction
from django.urls import reverse

from licensehub.audit.models import AuditEvent
from licensehub.sign_in.factors.passkeys import PasskeyLoginForm
from licensehub.sign_in.sso.saml_subject import ADDRESS, TRANSIENT
from subscriptions.accounts import rights
from subscriptions.accounts.rights import deciders
from subscriptions.models import RightsChange
from subscriptions.notifications.accounts import rights_mail
from subscriptions.sweep import repair
from tests.support.attacks import attack
from tests.support.fixtures import person
from tests.support.servers.saml_provider import ENTITY, SSO_URL, SamlProvider
from tests.support.web.pages import text_of
from tests.support.web.visitor import Visitor, password_of

# A warning of the provider's own library to the provider.
pytestmark = pytest.mark.filterwarnings("ignore:get_jwt_config:DeprecationWarning")

PEOPLE = {
    "sub-1": {"email": "zoe@northwind.example", "given_name": "Zoë", "family_name": "Park", "groups": ["deciders"]},
    "sub-2": {"email": "bob@northwind.example", "groups": ["deciders"]},
    "sub-3": {"email": "eve@northwind.example", "groups": ["canteen"]},
}


@pytest.fixture
def sso(settings, db, tmp_path):
    settings.AXES_ENABLED = True
    settings.RUNTIME_DIR = tmp_path
    settings.PUBLIC_URL = "http://testserver"
    settings.SSO_NAME = "Northwind sign-on"
    settings.SSO_ROLES = {"deciders": ["Approver"], "readers": ["Auditor"]}
    return settings


@pytest.fixture
def oidc(sso, allow_http, monkeypatch):
    # Its library wants HTTPS, except where this is set.
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
    people = [oidc_provider_mock.User(sub=sub, claims=claims) for sub, claims in PEOPLE.items()]
    with oidc_provider_mock.run_server_in_thread(user_claims=people) as server:
        url = f"http://localhost:{server.server_port}"
        allow_http(url)
        sso.SSO_OIDC_URL = url
        app = {"provider_id": "oidc", "name": "Northwind sign-on", "client_id": "licensehub", "secret": "s"}
        app["settings"] = {"server_url": url}
        scope = ["openid", "profile", "email"]
        sso.SOCIALACCOUNT_PROVIDERS = {
            "openid_connect": {"OAUTH_PKCE_ENABLED": True, "SCOPE": scope, "APPS": [app]},
            "saml": {"APPS": []},
        }
        yield url


def come(visitor: Visitor, sub: str, start: str = "") -> object:
    """Go to the provider as this person, and come back with its answer."""
    away = visitor.client.get(start or reverse("openid_connect_login", args=["oidc"]))
    back = requests.post(away["Location"], data={"sub": sub}, allow_redirects=False, timeout=10)
    parts = urlsplit(back.headers["Location"])
    return visitor.client.get(f"{parts.path}?{parts.query}")


def link(visitor: Visitor) -> str:
    """The address to which the button of the page “Security” leads."""
    [button] = re.findall(
        r'href="(/account/sign-on/oidc/link/[^"]+)"', visitor.client.get(reverse("security")).content.decode()
    )
    return str(visitor.client.get(button)["Location"])


def events(prefix: str) -> list[tuple[str, dict]]:
    rows = AuditEvent.objects.filter(action__startswith=prefix).order_by("sequence")
    return [(row.action, row.data) for row in rows]


def test_a_colleague_comes_in_with_the_roles_of_the_provider(oidc, sso):
    visitor = Visitor()
    page = text_of(visitor.client.get(reverse("admin:login")))
    assert "Continue with Northwind sign-on" in page
    assert come(visitor, "sub-1")["Location"] == reverse("admin:index") and visitor.is_in()
    zoe = User.objects.get(email="zoe@northwind.example")
    assert (zoe.first_name, zoe.is_staff, zoe.is_superuser, zoe.has_usable_password()) == ("Zoë", True, False, False)
    assert [group.name for group in zoe.groups.all()] == ["Approver"]
    assert SocialAccount.objects.get(user=zoe).uid == "sub-1"
    # Another role at the provider replaces the one here, is an event, and ends the sessions elsewhere.
    requests.put(f"{oidc}/users/sub-1", json={**PEOPLE["sub-1"], "groups": ["readers"]}, timeout=10)
    other = Visitor("10.1.4.22")
    come(other, "sub-1")
    assert [group.name for group in zoe.groups.all()] == ["Auditor"] and other.is_in() and not visitor.is_in()
    kept = [data for action, data in events("user.roles_by_sign_on")]
    assert [(one["before"], one["after"]) for one in kept] == [([], ["Approver"]), (["Approver"], ["Auditor"])]
    assert [data["method"] for action, data in events("sign_in.done")] == ["sso", "sso"]
    # Another address at the provider is still the same person, and changes nothing here.
    requests.put(f"{oidc}/users/sub-1", json={"email": "alice@northwind.example", "groups": ["readers"]}, timeout=10)
    come(Visitor("10.1.4.23"), "sub-1")
    assert User.objects.get(pk=zoe.pk).email == "zoe@northwind.example" and User.objects.count() == 1


def test_a_sign_on_lets_only_its_own_right_take_effect(oidc, bob):
    """A right that somebody gave in LicenseHub waits, also when the provider gives one to the same account."""
    come(Visitor(), "sub-1")
    zoe = User.objects.get(email="zoe@northwind.example")
    assert zoe in deciders()
    rights_mail.announce()
    [told] = [message for message in mail.outbox if message.to == ["bob@northwind.example"]]
    assert "The company's sign-on gives" in told.body and "This right is in effect" in told.body

    def groups(sub: str, *names: str) -> None:
        requests.put(f"{oidc}/users/{sub}", json={**PEOPLE[sub], "groups": names}, timeout=10)

    groups("sub-1", "readers")
    come(Visitor(), "sub-1")
    attack(
        "INSERT INTO auth_user_user_permissions (user_id, permission_id) VALUES (%s, %s)",
        zoe.pk,
        Permission.objects.get(codename="decide_reclaimrequest").pk,
    )
    repair()
    groups("sub-1", "deciders")
    come(Visitor(), "sub-1")
    assert zoe.groups.filter(name="Approver").exists() and zoe not in deciders()
    assert RightsChange.objects.waiting().filter(account=zoe, kind="grant").exists()
    # A role that was given the right in the database.
    attack(
        "INSERT INTO auth_group_permissions (group_id, permission_id) VALUES (%s, %s)",
        Group.objects.get(name="Auditor").pk,
        Permission.objects.get(codename="decide_reclaimrequest").pk,
    )
    groups("sub-3", "readers")
    come(Visitor("10.1.4.22"), "sub-3")
    eve = User.objects.get(email="eve@northwind.example")
    assert eve in rights.able() and eve not in deciders()


def test_an_address_and_a_group_without_role_open_no_account(oidc, bob):
    """Control: with SOCIALACCOUNT_EMAIL_AUTHENTICATION the first of these would be Bob."""
    thief = Visitor()
    refused = text_of(come(thief, "sub-2"), status=403)
    assert "has the address bob@northwind.example already" in refused and not thief.is_in()
    stranger = Visitor("10.1.4.22")
    assert "has no role in LicenseHub" in text_of(come(stranger, "sub-3"), status=403) and not stranger.is_in()
    assert User.objects.count() == 1 and not SocialAccount.objects.exists()
    # Who lost the last group comes in no more, although the account is here.
    come(stranger, "sub-1")
    requests.put(f"{oidc}/users/sub-1", json={**PEOPLE["sub-1"], "groups": []}, timeout=10)
    again = Visitor("10.1.4.23")
    assert "has no role" in text_of(come(again, "sub-1"), status=403) and not again.is_in()
    User.objects.filter(email="zoe@northwind.example").update(is_active=False)
    requests.put(f"{oidc}/users/sub-1", json=PEOPLE["sub-1"], timeout=10)
    assert "is deactivated" in text_of(come(again, "sub-1"), status=403) and not again.is_in()


def test_bob_links_his_account_himself_and_a_second_subject_cannot(oidc, bob):
    visitor = Visitor()
    visitor.sign_in("bob")
    start = link(visitor)
    come(visitor, "sub-2", start)
    assert SocialAccount.objects.get(user=bob).uid == "sub-2"
    elsewhere = Visitor("10.1.4.22")
    assert come(elsewhere, "sub-2").status_code == 302 and elsewhere.is_in()
    assert "Northwind sign-on" in text_of(elsewhere.client.get(reverse("security")))
    # Carol cannot take Bob's company account for herself.
    person("carol", "Auditor")
    carol = Visitor("10.1.4.23")
    carol.sign_in("carol")
    come(carol, "sub-2", link(carol))
    assert SocialAccount.objects.get().user == bob
    [row] = SocialAccount.objects.all()
    carol.client.post(reverse("sso_unlink", args=[row.pk]))
    assert SocialAccount.objects.exists()
    visitor.client.post(reverse("sso_unlink", args=[row.pk]))
    assert not SocialAccount.objects.exists()
    assert [name for name, _ in events("user.sign_on")] == ["user.sign_on_linked", "user.sign_on_unlinked"]


def test_an_answer_counts_once_in_the_browser_that_asked_for_it(oidc):
    visitor, other = Visitor(), Visitor("10.1.4.22")
    away = visitor.client.get(reverse("openid_connect_login", args=["oidc"]))
    back = requests.post(away["Location"], data={"sub": "sub-1"}, allow_redirects=False, timeout=10)
    parts = urlsplit(back.headers["Location"])
    address = f"{parts.path}?{parts.query}"
    # The way back is our own address, whatever the request claims to be.
    [redirect] = parse_qs(urlsplit(away["Location"]).query)["redirect_uri"]
    assert redirect == "http://testserver" + reverse("openid_connect_callback", args=["oidc"])
    assert text_of(other.client.get(address), status=403) and not other.is_in()
    assert visitor.client.get(address).status_code == 302 and visitor.is_in()
    assert text_of(Visitor().client.get(f"{parts.path}?{urlencode({'error': 'x'})}"), status=403)
    visitor.client.post(reverse("admin:logout"))
    assert text_of(visitor.client.get(address), status=403) and not visitor.is_in()


def test_without_local_accounts_only_the_emergency_account_has_a_password(oidc, sso, bob, carol):
    sso.LOCAL_ACCOUNTS, sso.BREAK_GLASS_ACCOUNTS = False, ["carol"]
    page = text_of(Visitor().client.get(reverse("admin:login")))
    assert 'name="password"' not in page and "Emergency account" in page
    visitor = Visitor()
    assert visitor.sign_in("bob").status_code == 200 and not visitor.is_in()
    emergency = Visitor("10.1.4.22")
    assert emergency.sign_in("carol").status_code == 302 and emergency.is_in()
    assert events("sign_in.done")[0][1]["emergency"] is True
    assert come(Visitor("10.1.4.23"), "sub-1").status_code == 302
    assert password_of("bob")


@pytest.fixture
def passkeys(monkeypatch):
    """Give an account a passkey, and answer the challenge with it, as its device would."""

    def use(visitor: Visitor, user: User) -> object:
        row, _made = Authenticator.objects.get_or_create(
            user=user, type="webauthn", defaults={"data": {"name": "Phone", "passwordless": True}}
        )
        monkeypatch.setattr(PasskeyLoginForm, "clean_credential", lambda form: row)
        return visitor.client.post(reverse("mfa_login_webauthn"), {"credential": '{"id": "phone"}'})

    return use


def test_a_passkey_does_not_go_around_the_provider(oidc, sso, bob, passkeys):
    """Control: without `needs_sign_on`, somebody who was removed at the provider comes in, with all roles."""
    visitor = Visitor()
    come(visitor, "sub-1")
    zoe = User.objects.get(email="zoe@northwind.example")
    gone = Visitor("10.1.4.22")
    assert passkeys(gone, zoe)["Location"] == reverse("admin:login") and not gone.is_in()
    assert "signs in with Northwind sign-on only" in text_of(gone.client.get(reverse("admin:login")))
    assert [data["method"] for name, data in events("sign_in.failed")] == ["webauthn"]
    # With an own password, or as the emergency account, the passkey is a way in.
    assert passkeys(Visitor("10.1.4.23"), bob)["Location"] == reverse("admin:index")
    sso.BREAK_GLASS_ACCOUNTS = [zoe.get_username()]
    emergency = Visitor("10.1.4.24")
    assert passkeys(emergency, zoe)["Location"] == reverse("admin:index") and emergency.is_in()


def test_who_has_no_role_at_the_provider_any_more_loses_roles_and_sessions(oidc, bob):
    at_work, at_home = Visitor(), Visitor("10.1.4.22")
    come(at_work, "sub-1")
    zoe = User.objects.get(email="zoe@northwind.example")
    assert at_work.is_in() and deciders().filter(pk=zoe.pk).exists()
    requests.put(f"{oidc}/users/sub-1", json={**PEOPLE["sub-1"], "groups": ["canteen"]}, timeout=10)
    assert "has no role in LicenseHub" in text_of(come(at_home, "sub-1"), status=403)
    assert not at_home.is_in() and not at_work.is_in()
    assert not zoe.groups.exists() and not deciders().filter(pk=zoe.pk).exists()
    assert [(d["before"], d["after"]) for _, d in events("user.roles_by_sign_on")][1:] == [(["Approver"], [])]


def test_a_provider_that_somebody_wrote_into_the_database_lets_nobody_in(oidc, sso):
    """Control: with allauth's `list_apps`, the first of these is Zoë, and the second is another Approver."""
    come(Visitor(), "sub-1")
    evil, where = SamlProvider(), "http://testserver/sign-in/saml/evil/"
    idp = {"entity_id": ENTITY, "sso_url": SSO_URL, "x509cert": evil.certificate}
    as_ours = {"provider": "saml", "provider_id": "oidc", "client_id": "evil", "name": "x"}
    SocialApp.objects.create(**as_ours, settings={"idp": idp, "advanced": sso.SSO_SAML_SECURITY})
    thief = Visitor("10.1.4.22")
    start = thief.client.get(f"{where}")
    if start.status_code == 302:
        answer = evil.response(evil.request_id(start["Location"]), f"{where}acs/", f"{where}metadata/", subject="sub-1")
        sent = thief.client.post(f"{where}acs/", {"SAMLResponse": base64.b64encode(answer).decode()})
        thief.client.get(sent["Location"])
    assert start.status_code == 404 and not thief.is_in()
    another = {"provider": "openid_connect", "provider_id": "mine", "client_id": "licensehub", "name": "x"}
    SocialApp.objects.create(**another, settings={"server_url": oidc})
    stranger = Visitor("10.1.4.23")
    assert stranger.client.get(reverse("openid_connect_login", args=["mine"])).status_code == 404
    # The settings' own provider still works beside a row with its name.
    SocialApp.objects.create(**{**another, "provider_id": "oidc"}, settings={"server_url": "http://evil.example"})
    zoe = Visitor("10.1.4.24")
    assert come(zoe, "sub-1").status_code == 302 and zoe.is_in() and User.objects.count() == 1


# --- SAML -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def saml(sso):
    provider = SamlProvider()
    sso.SSO_SAML_URL = SSO_URL
    idp = {"entity_id": ENTITY, "sso_url": SSO_URL, "x509cert": provider.certificate}
    app = {"provider_id": "saml", "client_id": "saml", "name": "Northwind sign-on"}
    app["settings"] = {"idp": idp, "advanced": sso.SSO_SAML_SECURITY}
    sso.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": []}, "saml": {"APPS": [app]}}
    return provider


ACS = "http://testserver/sign-in/saml/saml/acs/"
AUDIENCE = "http://testserver/sign-in/saml/saml/metadata/"
ZOE = {"groups": ["deciders"], "urn:oid:0.9.2342.19200300.100.1.3": ["zoe@northwind.example"]}


def begin(visitor: Visitor, provider: SamlProvider) -> str:
    return provider.request_id(visitor.client.get(reverse("saml_login", args=["saml"]))["Location"])


def bring(visitor: Visitor, xml: bytes) -> object:
    sent = visitor.client.post(reverse("saml_acs", args=["saml"]), {"SAMLResponse": base64.b64encode(xml).decode()})
    return visitor.client.get(sent["Location"])


def test_a_colleague_comes_in_by_saml(saml):
    visitor = Visitor()
    answer = bring(visitor, saml.response(begin(visitor, saml), ACS, AUDIENCE, attributes=ZOE))
    assert answer["Location"] == reverse("admin:index") and visitor.is_in()
    zoe = User.objects.get(email="zoe@northwind.example")
    assert [group.name for group in zoe.groups.all()] == ["Approver"]
    assert SocialAccount.objects.get(user=zoe).uid == "subject-1"
    assert "EntityDescriptor" in visitor.client.get(reverse("saml_metadata", args=["saml"])).content.decode()
    assert visitor.client.get(reverse("saml_sls", args=["saml"])).status_code == 404


def forged(provider: SamlProvider, name: str, request: str) -> bytes:
    """The answers that somebody could send in place of an honest one."""
    honest = provider.response(request, ACS, AUDIENCE, subject="boss", attributes=ZOE)
    if name == "not signed":
        return provider.response(request, ACS, AUDIENCE, subject="boss", attributes=ZOE, sign=False)
    if name == "another key":
        return SamlProvider().response(request, ACS, AUDIENCE, subject="boss", attributes=ZOE)
    if name == "another audience":
        return provider.response(request, ACS, "https://wiki.northwind.example", subject="boss", attributes=ZOE)
    if name == "another recipient":
        return provider.response(request, "https://wiki.northwind.example/acs", AUDIENCE, attributes=ZOE)
    if name == "too late":
        return provider.response(request, ACS, AUDIENCE, subject="boss", attributes=ZOE, valid_minutes=-10)
    if name == "changed after signing":
        return honest.replace(b">boss<", b">other<")
    if name == "not asked for":
        return provider.response("_nobody_asked", ACS, AUDIENCE, subject="boss", attributes=ZOE)
    mine = provider.response(request, ACS, AUDIENCE, subject="me")
    [own] = re.findall(rb"<saml:Assertion.*?</saml:Assertion>", mine, re.DOTALL)
    evil = provider.response(request, ACS, AUDIENCE, subject="boss", attributes=ZOE, sign=False)
    [assertion] = re.findall(rb"<saml:Assertion.*?</saml:Assertion>", evil, re.DOTALL)
    renamed = assertion.replace(b'ID="_assertion', b'ID="_evil')
    # Two assertions, the signed one of one's own beside the forged one, or inside of it.
    if name == "wrapped before":
        return provider.around(request, ACS, (renamed + own).decode())
    inner = renamed.replace(b"</saml:Subject>", b"</saml:Subject><saml:Advice>" + own + b"</saml:Advice>")
    return provider.around(request, ACS, inner.decode())


@pytest.mark.parametrize(
    "name",
    [
        "not signed",
        "another key",
        "another audience",
        "another recipient",
        "too late",
        "changed after signing",
        "not asked for",
        "wrapped before",
        "wrapped inside",
    ],
)
def test_a_forged_answer_opens_nothing(saml, name):
    visitor = Visitor()
    answer = bring(visitor, forged(saml, name, begin(visitor, saml)))
    assert answer.status_code == 403 and not visitor.is_in(), name
    assert not User.objects.exists() and not SocialAccount.objects.exists()


def test_an_answer_of_saml_counts_once_and_in_its_own_browser(saml):
    visitor, thief = Visitor(), Visitor("10.1.4.22")
    xml = saml.response(begin(visitor, saml), ACS, AUDIENCE, attributes=ZOE)
    assert bring(thief, xml).status_code == 403 and not thief.is_in()
    assert bring(visitor, xml).status_code == 302 and visitor.is_in()
    visitor.client.post(reverse("admin:logout"))
    assert bring(visitor, xml).status_code == 403 and not visitor.is_in()


def test_an_id_that_does_not_last_makes_no_account(saml):
    """Control: as allauth has it, each transient NameID makes a new account, and a reused address opens the old one."""
    subject_id = {"urn:oasis:names:tc:SAML:attribute:subject-id": ["zoe-17@northwind.example"]}
    for name_id, subject in ((TRANSIENT, "_7f3a"), (TRANSIENT, "_91bc"), (ADDRESS, "zoe@northwind.example")):
        visitor = Visitor()
        xml = saml.response(begin(visitor, saml), ACS, AUDIENCE, subject=subject, name_id=name_id, attributes=ZOE)
        assert "sends no id for you that stays the same" in text_of(bring(visitor, xml), status=403)
        assert not visitor.is_in()
        assert not User.objects.exists() and not SocialAccount.objects.exists()
        # With the attribute, the format of the NameID does not matter.
        xml = saml.response(begin(visitor, saml), ACS, AUDIENCE, name_id=name_id, attributes={**ZOE, **subject_id})
        with transaction.atomic():
            assert bring(visitor, xml)["Location"] == reverse("admin:index")
            assert SocialAccount.objects.get().uid == "zoe-17@northwind.example"
            transaction.set_rollback(True)
