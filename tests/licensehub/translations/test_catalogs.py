"""Every string that is marked in the sources has a complete German text."""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache
from typing import Any

import pytest
from babel.messages.catalog import Catalog, Message
from django.conf import settings
from django.utils import translation

from licensehub.translations.catalogs import AREAS, LANGUAGES, area_of, extracted, stored
from licensehub.translations.extraction import KEYWORDS, sources

# Folders whose strings are not translated yet; empty when the German is complete.
UNFINISHED: tuple[str, ...] = ()
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|\{[^{}]*\}|%[sd]")
TAG = re.compile(r"</?\w+")

marked = cache(extracted)
catalogs = pytest.mark.parametrize("area", AREAS, ids=[area.name for area in AREAS])


def pairs(message: Any) -> list[tuple[str, str]]:
    """Each English form and its translation."""
    ids, texts = (given if isinstance(given, tuple) else (given,) for given in (message.id, message.string))
    return [(str(one), str(text or "")) for one, text in zip(ids, texts, strict=True)]


def translated(catalog: Catalog) -> list[tuple[str, str]]:
    return [pair for message in catalog if message.id for pair in pairs(message) if pair[1]]


@catalogs
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_catalog_has_the_strings_of_the_sources(area, language):
    """`manage.py update_catalogs` brings it up to date."""
    found = {(message.id, message.context) for message in stored(area, language) if message.id}
    assert found == {(message.id, message.context) for message in marked()[area.name] if message.id}
    assert not stored(area, language).obsolete


@catalogs
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_string_has_a_translation(area, language):
    def is_excused(message: Message) -> bool:
        return all(name.startswith(UNFINISHED) for name, _ in message.locations)

    catalog = stored(area, language)
    missing = [
        message.id
        for message in catalog
        if message.id and not is_excused(message) and (message.fuzzy or not all(text for _, text in pairs(message)))
    ]
    assert missing == []


@catalogs
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_has_the_placeholders_and_the_edges_of_the_string(area, language):
    """A missing placeholder drops a fact, and a wrong one raises an error on the page."""
    for english, text in translated(stored(area, language)):
        for form in (PLACEHOLDER, TAG):
            assert Counter(form.findall(text)) == Counter(form.findall(english)), text
        # “Miro ” before “license” is “Miro-” before “Lizenz”.
        edges = (text[:1].isspace(), text[-1:].isspace() or (text.endswith("-") and english.endswith(" ")))
        assert edges == (english[:1].isspace(), english[-1:].isspace()), text
        assert text.count("%%") == english.count("%%"), text


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_string_has_the_same_translation_in_each_catalog(language):
    """Django reads all catalogs as one, so it would ignore one of two translations."""
    found: dict[tuple[object, object], set[object]] = {}
    for area in AREAS:
        for message in stored(area, language):
            if message.id and all(text for _, text in pairs(message)):
                found.setdefault((message.id, message.context), set()).add(message.string)
    assert {key: texts for key, texts in found.items() if len(texts) > 1} == {}


def test_no_marked_string_is_inside_of_an_f_string():
    """Babel does not find a string inside of an f-string."""
    hidden = [
        f"{file.relative_to(settings.BASE_DIR)}:{node.lineno}"
        for folder in ("integrations", "licensehub", "subscriptions")
        for file in sources(settings.BASE_DIR, folder)
        if file.suffix == ".py" and not file.relative_to(settings.BASE_DIR).as_posix().startswith(UNFINISHED)
        for text in ast.walk(ast.parse(file.read_text()))
        if isinstance(text, ast.JoinedStr)
        for node in ast.walk(text)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KEYWORDS
    ]
    assert hidden == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_our_translation_comes_before_those_of_libraries(language):
    """Django's admin also translates "History", with another word."""
    with translation.override(language):
        shown = {
            (message.id, message.string): translation.ngettext(*message.id, 1)
            if isinstance(message.id, tuple)
            else translation.gettext(message.id)
            for area in AREAS
            for message in stored(area, language)
            if message.id and not message.context
        }
    ours = {key: key[1][0] if isinstance(key[1], tuple) else key[1] for key in shown}
    assert {key: text for key, text in shown.items() if text != ours[key]} == {}


def test_each_file_belongs_to_one_catalog():
    areas = {
        "subscriptions/notices/answers.py": "licensehub",
        "integrations/connectors/contract/texts.py": "licensehub",
        "integrations/connectors/miro/texts.py": "integrations/connectors/miro",
        "subscriptions/admin/widgets/badges.py": "templates",
        "subscriptions/models/rules/rule.py": "subscriptions",
        "templates/admin/index.html": "templates",
        "templates/404.html": "licensehub",
    }
    assert {name: area.name for name in areas if (area := area_of(name))} == areas
    assert area_of("licensehub/checks/configuration.py") is None


def test_no_template_has_words_in_a_filter():
    """`pluralize:"person,people"` is in no catalog, so it is English for everybody."""
    words = re.compile(r'\|(?:pluralize|yesno|default|default_if_none):"(?!inbox"|LicenseHub")[^"]*[a-z]{2}')
    files = [
        *settings.BASE_DIR.glob("templates/**/*.html"),
        *settings.BASE_DIR.glob("licensehub/**/templates/**/*.html"),
    ]
    assert len(files) > 100
    assert [str(file) for file in files if words.search(file.read_text())] == []
