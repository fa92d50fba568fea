"""Check an extract of the audit of LicenseHub without LicenseHub. It needs Python 3.11 and `cryptography`.

    python verify.py EXTRACT [--anchors FILE] [--key=KEY] [--part] [--json]

An extract and the anchors are files of JSON lines, or one zip file with both, or the folder of an unpacked one. Of an
evidence pack, each file is compared with the manifest, and the manifest with its signature. KEY is a public key
(Ed25519, base64), as often as there were keys; it must come from somebody you trust, not from the zip file. Say --part
if you asked for a part of the audit: without it, an anchor of a later event means that the end is missing. The command
ends with 1 if something does not fit, and with 2 if it could not check.

    text_digest = SHA-256(salt + canonical([target_label, data]))
    body_digest = SHA-256(canonical([sequence, at, action, actor_id, actor_name, target_type, target_id, text_digest,
                                     correlation]))
    hash        = SHA-256(previous_hash + body_digest)

`canonical` is JSON with sorted keys, without spaces, in ASCII. Digests are written as 64 hexadecimal digits. `at` is in
UTC, in the form of `datetime.isoformat()`. The hash before the first event is 64 zeros.
"""

from __future__ import annotations

import argparse
import base64
import binascii
import json
import re
import sys
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from json.encoder import encode_basestring_ascii as quoted
from pathlib import Path
from typing import IO, Any, NamedTuple

FORMAT = "licensehub-audit-1"
EVENTS_FILE, ANCHORS_FILE, KEYS_FILE = "events.jsonl", "anchors.jsonl", "public-keys.txt"
# An evidence pack also has these: the SHA-256 of each file, and a signature of this list.
MANIFEST_FILE, SIGNATURE_FILE = "manifest.json", "manifest.sig"
EMPTY = "0" * 64
ERASURE = "audit.events_erased"
# An event that is so much older than the one before shows a wrong clock, or a forged event.
CLOCK_SKEW = timedelta(minutes=5)
# Rows that do not fit are compared with each other, to find out who was moved. More are only named.
MAX_COMPARED = 300

canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


# --- The format -------------------------------------------------------------------------------------------------------


def text_digest(salt: str, label: str, data: str) -> str:
    """The digest of the two columns that name a person; `data` is canonical. Nobody can guess them without the salt."""
    return sha256(f"{salt}[{quoted(label)},{data}]".encode()).hexdigest()


def body_digest(
    sequence: int,
    at: str,
    action: str,
    actor_id: int | None,
    actor_name: str,
    target_type: str,
    target_id: int,
    text: str,
    correlation: str,
) -> str:
    """The digest of one event; `text` is its text_digest. It writes `canonical` of the list by hand, twice as fast."""
    who = "null" if actor_id is None else actor_id
    body = (
        f"[{sequence},{quoted(at)},{quoted(action)},{who},{quoted(actor_name)},{quoted(target_type)},{target_id},"
        f"{quoted(text)},{quoted(correlation)}]"
    )
    return sha256(body.encode()).hexdigest()


def chain_hash(previous: str, body: str) -> str:
    """The hash of an event, which links its body to the hash of the event before."""
    return sha256(f"{previous}{body}".encode()).hexdigest()


class Event(NamedTuple):
    """One event, in the order of the columns that both the database and an extract have. `data` is a JSON object."""

    sequence: int
    at: str
    action: str
    actor_id: int | None
    actor_name: str
    target_type: str
    target_id: int
    text_digest: str
    correlation: str
    target_label: str
    data: dict[str, Any]
    salt: str
    previous_hash: str
    hash: str

    def body_digest(self, number: int) -> str:
        """The digest of its body if it was written with this number."""
        return body_digest(
            number,
            self.at,
            self.action,
            self.actor_id,
            self.actor_name,
            self.target_type,
            self.target_id,
            self.text_digest,
            self.correlation,
        )

    def was_written_as(self, number: int) -> bool:
        return chain_hash(self.previous_hash, self.body_digest(number)) == self.hash


_BODY = (str, str, int, str, str, str, dict, str, str, str)
# The types of an event that a user caused, and of one of LicenseHub itself.
TYPES = frozenset({(int, str, str, int, *_BODY), (int, str, str, type(None), *_BODY)})


# --- What is found ----------------------------------------------------------------------------------------------------


class Kind(StrEnum):
    """The kinds of findings."""

    EDITED = "edited"
    DELETED = "deleted"
    INSERTED = "inserted"
    REORDERED = "reordered"
    CUT = "cut"
    RESEALED = "resealed"
    ERASED = "erased"
    HEAD = "head"
    TIME = "time"
    ANCHOR = "anchor"
    FILE = "file"
    UNREADABLE = "unreadable"


# Findings of these kinds leave the hashes as they are: an anchor beyond them still proves the chain.
BESIDE_THE_CHAIN = frozenset({Kind.ERASED, Kind.HEAD, Kind.TIME, Kind.ANCHOR, Kind.FILE})


def english(text: str) -> str:
    """Mark a sentence for the translation in LicenseHub."""
    return text


EDITED = english("Changed: {where}. The content does not fit the hash.")
DELETED = english("Removed: {where}.")
INSERTED = english("Inserted: {where}.")
REORDERED = english("Moved: {where} was written as #{other}.")
OUT_OF_ORDER = english("Moved: {where} stands after later events.")
CUT = english("The end is missing: {where}. It is known from {source}.")
RELINKED = english("Written again: {where}. The next event is linked to another hash.")
RESEALED = english("Written again: {where}. Another hash is known from {source}.")
UNSIGNED = english("Written without the key of LicenseHub: {where}. The hash fits, the signature does not.")
ERASED = english("Text erased: {where}. No later event says so.")
HEAD = english("The head of the chain does not fit: it names #{other}, and the last event is {where}.")
HEAD_HASH = english("The head of the chain does not fit: it has another hash than {where}.")
BACKWARDS = english("The time runs backwards: {where} is older than the event before.")
FUTURE = english("The time is in the future: {where}.")
FORGED_ANCHOR = english("The anchor of {where} in {source} is not signed with a known key.")
CHANGED_FILE = "The file {name} was changed after the pack was made."
MISSING_FILE = "The file {name} is missing."
ADDED_FILE = "The file {name} was added: the manifest does not name it."
FORGED_MANIFEST = "The manifest is not signed with a known key."
UNREADABLE = english("Not an event: {where} has values of other kinds than an event has.")
UNREADABLE_LINE = english("Not an event: line {other}, at the place of {where}.")


class Finding(NamedTuple):
    """A place that does not fit, from event `first` to event `last`. `sentence` says it in English."""

    kind: Kind
    first: int
    last: int
    sentence: str


def finding(kind: Kind, sentence: str, first: int, last: int | None = None, **values: object) -> Finding:
    """A finding about one event, or about those from `first` to `last`."""
    last = first if last is None else last
    where = f"#{first}" if first == last else f"#{first}–#{last}"
    return Finding(kind, first, last, sentence.format(where=where, **values))


class Point(NamedTuple):
    """The hash of one event as it is known from `source`. It proves the chain up to there if it comes from outside."""

    sequence: int
    hash: str
    at: datetime | None
    source: str
    proves: bool


@dataclass(frozen=True, slots=True)
class Report:
    """Events `first` to `last` were checked. They are proved up to `proved`, and only plausible after it."""

    first: int
    last: int
    events: int
    findings: list[Finding]
    proved: Point | None
    anchors: int


# --- The chain --------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Chain:
    """Checks events one by one, in the order in which they come. `points` are what is known about their hashes."""

    points: Iterable[Point] = ()
    first: int = 1
    hash: str = EMPTY
    # The times are checked only if this is given.
    now: datetime | None = None
    events: int = 0
    next: int = 0
    findings: list[Finding] = field(default_factory=list)
    # Events whose signature does not fit. Only LicenseHub can know them.
    unsigned: list[int] = field(default_factory=list)
    _known: dict[int, list[Point]] = field(default_factory=lambda: defaultdict(list))
    _gaps: list[tuple[int, int]] = field(default_factory=list)
    _misfits: list[Event] = field(default_factory=list)
    # Event -> the number that it was written with.
    _moved: dict[int, int] = field(default_factory=dict)
    _relinked: list[int] = field(default_factory=list)
    _textless: list[int] = field(default_factory=list)
    _erasures: list[tuple[int, int, int]] = field(default_factory=list)
    _compared: list[tuple[Point, bool]] = field(default_factory=list)
    _shift: int = 0
    _latest: datetime | None = None

    def __post_init__(self) -> None:
        self.next = self.first
        self.know(self.points)

    def know(self, points: Iterable[Point]) -> None:
        """Compare with these points, too. Call it before the first event."""
        for point in points:
            self._known[point.sequence].append(point)
            if point.sequence == self.first - 1:
                self._compared.append((point, point.hash == self.hash))

    def add(self, event: Event, moment: datetime) -> None:
        """Check the next event. `moment` is its `at`. Raises ValueError for values of other types than an event has."""
        if tuple(map(type, event)) not in TYPES:
            raise ValueError("an event has numbers and texts")
        sequence, salt, label, written = event.sequence, event.salt, event.target_label, canonical(event.data)
        fits = text_digest(salt, label, written) == event.text_digest if salt else (label, written) == ("", "{}")
        whole = event.was_written_as(sequence)
        in_place = fits and whole and sequence == self.next and event.previous_hash == self.hash
        if not in_place and not self._explain(event, fits=fits, whole=whole):
            return
        if fits and whole:
            self._check_time(sequence, moment)
            if not salt:
                self._textless.append(sequence)
            if event.action == ERASURE:
                self._note_erasure(event)
        self._advance(sequence, event.hash)

    def add_digest(self, sequence: int, digest: str, stored: str) -> None:
        """Check an event of which only the digest of its body is known."""
        if not self._is_next(sequence):
            return
        if chain_hash(self.hash, digest) != stored and sequence == self.next:
            self.findings.append(finding(Kind.EDITED, EDITED, sequence))
        self._advance(sequence, stored)

    def add_unreadable(self, line: int | None = None) -> None:
        """A line, or a row of the database, is no event at all. The chain goes on as if it had been one."""
        sentence = UNREADABLE if line is None else UNREADABLE_LINE
        self.findings.append(finding(Kind.UNREADABLE, sentence, self.next, other=line))
        self.next += 1

    def finish(self, *, part: bool = False) -> Report:
        """Return what was found. `part`: events after the last one exist, and are not part of the extract."""
        self._name_the_moved()
        self._name_the_rest()
        known = [point for points in self._known.values() for point in points]
        beyond = [point for point in known if point.sequence >= self.next and not (part and point.proves)]
        if beyond:
            last = max(beyond, key=lambda point: point.sequence)
            self.findings.append(finding(Kind.CUT, CUT, self.next, last.sequence, source=last.source))
        proved = self._compare_all()
        return Report(
            first=self.first,
            last=self.next - 1,
            events=self.events,
            findings=sorted(self.findings, key=lambda found: (found.first, found.last)),
            proved=proved,
            anchors=len({point.sequence for point in known if point.proves}),
        )

    def _advance(self, sequence: int, stored: str) -> None:
        self.events += 1
        self.next, self.hash = sequence + 1, stored
        if sequence in self._known:
            self._compared += [(point, point.hash == self.hash) for point in self._known[sequence]]

    def _check_time(self, sequence: int, moment: datetime) -> None:
        if self.now is None:
            return
        if self._latest is None or moment > self._latest:
            self._latest = moment
        elif moment < self._latest - CLOCK_SKEW:
            self.findings.append(finding(Kind.TIME, BACKWARDS, sequence))
            self._latest = moment
        if moment > self.now + CLOCK_SKEW:
            self.findings.append(finding(Kind.TIME, FUTURE, sequence))

    def _note_erasure(self, event: Event) -> None:
        with suppress(TypeError, ValueError, KeyError):
            self._erasures += [(int(first), int(last), event.sequence) for first, last in event.data["sequences"]]

    def _is_next(self, sequence: int) -> bool:
        """Whether the chain goes on with this event. A gap before it, or a number that was there before, is found."""
        if sequence >= self.next:
            if sequence > self.next:
                self._gaps.append((self.next, sequence - 1))
            return True
        for place, (first, last) in enumerate(self._gaps):
            if first <= sequence <= last:
                self._gaps[place : place + 1] = [(first, sequence - 1), (sequence + 1, last)]
                self.findings.append(finding(Kind.REORDERED, OUT_OF_ORDER, sequence))
                return False
        self.findings.append(finding(Kind.INSERTED, INSERTED, sequence))
        return False

    def _explain(self, event: Event, *, fits: bool, whole: bool) -> bool:
        """Keep why this event does not fit. Returns whether the chain goes on with it."""
        sequence, expected = event.sequence, self.next
        goes_on = self._is_next(sequence)
        if not whole:
            written = next((n for n in self._likely(sequence) if event.was_written_as(n)), None)
            if written is None:
                self._misfits.append(event)
            else:
                self._moved[sequence], self._shift = written, sequence - written
        elif not fits:
            self.findings.append(finding(Kind.EDITED, EDITED, sequence))
        elif sequence == expected and event.previous_hash != self.hash:
            self._relinked.append(sequence - 1)
        return goes_on

    def _likely(self, sequence: int) -> Iterator[int]:
        """The numbers that an event was probably written with, if events were inserted or removed before it."""
        return (sequence - self._shift + step for step in (0, 1, -1, 2, -2, 3, -3))

    def _name_the_moved(self) -> None:
        misfits = {event.sequence: event for event in self._misfits}
        if len(misfits) <= MAX_COMPARED:
            numbers = {*misfits, *self._moved, *self._moved.values()}
            for sequence, event in misfits.items():
                written = next((n for n in numbers if event.was_written_as(n)), None)
                if written is not None:
                    self._moved[sequence] = written
        self._misfits = [event for event in self._misfits if event.sequence not in self._moved]
        if set(self._moved) == set(self._moved.values()):
            self.findings += [
                finding(Kind.REORDERED, REORDERED, sequence, other=n) for sequence, n in self._moved.items()
            ]
            return
        shift = 0
        for sequence, written in sorted(self._moved.items()):
            change = sequence - written - shift
            if change > 0:
                self.findings.append(finding(Kind.INSERTED, INSERTED, sequence - change, sequence - 1))
            elif change < 0:
                self.findings.append(finding(Kind.DELETED, DELETED, sequence - shift, written - 1))
            shift = sequence - written

    def _name_the_rest(self) -> None:
        self.findings += [finding(Kind.DELETED, DELETED, first, last) for first, last in self._gaps if first <= last]
        in_chain = [found for found in self.findings if found.kind not in BESIDE_THE_CHAIN]
        named = {n for found in in_chain for n in (found.first, found.last)} | set(self._moved)
        for event in self._misfits:
            if event.sequence not in named:
                self.findings.append(finding(Kind.EDITED, EDITED, event.sequence))
        named |= {event.sequence for event in self._misfits}
        self.findings += [
            finding(Kind.RESEALED, UNSIGNED, first, last)
            for first, last in spans([n for n in self.unsigned if n not in named])
        ]
        named |= set(self.unsigned)
        for sequence in self._relinked:
            if sequence not in named and sequence + 1 not in named:
                self.findings.append(finding(Kind.RESEALED, RELINKED, sequence))
        said = [n for n in self._textless if not any(first <= n <= last < by for first, last, by in self._erasures)]
        self.findings += [finding(Kind.ERASED, ERASED, first, last) for first, last in spans(said)]

    def _compare_all(self) -> Point | None:
        """Name the first event that a point does not know, and return the last point that proves the chain."""
        in_chain = [found for found in self.findings if found.kind not in BESIDE_THE_CHAIN]
        broken = [found.first for found in in_chain]
        proved: Point | None = None
        matched, differs = self.first - 1, False
        for point, same in sorted(self._compared, key=lambda pair: pair[0].sequence):
            if same:
                matched, differs = point.sequence, False
                if point.proves and not any(first <= point.sequence for first in broken):
                    proved = point
            elif not differs:
                differs = True
                broken.append(matched + 1)
                if not any(matched < found.first <= point.sequence for found in in_chain):
                    found = finding(Kind.RESEALED, RESEALED, matched + 1, point.sequence, source=point.source)
                    self.findings.append(found)
        return proved


def spans(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """3, 4, 5, 9 -> (3, 5), (9, 9)"""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


# --- Files ------------------------------------------------------------------------------------------------------------


class Unusable(Exception):
    """The files cannot be checked. The text says why."""


class Pack:
    """The files of a zip file, or of the folder into which it was unpacked."""

    def __init__(self, path: Path) -> None:
        self._folder = path if path.is_dir() else None
        self._zip = None if self._folder else zipfile.ZipFile(path)

    def names(self) -> list[str]:
        """With the slashes of a zip file. A name may be there twice."""
        if self._folder:
            return [file.relative_to(self._folder).as_posix() for file in self._folder.rglob("*") if file.is_file()]
        return self._zip.namelist() if self._zip else []

    def open(self, name: str) -> IO[bytes]:
        if self._folder:
            return (self._folder / name).open("rb")
        return self._zip.open(name)  # type: ignore[union-attr]  # a name exists only in one of them

    def read(self, name: str) -> bytes:
        with self.open(name) as file:
            return file.read()

    def lines(self, name: str) -> Iterator[str]:
        """Line by line: the events may be many."""
        with self.open(name) as file:
            for line in file:
                yield line.decode()


class PackReport(NamedTuple):
    """`signed`: the manifest is signed with a known key. `files` is how many the manifest names."""

    findings: list[Finding]
    signed: bool
    files: int


def manifest_payload(manifest: bytes) -> bytes:
    """Return the bytes that the signature of a manifest covers. No anchor begins like this."""
    return b"licensehub-evidence-pack-1\n" + manifest


def check_manifest(pack: Pack, keys: dict[str, bytes], *, own_keys: bool) -> PackReport | None:
    """Compare all files with the manifest; None for a file without one, e.g. an extract that was zipped."""
    names = pack.names()
    if MANIFEST_FILE not in names:
        return None
    manifest = pack.read(MANIFEST_FILE)
    try:
        files = {str(name): str(entry["sha256"]) for name, entry in json.loads(manifest)["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unusable(f"{MANIFEST_FILE} is not the manifest of an evidence pack.") from error
    found = [finding(Kind.FILE, MISSING_FILE, 0, name=name) for name in sorted(set(files) - set(names))]
    once = set()
    for name in names:
        if name in once or name not in {*files, MANIFEST_FILE, SIGNATURE_FILE}:
            found.append(finding(Kind.FILE, ADDED_FILE, 0, name=name))
        elif name in files and _digest(pack, name) != files[name]:
            found.append(finding(Kind.FILE, CHANGED_FILE, 0, name=name))
        once.add(name)
    signed = SIGNATURE_FILE in names and _is_signed_manifest(manifest, pack.read(SIGNATURE_FILE), keys)
    # Without keys of their own, readers can only compare the files with each other.
    if not signed and (own_keys or SIGNATURE_FILE in names):
        found.append(finding(Kind.FILE, FORGED_MANIFEST, 0))
    return PackReport(found, signed, len(files))


def _digest(pack: Pack, name: str) -> str:
    digest = sha256()
    with pack.open(name) as file:
        while piece := file.read(1 << 16):
            digest.update(piece)
    return digest.hexdigest()


def _is_signed_manifest(manifest: bytes, signature: bytes, keys: dict[str, bytes]) -> bool:
    with suppress(ValueError, KeyError, TypeError):
        row = json.loads(signature)
        return fits_key(keys.get(str(row["key_id"])), str(row["signature"]), manifest_payload(manifest))
    return False


@dataclass(frozen=True, slots=True)
class Given:
    """The material of an auditor: the lines of an extract and of anchors, and public keys by their id."""

    events: Iterable[str]
    anchors: list[tuple[str, str]]
    keys: dict[str, bytes]
    own_keys: bool
    # For an evidence pack: what is wrong with its files, and whether its manifest is signed with a known key.
    pack: PackReport | None = None


def check_files(given: Given, *, part: bool = False) -> Report:
    """Check an extract, and the files of a pack. Raises Unusable."""
    changed = given.pack.findings if given.pack else []
    lines = iter(given.events)
    try:
        header = json.loads(next(lines, "{}"))
        first, last = int(header["first"]), int(header["last"])
        if header["format"] != FORMAT:
            raise Unusable(f"The extract has another format than {FORMAT}.")
        end = Point(last, str(header["hash"]), None, english("the first line of the extract"), proves=False)
        chain = Chain([end], first=first, hash=str(header["previous_hash"]), now=datetime.now(UTC))
    except (ValueError, KeyError, TypeError) as error:
        if changed:
            return Report(1, 0, 0, changed, None, 0)
        raise Unusable("The first line of the extract does not say which events it has.") from error
    genuine, forged = sorted_anchors(given)
    chain.know(genuine)
    chain.findings += [*forged, *changed]
    for number, line in enumerate(lines, start=2):
        try:
            _add_line(chain, json.loads(line))
        except (ValueError, KeyError, TypeError):
            chain.add_unreadable(number)
    return chain.finish(part=part)


def _add_line(chain: Chain, row: dict[str, Any]) -> None:
    if "digest" in row:
        chain.add_digest(_whole(row["sequence"]), str(row["digest"]), str(row["hash"]))
        return
    event = Event(**row)
    moment = datetime.fromisoformat(event.at)
    if moment.tzinfo is None:
        raise ValueError("a time has its zone")
    chain.add(event, moment)


def _whole(number: object) -> int:
    if type(number) is not int:
        raise ValueError("a whole number is expected")
    return number


def sorted_anchors(given: Given) -> tuple[list[Point], list[Finding]]:
    """The anchors as points, and a finding for each that no known key has signed."""
    points, findings = [], []
    for source, line in given.anchors:
        try:
            row = json.loads(line)
            point = Point(_whole(row["sequence"]), str(row["hash"]), datetime.fromisoformat(row["at"]), source, True)
            genuine = is_signed(row, given.keys)
        except (ValueError, KeyError, TypeError):
            raise Unusable(f"A line of {source} is no anchor.") from None
        if genuine:
            points.append(point)
        else:
            findings.append(finding(Kind.ANCHOR, FORGED_ANCHOR, point.sequence, source=source))
    return points, findings


def anchor_payload(row: dict[str, Any]) -> bytes:
    """Return the bytes that the signature of an anchor covers: canonical JSON in UTF-8, without the signature."""
    signed = {name: row[name] for name in ("sequence", "hash", "at", "count", "instance", "key_id")}
    return json.dumps(signed, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def is_signed(row: dict[str, Any], keys: dict[str, bytes]) -> bool:
    """Whether one of these public keys (32 bytes each) has signed the anchor."""
    return fits_key(keys.get(str(row["key_id"])), str(row["signature"]), anchor_payload(row))


def fits_key(key: bytes | None, signature: str, payload: bytes) -> bool:
    """Whether this public key (32 bytes) made the signature (base64) of the payload."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    with suppress(InvalidSignature, binascii.Error):
        if key is not None:
            Ed25519PublicKey.from_public_bytes(key).verify(base64.b64decode(signature, validate=True), payload)
            return True
    return False


def read_keys(text: str) -> dict[str, bytes]:
    """The public keys in a text, by their id: the first 16 digits of the SHA-256 of the key."""
    found = {}
    for word in re.split(r"[,\s]+", re.sub(r"#.*", "", text).strip()):
        if not word or word.startswith("private:"):
            continue
        try:
            raw = base64.urlsafe_b64decode(word.removeprefix("public:").encode("ascii"))
        except (UnicodeEncodeError, binascii.Error):
            raw = b""
        if len(raw) != 32:
            raise Unusable("A key is not 32 bytes in base64.")
        found[sha256(raw).hexdigest()[:16]] = raw
    return found


def read(options: argparse.Namespace) -> Given:
    """The files that the options name. Raises Unusable."""
    own = read_keys(" ".join(_text_of(key) for key in options.key))
    anchors = [(str(name), line) for name in options.anchors for line in _lines(Path(name).read_text())]
    path = Path(options.extract)
    if not path.is_dir() and not zipfile.is_zipfile(path):
        return Given(_streamed(path), anchors, own, bool(own))
    pack = Pack(path)
    names = set(pack.names())
    keys = own or read_keys(pack.read(KEYS_FILE).decode() if KEYS_FILE in names else "")
    files = check_manifest(pack, keys, own_keys=bool(own))
    if EVENTS_FILE not in names and not (files and files.findings):
        raise Unusable(f"{options.extract} has no {EVENTS_FILE}.")
    anchors += [
        (ANCHORS_FILE, line) for line in _lines(pack.read(ANCHORS_FILE).decode() if ANCHORS_FILE in names else "")
    ]
    events = pack.lines(EVENTS_FILE) if EVENTS_FILE in names else iter(())
    return Given(events, anchors, keys, bool(own), files)


def _streamed(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8") as lines:
        yield from lines


def _text_of(key: str) -> str:
    return Path(key).read_text() if Path(key).exists() else key


def _lines(text: str) -> list[str]:
    return [line for line in text.split("\n") if line.strip()]


def main(arguments: list[str]) -> int:
    """Check what the arguments name, and print the result. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("extract")
    parser.add_argument("--anchors", action="append", default=[], metavar="FILE")
    parser.add_argument(
        "--key",
        action="append",
        default=[],
        help="base64, which may begin with a hyphen: --key=KEY; or the name of a file",
    )
    parser.add_argument("--part", action="store_true", help="later events exist, and are not in the extract")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    try:
        given = read(options)
        # A pack has the events of one request, one person or one period.
        report = check_files(given, part=options.part or given.pack is not None)
    except (Unusable, OSError, UnicodeDecodeError, zipfile.BadZipFile, ImportError) as problem:
        sys.stderr.write(f"Not checked: {problem}\n")
        return 2
    sys.stdout.write(as_json(report) if options.json else as_text(report))
    if given.pack and not options.json:
        sys.stdout.write(_about_files(given.pack))
    if given.anchors and not given.own_keys:
        sys.stderr.write(
            "The keys are those of the file itself. Compare them with the keys that you were given: --key\n"
        )
    return 1 if report.findings else 0


def _about_files(pack: PackReport) -> str:
    if pack.findings:
        return "The files of the pack are not those that were made.\n"
    if pack.signed:
        return f"{pack.files} files are those that LicenseHub made: the manifest is signed.\n"
    return f"{pack.files} files fit the manifest. It is not signed, so somebody may have made both again.\n"


def as_text(report: Report, most: int = 100) -> str:
    """The report in sentences, with at most so many findings."""
    said = [f"{report.events:,} events were checked, #{report.first} to #{report.last}."]
    proved = report.proved
    if proved:
        said.append(
            f"Proved up to #{proved.sequence} by the anchor of {proved.at:%Y-%m-%d %H:%M} UTC ({proved.source})."
        )
    since = proved.sequence + 1 if proved else report.first
    if since <= report.last:
        said.append(f"Only plausible from #{since} to #{report.last}: no anchor proves these events.")
    said += [f"FINDING, {found.kind}: {found.sentence}" for found in report.findings[:most]]
    if len(report.findings) > most:
        said.append(f"... and {len(report.findings) - most:,} more findings.")
    said.append("Something does not fit." if report.findings else "Everything fits.")
    return "\n".join(said) + "\n"


def as_json(report: Report) -> str:
    """The report for a program."""
    proved = report.proved
    shown = {
        "first": report.first,
        "last": report.last,
        "events": report.events,
        "anchors": report.anchors,
        "proved_to": proved and {"sequence": proved.sequence, "at": str(proved.at), "source": proved.source},
        "findings": [found._asdict() for found in report.findings],
    }
    return json.dumps(shown, indent=2) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
