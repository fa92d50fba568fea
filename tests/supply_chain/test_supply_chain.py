"""The libraries of LicenseHub are listed, licensed and looked up; and each exception of the linter has a reason."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from supply_chain import licenses, vulnerabilities
from supply_chain.packages import DIRECT, Package, packages
from supply_chain.sbom import sbom

ROOT = Path(__file__).resolve().parent.parent.parent


def test_every_runtime_package_is_read_with_who_needs_it():
    found = {package.name: package for package in packages()}
    pins = re.findall(r"^([a-z0-9._-]+)==", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert list(found) == pins == sorted(pins)
    asked = [re.split(r"[\[<>=# ]", line)[0] for line in (ROOT / "requirements.in").read_text().splitlines()]
    assert {name for name, one in found.items() if DIRECT in one.needed_by} == {name for name in asked if name}
    assert found["colorama"].marker == "sys_platform == 'win32'"
    assert all(parent == DIRECT or parent in found for one in found.values() for parent in one.needed_by)


def test_all_licenses_are_allowed_and_a_foreign_one_is_named(tmp_path, monkeypatch):
    found = packages()
    assert licenses.problems(found) == []
    assert licenses.is_current(found), "run `make licenses`"
    # A new package, or a new version, makes the page old.
    assert not licenses.is_current([*found, Package("new", "1.0")])
    assert not licenses.is_current(found, tmp_path / "licenses.md")

    read = dict.fromkeys(("viral", "half"), "AGPL-3.0-only") | {"half": "MIT AND SSPL-1.0"}
    monkeypatch.setattr(licenses, "READ_BY_A_PERSON", licenses.READ_BY_A_PERSON | read)
    assert licenses.problems([Package("viral", "1"), Package("half", "1"), Package("no-such-package", "1")]) == [
        "viral: AGPL-3.0-only is not in ALLOWED.",
        "half: SSPL-1.0 is not in ALLOWED.",
        "no-such-package: its license is not known. Read it, and add it to READ_BY_A_PERSON.",
    ]


def test_sbom_has_hashes_licenses_and_dependencies_and_is_reproducible(monkeypatch):
    text = sbom(packages())
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert sbom(packages()) == text
    document = json.loads(text)
    by_ref = {component["bom-ref"]: component for component in document["components"]}
    assert len(by_ref) == len(packages())
    assert all(one["externalReferences"][0]["hashes"] and one["licenses"][0]["expression"] for one in by_ref.values())
    needs = {entry["ref"]: entry["dependsOn"] for entry in document["dependencies"]}
    root = document["metadata"]["component"]["bom-ref"]
    assert set(by_ref) == {ref for children in needs.values() for ref in children} == set(needs) - {root}
    assert any(ref.startswith("pkg:pypi/django@") for ref in needs[root])
    (kombu,) = (ref for ref in needs if ref.startswith("pkg:pypi/kombu@"))
    assert any(ref.startswith("pkg:pypi/amqp@") for ref in needs[kombu])


def test_findings_fail_and_a_network_that_is_away_does_not():
    clean = {"name": "django", "version": "5.2.19", "vulns": []}
    unknown = {"name": "ours", "skip_reason": "Dependency not found"}
    hole = {"name": "pillow", "version": "1.0", "vulns": [{"id": "CVE-1", "fix_versions": ["1.1", "2.0"]}]}

    def read(*dependencies, errors=""):
        answer = json.dumps({"dependencies": list(dependencies), "fixes": []}) if dependencies else ""
        return vulnerabilities.read(answer, errors)

    assert read(clean).clean
    assert read(clean, hole).findings == ["pillow 1.0: CVE-1, fixed in 1.1, 2.0"]
    assert not read(clean, hole).clean
    assert read(clean, unknown).left_out == ["ours"]
    assert not read(clean, unknown).clean
    for away in (
        read(unknown),
        read(errors="requests.exceptions.ConnectionError: ..."),
        read(errors="Failed to fetch"),
    ):
        assert (away.reached, away.clean, away.findings) == (False, False, [])
    with pytest.raises(RuntimeError, match="unrecognized arguments"):
        read(errors="pip-audit: error: unrecognized arguments")


def test_each_exception_of_the_linters_has_a_reason():
    """ruff's rules S are those of bandit. A file that is ignored as a whole has its reason in pyproject.toml."""
    mark, reason = r"# (?:noqa: [A-Z]\d|type: ignore\[)", r"# (?:noqa: [A-Z0-9, ]+ - |type: ignore\[[a-z-, ]+\]  # )\w"
    listed = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    texts = {name: (ROOT / name).read_text() for name in listed.split() if (ROOT / name).exists()}
    without = [
        f"{name}:{number}"
        for name, text in texts.items()
        for number, line in enumerate(text.splitlines(), 1)
        if re.search(mark, line) and not re.search(reason, line)
    ]
    assert without == []
    # That word would silence bandit without a word to ruff.
    assert [name for name, text in texts.items() if re.search(r"# nosec\b(?!\\)", text)] == []
