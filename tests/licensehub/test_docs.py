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


def test_the_index_of_decisions_has_the_title_and_status_of_each():
    pages = [path for path in sorted((ROOT / "docs" / "adr").glob("*.md")) if path.name != "README.md"]
    rows = []
    for page in pages:
        number, title, status = re.findall(
            r"# (\d+)\. (.+)\n\n\*\*Status:\*\* (accepted|superseded by \[ADR \d+)", page.read_text()
        )[0]
        rows.append(f"| {number} | [{title}]({page.name}) | {status.replace('[ADR ', '')} |")
    index = (ROOT / "docs" / "adr" / "README.md").read_text().splitlines()
    assert len(rows) > 20
    assert [line for line in index if line.startswith("| ")][1:] == rows


def test_the_readme_leads_to_each_page():
    pages = {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")} - {
        "docs/audit-events.md",
        "docs/glossary-de.md",
    }
    assert pages - links(ROOT / "README.md") == set()


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
