"""No vendor's name is used outside of its folder: in no code, no template and no translation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CONNECTORS = ROOT / "integrations" / "connectors"
SEARCHED = ("licensehub", "integrations", "subscriptions", "templates")
ENDINGS = {".py", ".html", ".txt", ".css", ".js", ".svg", ".po"}
# The line that registers it.
ALLOWED = {"licensehub/settings/base.py": r'^    "(\w+)": "integrations\.connectors\.\w+\.connector\.\w+",$'}


def vendors() -> list[str]:
    """The names of the connectors' folders."""
    return sorted(path.parent.name for path in CONNECTORS.glob("*/connector.py"))


def files(root: Path) -> Iterator[Path]:
    for folder in SEARCHED:
        yield from (path for path in (root / folder).rglob("*") if path.suffix in ENDINGS)


def named(root: Path, known: list[str]) -> list[str]:
    """`path:line: text` of each line that names a vendor outside of its folder."""
    found = []
    for path in files(root):
        where = path.relative_to(root)
        others = [vendor for vendor in known if Path("integrations/connectors") / vendor not in where.parents]
        if not others:
            continue
        name = re.compile("|".join(map(re.escape, others)), re.IGNORECASE)
        allowed = ALLOWED.get(where.as_posix())
        for number, line in enumerate(path.read_text().splitlines(), start=1):
            if name.search(line) and (allowed is None or not re.search(allowed, line)):
                found.append(f"{where}:{number}: {line.strip()}")
        if name.search(where.name) and allowed is None:
            found.append(f"{where}: the name of the file")
    return found


def test_no_vendor_is_named_outside_of_its_folder():
    assert "miro" in vendors()
    assert named(ROOT, vendors()) == []


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ("subscriptions/reclaims/engine.py", 'TEXT = "Look in Miro"'),
        ("templates/admin/index.html", "<p>Connect to MIRO</p>"),
        ("licensehub/settings/base.py", 'KIND = "miro_enterprise"'),
        ("licensehub/locale/de/LC_MESSAGES/django.po", 'msgstr "Mit Miro verbinden"'),
        ("integrations/connectors/http.py", "from integrations.connectors.miro import rest"),
        ("integrations/connectors/paper/connector.py", "from integrations.connectors.miro import rest"),
    ],
)
def test_a_planted_name_is_found(tmp_path, where, text):
    path = tmp_path / where
    path.parent.mkdir(parents=True)
    path.write_text(f"# a comment\n{text}\n")
    assert named(tmp_path, ["miro", "paper"]) == [f"{where}:2: {text}"]


def test_a_vendor_may_be_named_in_its_folder(tmp_path):
    path = tmp_path / "integrations" / "connectors" / "paper" / "connector.py"
    path.parent.mkdir(parents=True)
    path.write_text('LABEL = "Paper Office"\n')
    assert named(tmp_path, ["miro", "paper"]) == []


def test_what_is_allowed_is_still_needed():
    for where in ALLOWED:
        assert "miro" in (ROOT / where).read_text().lower(), f"{where} needs no exception any more"
