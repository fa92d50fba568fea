"""The docs name files and code that exist."""

from __future__ import annotations

import re
from pathlib import Path

from django.conf import settings

ROOT = settings.BASE_DIR
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
CODE = ("licensehub", "integrations", "subscriptions")


def links(page: Path) -> set[str]:
    found = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
    return {link for link in found if "://" not in link}


def test_every_link_leads_to_a_file():
    broken = [f"{page.name}: {link}" for page in PAGES for link in links(page) if not (page.parent / link).exists()]
    assert len(PAGES) > 20
    assert broken == []


def test_every_path_of_a_module_exists():
    named = {
        f"{page.name}: {path}"
        for page in PAGES
        for path in re.findall(
            r"`((?:licensehub|integrations|subscriptions|tests|docs|templates)/[\w/.-]+\.\w+)`", page.read_text()
        )
        if "NAME" not in path and not (ROOT / path).exists()
    }
    assert named == set()


def test_every_decision_has_a_status_and_is_in_the_readme():
    decisions = sorted((ROOT / "docs" / "adr").glob("*.md"))
    readme = (ROOT / "README.md").read_text()
    assert [page.name for page in decisions if "\n**Status:** " not in page.read_text()] == []
    assert [page.name for page in decisions if f"docs/adr/{page.name}" not in readme] == []


def words_of_the_code() -> set[str]:
    files = [path for folder in CODE for path in (ROOT / folder).rglob("*")]
    source = "\n".join(path.read_text() for path in files if path.suffix == ".py")
    return set(re.findall(r"\w+", source)) | {path.stem for path in files}


def test_the_glossary_names_what_the_code_names():
    rows = [line.split("|") for line in (ROOT / "docs/glossary.md").read_text().splitlines() if line.startswith("| ")]
    terms = {term for row in rows for term in re.findall(r"`([^`]+)`", row[2])}
    words = words_of_the_code()
    assert len(terms) > 40
    assert {term for term in terms if re.split(r"[./]", term.removesuffix(".py"))[-1] not in words} == set()


def test_the_data_flow_names_functions_that_exist():
    terms = set(re.findall(r"`([a-zA-Z_]+(?:\.[a-zA-Z_]+)*)[`(]", (ROOT / "docs/data-flow.md").read_text()))
    words = words_of_the_code()
    assert len(terms) > 40
    assert {term for term in terms if term.split(".")[-1] not in words} == set()
