"""An auditor checks an extract alone: one file, an empty folder, and a public key."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from integrations.models import IntegrationProfile
from licensehub.audit.actions import Action
from licensehub.audit.anchors.anchor import Anchor
from licensehub.audit.anchors.keys import encoded, new_keys
from licensehub.audit.chain import offline_verifier
from licensehub.audit.chain.extract import write_extract
from licensehub.audit.chain.offline_verifier import Given, Kind, check_files
from licensehub.audit.erase import erase_texts
from licensehub.audit.log import record_many
from licensehub.audit.models import AuditEvent

ANCHORED = 8


@pytest.fixture
def audit(db, alice):
    """Ten events. The text of one is erased, and the ninth says so."""
    profile = IntegrationProfile.objects.create(name='Zoë "Ä" 😀', organization_id="1", kind="miro_enterprise")
    with transaction.atomic():
        targets = [(profile, {"n": n, "ratio": 0.1, "name": "Müller"}) for n in range(8)]
        record_many(Action.PROFILE_CHANGED, actor=alice, targets=targets)
        erase_texts([3], actor=alice, why="The person asked for it.")
        record_many(Action.PROFILE_PAUSED, actor=None, targets=[(profile, {})])


@pytest.fixture
def auditor(audit, tmp_path):
    """The files of an auditor in an empty folder. Returns a function that runs the verifier there."""
    (tmp_path / "verify.py").write_text(Path(offline_verifier.__file__).read_text())
    keys = new_keys()
    anchored = AuditEvent.objects.get(sequence=ANCHORED)
    anchor = Anchor.signed(
        keys, sequence=ANCHORED, hash=anchored.hash, at=datetime(2026, 11, 28, 9, tzinfo=UTC), count=8, instance="one"
    )
    (tmp_path / "anchors.jsonl").write_text(anchor.text() + "\n")
    call_command("export_audit", str(tmp_path / "extract.jsonl"), verbosity=0, stdout=io.StringIO())
    key = encoded(keys.public[keys.signing_id].public_bytes_raw())

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        given = arguments or ("extract.jsonl", "--anchors", "anchors.jsonl", f"--key={key}")
        command = [sys.executable, "-I", "verify.py", *given]
        return subprocess.run(command, cwd=tmp_path, env={}, capture_output=True, text=True, check=False)

    run.folder, run.key = tmp_path, key
    return run


def test_it_runs_alone(auditor):
    done = auditor()
    assert (done.returncode, done.stderr) == (0, "")
    assert "10 events were checked, #1 to #10." in done.stdout
    assert "Proved up to #8 by the anchor of 2026-11-28 09:00 UTC (anchors.jsonl)." in done.stdout
    assert "Only plausible from #9 to #10" in done.stdout and "Everything fits." in done.stdout

    extract = auditor.folder / "extract.jsonl"
    lines = extract.read_text().splitlines()
    extract.write_text("\n".join([lines[0], *(line.replace("alice", "mallo") for line in lines[1:])]))
    done = auditor("extract.jsonl", "--anchors", "anchors.jsonl", f"--key={auditor.key}", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 1
    assert [(one["kind"], one["first"]) for one in found["findings"]] == [("edited", n) for n in range(1, 10)]
    assert found["proved_to"] is None


def test_a_zip_file_with_its_own_key_says_so(auditor):
    folder = auditor.folder
    with zipfile.ZipFile(folder / "pack.zip", "w") as pack:
        pack.write(folder / "extract.jsonl", "events.jsonl")
        pack.write(folder / "anchors.jsonl", "anchors.jsonl")
        pack.writestr("public-keys.txt", f"public:{auditor.key}\n")
    done = auditor("pack.zip")
    assert done.returncode == 0 and "Proved up to #8" in done.stdout
    assert "Compare them with the keys that you were given" in done.stderr
    other = new_keys()
    done = auditor("pack.zip", f"--key={encoded(other.public[other.signing_id].public_bytes_raw())}")
    assert done.returncode == 1 and "is not signed with a known key" in done.stdout and "Proved" not in done.stdout


def test_what_cannot_be_checked_is_no_pass(auditor):
    for name, content in {"empty": "", "other": '{"format": "x"}\n', "garbage": "%\n"}.items():
        (auditor.folder / name).write_text(content)
        done = auditor(name)
        assert (done.returncode, done.stdout) == (2, "") and "Not checked" in done.stderr, name
    assert auditor("extract.jsonl", "--key", "short").returncode == 2
    with pytest.raises(CommandError, match="exists"):
        call_command("export_audit", str(auditor.folder / "empty"))
    with pytest.raises(CommandError, match="no such events"):
        call_command("export_audit", str(auditor.folder / "new"), "--first", "99")
    assert not (auditor.folder / "new").exists()


def extract(**options: Any) -> list[str]:
    file = io.StringIO()
    write_extract(file, **options)
    return file.getvalue().splitlines()


def found_in(lines: list[str], *, part: bool = False) -> list[tuple[str, int, int]]:
    report = check_files(Given(lines, [], {}, own_keys=True), part=part)
    return [(found.kind, found.first, found.last) for found in report.findings]


def test_an_extract_shows_only_what_belongs_to_it(audit):
    """Other events are digests without a name in them. They are checked all the same."""
    lines = extract(first=2, content=[4, 5, 9])
    whole = [json.loads(line) for line in lines[1:]]
    assert [row["sequence"] for row in whole if "target_label" in row] == [4, 5, 9]
    assert sum("Müller" in json.dumps(row, ensure_ascii=False) for row in whole) == 2
    assert found_in(lines) == []

    def changed(place: int, **values: object) -> list[str]:
        return [*lines[:place], json.dumps({**json.loads(lines[place]), **values}), *lines[place + 1 :]]

    for attack, expected in (
        (changed(1, digest="f" * 64), (Kind.EDITED, 2, 2)),
        (changed(3, target_label="Mallory"), (Kind.EDITED, 4, 4)),
        (changed(3, data={"n": 4}), (Kind.EDITED, 4, 4)),
        (changed(3, actor_id=True), (Kind.UNREADABLE, 4, 4)),
        (changed(3, at="2026-11-28T09:00:00"), (Kind.UNREADABLE, 4, 4)),
        ([*lines[:3], "{", *lines[4:]], (Kind.UNREADABLE, 4, 4)),
        ([*lines[:2], *lines[3:]], (Kind.DELETED, 3, 3)),
        ([*lines[:3], lines[4], lines[3], *lines[5:]], (Kind.REORDERED, 4, 4)),
        ([*lines[:4], lines[3], *lines[4:]], (Kind.INSERTED, 4, 4)),
        (lines[:-2], (Kind.CUT, 9, 10)),
    ):
        assert expected in found_in(attack), attack


def test_a_part_ends_before_a_later_anchor(audit):
    keys = new_keys()
    last = AuditEvent.objects.get(sequence=10)
    anchor = Anchor.signed(keys, sequence=10, hash=last.hash, at=datetime.now(UTC), count=10, instance="")
    known = {name: key.public_bytes_raw() for name, key in keys.public.items()}
    given = Given(extract(last=5), [("a mail", anchor.text())], known, own_keys=True)
    cut = check_files(given).findings
    # The text of #3 was erased after the end of the part.
    assert [(found.kind, found.first, found.last) for found in cut] == [(Kind.ERASED, 3, 3), (Kind.CUT, 6, 10)]
    assert [found.kind for found in check_files(given, part=True).findings] == [Kind.ERASED]
