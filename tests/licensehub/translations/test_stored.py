"""Stored English sentences are shown in the language of the reader."""

from __future__ import annotations

import pytest
from django.utils import translation

from licensehub.translations import stored
from licensehub.translations.stored import translated, with_names

GERMAN = {
    "Nothing was sent.": "Es wurde nichts gesendet.",
    "The token": "Das Token",
    "{vendor} refused {what} of {name}.": "{vendor} hat {what} von {name} verweigert.",
    "{vendor} refused {what}.": "{vendor} hat {what} verweigert.",
    "It ended. Set {slot} again.": "Abgelaufen. Setzen Sie {slot} neu.",
    "{name} and {name} differ.": "{name} ist nicht {name}.",
    "{teams} and {count} more teams": "{teams} und {count} weitere Teams",
    "The only admin of {teams}.": "Einziger Admin von {teams}.",
    "{free} GB free of {total} GB, version {version}.": "{free} GB von {total} GB frei, Version {version}.",
    "{organization_name}, plan {plan}.": "{organization_name}, Plan {plan}.",
}
PLURAL = ("{count} person of {total:,} left.", "{count} people of {total:,} left.")


@pytest.fixture(autouse=True)
def catalog(monkeypatch):
    def plural(one: str, many: str, count: int) -> str:
        return "{count} Person von {total:,} ging." if count == 1 else "{count} Personen von {total:,} gingen."

    monkeypatch.setattr(stored, "_strings", lambda: [*((text, "") for text in GERMAN), PLURAL])
    monkeypatch.setattr(stored, "gettext", lambda text: GERMAN.get(text, text))
    monkeypatch.setattr(stored, "ngettext", plural)
    for cached in (stored._known, stored._translated):
        cached.cache_clear()
    with translation.override("de"):
        yield
    for cached in (stored._known, stored._translated):
        cached.cache_clear()


@pytest.mark.parametrize(
    ("english", "german"),
    [
        ("Nothing was sent.", "Es wurde nichts gesendet."),
        ("Miro refused this of Ann.", "Miro hat this von Ann verweigert."),
        ("Miro refused The token.", "Miro hat Das Token verweigert."),
        ("Miro refused it. Nothing was sent.", "Miro hat it verweigert. Es wurde nichts gesendet."),
        (
            "It ended. Set SCIM again. Nothing was sent.",
            "Abgelaufen. Setzen Sie SCIM neu. Es wurde nichts gesendet.",
        ),
        ("The token, plan The token.", "The token, Plan The token."),
        ("The only admin of The token.", "Einziger Admin von The token."),
        ("The only admin of The token and 3 more teams.", "Einziger Admin von The token und 3 weitere Teams."),
        ("Ann and Ann differ.", "Ann ist nicht Ann."),
        ("Ann and Bob differ.", "Ann and Bob differ."),
        ("1 person of 1,240 left.", "1 Person von 1.240 ging."),
        ("1,240 people of 3,000 left.", "1.240 Personen von 3.000 gingen."),
        # What is measured has decimals; a version has none.
        ("0.5 GB free of 40 GB, version 9.1.", "0,5 GB von 40 GB frei, Version 9.1."),
        ("Unknown. Nothing was sent.", "Unknown. Es wurde nichts gesendet."),
        ("The vendor said: {braces} 100% <b>.", "The vendor said: {braces} 100% <b>."),
        ("Miro refused {0} of {vendor}.", "Miro hat {0} von {vendor} verweigert."),
        ("Miro refused 'Go. Now!' of Ann.", "Miro hat 'Go. Now!' von Ann verweigert."),
        # A team's name that looks like a day.
        ("Miro refused this of Lab 12, 2024.", "Miro hat this von Lab 12, 2024 verweigert."),
        ("Miro refused this of Feb 30, 2026.", "Miro hat this von Feb 30, 2026 verweigert."),
        # A text that people wrote is not searched for our sentences.
        ("Nothing was sent. " * 12 + "a.", "Nothing was sent. " * 12 + "a."),
        (f"Miro refused {'this of ' * 60}Ann.", f"Miro refused {'this of ' * 60}Ann."),
        ("", ""),
    ],
)
def test_a_sentence_is_found_by_its_pattern(english, german):
    assert translated(english) == german
    with translation.override("en"):
        assert translated(english) == english


def test_a_single_name_is_no_string_of_ours():
    assert translated("The token") == "Das Token" and with_names("The token") == "The token"
    assert with_names("The token and 3 more teams") == "The token und 3 weitere Teams"
