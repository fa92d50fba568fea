"""Pages are in the language of the reader: the choice of the account, else the browser's, else the setting."""

from __future__ import annotations

import pytest
from django.urls import reverse
from django.utils import translation

from integrations.models import IntegrationProfile
from licensehub.ui.languages import default_language
from subscriptions.accounts.settings import choose_language, mail_language_of
from subscriptions.models import AccountSettings
from tests.support.web.exports import rows
from tests.support.web.pages import text_of

MINE = "admin:subscriptions_notificationchoice_changelist"
SAVE = "admin:subscriptions_notificationchoice_language"


@pytest.mark.parametrize(
    ("chosen", "browser", "default", "shown"),
    [
        ("", "", "en", "en"),
        ("", "", "de", "de"),
        ("", "fr-CH, de-CH;q=0.8, en;q=0.5", "en", "de"),
        ("", "fr, es;q=0.5, *;q=0.1", "de", "de"),
        ("en", "de", "de", "en"),
        ("de", "en-US", "en", "de"),
        ("xx", "de-AT", "en", "de"),
        ("../de", "../../etc", "en", "en"),
    ],
)
def test_whose_language_counts(db, sign_in, settings, chosen, browser, default, shown):
    settings.DEFAULT_LANGUAGE = default
    client = sign_in("Auditor")
    AccountSettings.objects.create(user_id=client.session["_auth_user_id"], language=chosen)
    answer = client.get(reverse("admin:index"), headers={"accept-language": browser})
    assert f'<html lang="{shown}"' in answer.content.decode()
    assert answer.headers["Content-Language"] == shown
    assert "Accept-Language" in answer.headers["Vary"]
    assert translation.get_language() == "en", "the next request begins as usual"


def test_each_account_chooses_for_itself(db, sign_in):
    client, other = sign_in("Auditor"), sign_in("Approver")
    assert client.get(reverse(SAVE)).status_code == 405
    client.post(reverse(SAVE), {"language": "de"})
    assert 'lang="de"' in client.get(reverse("admin:index")).content.decode()[:400]
    assert 'lang="en"' in other.get(reverse("admin:index")).content.decode()[:400]
    client.post(reverse(SAVE), {"language": ""})
    assert "Pages are in the language of your browser now." in text_of(client.get(reverse(MINE)))
    said = client.post(reverse(SAVE), {"language": "fr"}, follow=True)
    assert "Choose a language of the list." in text_of(said)


def test_files_are_in_the_language_of_the_reader(run, sign_in, monkeypatch):
    """A CSV file is written when the middleware has ended already."""
    monkeypatch.setattr(
        "subscriptions.admin.downloads.download_admin.DownloadRunAdmin.columns_for",
        lambda self, request: [("Language", lambda row: translation.get_language())],
    )
    client = sign_in("Auditor")
    address = reverse("admin:subscriptions_downloadrun_export", args=["csv"])
    [line] = rows(client.get(address, headers={"accept-language": "de"}))
    assert list(line.values()) == ["de"]


def test_a_mail_to_an_account_has_the_chosen_language(alice, settings):
    settings.DEFAULT_LANGUAGE = "de"
    assert (mail_language_of(alice), default_language()) == ("de", "de")
    choose_language(alice, "en")
    alice.refresh_from_db()
    assert mail_language_of(alice) == "en"


def test_names_of_licenses_are_not_translated():
    profile = IntegrationProfile(kind="miro_enterprise")
    with translation.override("de"):
        assert translation.gettext("Free") != "Free", "the word for seats that are left"
        assert [profile.license_label(word) for word in ("free", "unknown", "new")] == ["Free", "Unbekannt", "new"]
