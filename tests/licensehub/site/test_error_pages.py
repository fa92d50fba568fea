"""The pages of errors, of a former sign-in and of a browser without a script are our own, and lead on."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from tests.support.people.organization import Organization, limited_to
from tests.support.web.pages import text_of


def test_each_error_page_says_what_happened_and_leads_on(client, carol, settings, monkeypatch):
    settings.DEBUG = False
    client.force_login(carol)
    client.raise_request_exception = False
    found = {
        404: client.get("/nothing/here"),
        403: client.get(reverse("admin:auth_user_add")),
        400: client.get("/admin/", HTTP_HOST="another.example"),
    }
    strict = Client(enforce_csrf_checks=True)
    csrf = strict.post(reverse("admin:login"), {"username": "carol"})

    def fail(*args, **kwargs):
        raise RuntimeError("secret of the traceback")

    monkeypatch.setattr("licensehub.site.dashboard.overview.overview", fail)
    found[500] = client.get("/admin/")

    for code, answer in found.items():
        page = answer.content.decode()
        assert answer.status_code == code
        assert f"Error {code}" in page and 'href="/admin/"' in page and "licensehub/self_service.css" in page
        assert "Django" not in page and "secret" not in page
    assert "carol" in found[403].content.decode()
    assert csrf.status_code == 403 and "The form is too old" in csrf.content.decode()


def test_a_page_of_the_whole_company_says_for_what_the_roles_hold(client, carol, organization: Organization):
    client.force_login(limited_to(carol, organization.profile))
    for language, said in (
        ("en", "your roles hold for Northwind only"),
        ("de", "Ihre Rollen gelten nur für Northwind"),
    ):
        answer = client.get(reverse("admin:audit_auditevent_changelist"), headers={"accept-language": language})
        assert answer.status_code == 403 and said in answer.content.decode()


@pytest.mark.parametrize("app", ["subscriptions", "integrations", "auth", "audit"])
def test_no_list_of_models_is_shown(client, carol, app):
    client.force_login(carol)
    assert client.get(f"/admin/{app}/").headers["Location"] == "/admin/"


def test_signing_out_says_so_and_leads_back(client, carol):
    client.force_login(carol)
    answer = client.post(reverse("admin:logout"))
    page = text_of(answer)
    assert answer.headers["Clear-Site-Data"] == '"cache"', "also when Back is pressed"
    assert "You are signed out" in page and "Sign in again" in page and "quality time" not in page


def test_a_browser_asks_for_an_icon(client):
    answer = client.get("/favicon.ico")
    assert answer.status_code == 302 and answer.headers["Location"].endswith("favicon.svg")
