"""The verifier in an evidence pack: what it proves, and what it finds."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

import pytest
from django.db import transaction

from licensehub.audit.anchors.anchor import Anchor
from licensehub.audit.anchors.keys import encoded, new_keys
from licensehub.audit.anchors.write import write_anchor
from licensehub.audit.erase import erase_texts
from subscriptions.evidence import pack as packs
from subscriptions.evidence.scope import scope_of_request
from tests.support.packs import make, opened


def verify(path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """The verifier of the pack, by a Python that knows nothing of LicenseHub."""
    script = path / "verify.py"
    command = [sys.executable, "-I", str(script), *options]
    return subprocess.run(command, capture_output=True, text=True, cwd=path, env={"PATH": "/nowhere"})


def zipped(folder: Path, name: Path) -> Path:
    with ZipFile(name, "w") as files:
        for file in folder.iterdir():
            files.write(file, file.name)
    return name


@dataclass(frozen=True)
class Unpacked:
    """A pack on the disk of its reader, who knows the key and the anchor from elsewhere."""

    folder: Path
    key: str
    anchor: Anchor

    def verify(self, *options: str) -> subprocess.CompletedProcess[str]:
        return verify(self.folder, *options, f"--key={self.key}")


@pytest.fixture
def pack(done, tmp_path, keys, profile_event) -> Unpacked:
    profile_event()
    anchor = write_anchor()
    assert anchor
    profile_event()
    folder = tmp_path / "pack"
    with opened(make(scope_of_request(done[0].removal.request))) as files:
        files.extractall(folder)
    return Unpacked(folder, encoded(keys.signing.public_key().public_bytes_raw()), anchor)


def test_the_verifier_of_the_pack_says_what_is_proved(done, pack, tmp_path):
    folder, anchor = pack.folder, pack.anchor
    report = (folder / "report.html").read_text()
    assert f"at event #{anchor.sequence}" in report and "Only plausible: no" not in report
    lines = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    last = scope_of_request(done[0].removal.request).last_event()
    assert (lines[0]["last"], last) == (anchor.sequence, anchor.sequence - 1)
    # Other events are there without their content.
    assert "digest" in lines[-1] and "profile.changed" not in (folder / "events.jsonl").read_text()

    found = pack.verify(".")
    assert found.returncode == 0, found.stdout + found.stderr
    assert f"Proved up to #{anchor.sequence} by the anchor" in found.stdout and "Everything fits." in found.stdout
    assert "are those that LicenseHub made: the manifest is signed" in found.stdout and found.stderr == ""
    assert "The keys are those of the file itself" in verify(folder, ".").stderr
    assert pack.verify(str(zipped(folder, tmp_path / "whole.zip"))).returncode == 0


def edit(name: str, old: str, new: str) -> Callable[[Path], object]:
    def change(copy: Path) -> None:
        text = (copy / name).read_text()
        assert old in text
        (copy / name).write_text(text.replace(old, new))

    return change


def again(copy: Path) -> None:
    """Edit a file as somebody does who knows the format: the manifest fits again."""
    edit("people.csv", "Inactive", "Active")(copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["files"]["people.csv"]["sha256"] = hashlib.sha256((copy / "people.csv").read_bytes()).hexdigest()
    (copy / "manifest.json").write_text(json.dumps(manifest))


def unsigned(copy: Path) -> None:
    again(copy)
    (copy / "manifest.sig").unlink()


def own_keys(copy: Path) -> None:
    again(copy)
    theirs = new_keys()
    (copy / "manifest.sig").write_text(packs.sign_manifest((copy / "manifest.json").read_bytes(), theirs))
    (copy / "public-keys.txt").write_text(encoded(theirs.signing.public_key().public_bytes_raw()))


def one_event_less(copy: Path) -> None:
    again(copy)
    kept = (copy / "events.jsonl").read_text().splitlines()
    (copy / "events.jsonl").write_text("\n".join(kept[:-2] + kept[-1:]))


# What the verifier says -> what somebody did to the files.
TAMPERED: tuple[tuple[str, Callable[[Path], object]], ...] = (
    ("The file calls.csv was changed", edit("calls.csv", "Verified", "Refused")),
    ("The file report.html was changed", edit("report.html", "bob", "eve")),
    ("The file restores.csv is missing", lambda copy: (copy / "restores.csv").unlink()),
    ("The file events.jsonl is missing", lambda copy: (copy / "events.jsonl").unlink()),
    ("The file more.csv was added", lambda copy: (copy / "more.csv").write_text("x")),
    ("The manifest is not signed with a known key", again),
    ("The manifest is not signed with a known key", unsigned),
    ("The manifest is not signed with a known key", own_keys),
    ("FINDING, deleted", one_event_less),
    ("FINDING, edited", edit("events.jsonl", '"actor_name": "bob"', '"actor_name": "eve"')),
    ("is not signed with a known key", edit("anchors.jsonl", '"count":', '"count":1')),
)


def test_the_verifier_of_the_pack_names_what_was_changed(pack, tmp_path):
    copy = tmp_path / "tampered"
    for says, change in TAMPERED:
        shutil.copytree(pack.folder, copy)
        change(copy)
        found = pack.verify(str(copy))
        assert found.returncode == 1 and says in found.stdout, f"{says}: {found.stdout}{found.stderr}"
        found = pack.verify(str(zipped(copy, tmp_path / "tampered.zip")))
        assert found.returncode == 1 and says in found.stdout
        shutil.rmtree(copy)
    # A spreadsheet that opens the file twice in the zip shows only one of them.
    twice = zipped(pack.folder, tmp_path / "twice.zip")
    with warnings.catch_warnings(), ZipFile(twice, "a") as files:
        warnings.simplefilter("ignore")
        files.writestr("people.csv", "nobody")
    assert "FINDING, file" in pack.verify(str(twice)).stdout


def test_without_an_anchor_or_a_key_the_pack_says_so(done, settings, tmp_path):
    settings.ANCHOR_KEYS, settings.ANCHOR_KEY_FILE = "", tmp_path / "none"
    with opened(make(scope_of_request(done[0].removal.request))) as files:
        assert "manifest.sig" not in files.namelist()
        assert "Only plausible: no anchor is later" in files.read("report.html").decode()
        files.extractall(tmp_path / "pack")
    said = verify(tmp_path / "pack", ".")
    assert said.returncode == 0 and "Only plausible from" in said.stdout and "It is not signed" in said.stdout


def test_erased_texts_are_no_finding(done, tmp_path, keys, alice):
    request = done[0].removal.request
    sequences = list(scope_of_request(request).events.values_list("sequence", flat=True))[:3]
    with transaction.atomic():
        erase_texts(sequences, actor=alice, why="Asked for")
    write_anchor()
    with opened(make(scope_of_request(request))) as files:
        files.extractall(tmp_path / "pack")
    said = verify(tmp_path / "pack", ".", f"--key={encoded(keys.signing.public_key().public_bytes_raw())}")
    assert said.returncode == 0, said.stdout + said.stderr
