"""Each string of a page is either marked for translation, or data."""

from __future__ import annotations

import re

import pytest
from django.conf import settings
from django.urls import reverse
from django.utils import translation

from integrations.connectors.registry import connector_class
from integrations.models import Connection
from subscriptions.money.currencies import currencies
from subscriptions.webhooks.templates import JIRA
from tests.support.fixtures import person
from tests.support.web.all_pages import prepare
from tests.support.web.marked_language import (
    data_of_rows,
    forget_translations,
    left_out,
    marked_functions,
    with_decimal_comma,
)

GERMAN = {"accept-language": "de"}
DATA = {
    "auth.User": ("username", "first_name", "last_name", "email"),
    "subscriptions.Subscription": ("name", "email", "external_id", "department", "cost_center", "division", "manager"),
    "integrations.IntegrationProfile": ("name", "organization_name", "organization_id"),
    "integrations.Connection": ("fingerprint",),
    "integrations.Webhook": ("name", "host"),
}
# Names that are the same in each language.
NAMES = (
    "LicenseHub",
    "Miro",
    "Miro Enterprise",
    "PATCH",
    "SCIM",
    "OAuth",
    "CSV",
    "XLSX",
    "Excel",
    "UTC",
    "English",
    "Deutsch",
)
LICENSES = {name for kind in settings.CONNECTORS for name in connector_class(kind).licenses.values()} - {"Unknown"}
# Pages with strings that are not marked yet; empty when the German is complete.
UNFINISHED: tuple[str, ...] = ()


@pytest.fixture
def marked(monkeypatch):
    """Use the marked language. Call it after the rows are made: they store English."""

    def begin() -> None:
        for name, function in marked_functions().items():
            getattr(translation._trans, name)  # Django finds its functions at the first use
            monkeypatch.setattr(translation._trans, name, function)
        forget_translations()

    yield begin
    forget_translations()


def names_of_currencies() -> list[str]:
    """The names of currencies: Babel has them in each language."""
    with translation.override("de"):
        return [f"{code}, {name}" for code, name in currencies().items()]


def test_pages_have_no_string_that_is_not_marked(world, alice, bob, client, marked):
    pages = prepare(world, asks=alice, decides=bob)
    client.force_login(person("zoe", "Company admin"))
    data = data_of_rows(DATA, *NAMES, *LICENSES, *names_of_currencies(), *map(str, Connection.objects.all()), JIRA)
    marked()
    found: dict[str, str] = {}
    for name, address in pages.items():
        html = client.get(address, headers=GERMAN).content.decode()
        html = html.replace(client.session.get("mfa.totp.secret", "no key"), "")  # random
        assert list(with_decimal_comma(html)) == [], name
        if name not in UNFINISHED:
            found = dict.fromkeys(left_out(html, data), name) | found
    lines = [f"{name}: {text}" for text, name in found.items()]
    assert lines == [], "\n".join(lines)


def test_signed_out_pages_have_no_string_that_is_not_marked(db, client, marked):
    data = data_of_rows({}, *NAMES)
    marked()
    for address in (reverse("admin:login"), "/nothing/here", "/license/wrong/"):
        html = client.get(address, headers=GERMAN).content.decode()
        assert "⟦" in html
        assert list(left_out(html, data)) == []


def test_what_is_not_marked_is_found():
    """This is the control of the tests above."""
    html = """<p title="Not marked">⟦Marked⟧ Ann Bell</p><p>⟦Marked⟧ and not</p><style>p { color: red }</style>
    <span class="material-symbols-outlined">check<b>x</b></span><input placeholder="Type here"><b>12:30 ⟦h⟧</b>"""
    assert list(left_out(html, re.compile("Ann Bell"))) == ["Not marked", "⟦Marked⟧ and not", "Type here"]
    svg = """<rect x="1,5" width="2"><i style="width: 3,5%"><input type="range" value="60,0"><path d="M1,2">"""
    assert list(with_decimal_comma(svg)) == ["x=1,5", "style=width: 3,5%", "value=60,0"]
