"""Make the evidence pack of one scope: a zip with tables, report, events of the audit, anchors and a verifier."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

from django.db import connection, transaction
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from integrations.connectors.contract import english
from integrations.models import IntegrationProfile
from integrations.scopes.visibility import seen_by
from licensehub.audit.actions import Action
from licensehub.audit.anchors.keys import Keys
from licensehub.audit.chain.offline_verifier import manifest_payload
from licensehub.audit.log import Actor, Row, record_rows
from licensehub.audit.models import AuditEvent
from licensehub.ui.formatting import day_and_time, number
from subscriptions.errors import Refused
from subscriptions.evidence.archive import Archive
from subscriptions.evidence.extract import Extract, add_extract, keys_of_this_installation
from subscriptions.evidence.report import report_of
from subscriptions.evidence.scope import Scope
from subscriptions.evidence.tables import TABLES

FORMAT = "licensehub-evidence-pack-1"
PERMISSIONS = ("subscriptions.make_evidencepack", "subscriptions.view_reclaimrequest")
CHANGED = english("A new record was added while LicenseHub made the pack. Make the pack again.")


class PackChanged(Refused):
    """Events were added to the scope while its pack was made."""


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack that was made. `digest` is the SHA-256 of its manifest, which has the SHA-256 of each file."""

    name: str
    digest: str
    as_of: int
    language: str


def may_have_packs(user: Any) -> bool:
    return bool(user.has_perms(PERMISSIONS))


def make_pack(scope: Scope, file: IO[bytes], *, language: str, actor: Actor) -> Pack:
    """Write the pack into `file`, and record that it was made.

    The same rows, scope and language give the same bytes. Raises PackChanged.
    """
    pack = write_pack(scope, file, language=language)
    with transaction.atomic():
        note(Action.EVIDENCE_PACK_MADE, scope, pack, actor=actor)
    return pack


def write_pack(scope: Scope, file: IO[bytes], *, language: str) -> Pack:
    """Write the pack, and record nothing. Raises PackChanged."""
    with seen_by(lambda: scope.profiles), _one_state():
        as_of = scope.last_event()
        about = manifest_of(scope, language, as_of)
        keys = keys_of_this_installation()
        with Archive(file, about, sign=lambda manifest: sign_manifest(manifest, keys)) as archive:
            _fill(archive, scope, as_of, language, keys)
            # A file that is not whole has no manifest.
            if scope.last_event() != as_of:
                raise PackChanged(CHANGED)
    return Pack(f"evidence-{scope.name}-{language}.zip", archive.manifest_digest, as_of, language)


def manifest_of(scope: Scope, language: str, as_of: int) -> dict[str, Any]:
    """Return the fields of the manifest other than its files."""
    about = {"format": FORMAT, "subject": scope.subject.value, "name": scope.name, "language": language, "as_of": as_of}
    return {**about, "profiles": _ids_of(scope)}


def _ids_of(scope: Scope) -> list[int] | None:
    return None if scope.profiles is None else sorted(scope.profiles)


def note(action: Action, scope: Scope, pack: Pack, *, actor: Actor) -> None:
    """Record that this pack was made or downloaded, in the transaction of the caller."""
    record_rows(action, actor=actor, rows=[_event(scope, pack)])


@contextmanager
def _one_state() -> Iterator[None]:
    """Read everything in the block as it is at its begin, so that records which come meanwhile refuse no pack.

    SQLite has one writer, which must not wait for this: there, such a record refuses the pack.
    """
    if connection.vendor != "postgresql" or connection.in_atomic_block:
        yield
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield


def sign_manifest(manifest: bytes, keys: Keys) -> str:
    """The signature of a manifest with the key of the anchors, as JSON; empty without a private key."""
    if keys.signing is None:
        return ""
    signature = base64.b64encode(keys.signing.sign(manifest_payload(manifest))).decode()
    return json.dumps({"key_id": keys.signing_id, "signature": signature}) + "\n"


def _fill(archive: Archive, scope: Scope, as_of: int, language: str, keys: Keys) -> None:
    # Here, since reportlab is large and few processes make a pack.
    from subscriptions.evidence.report_pdf import as_pdf

    counts = {}
    with _read_by("en"):
        for table in TABLES:
            counted = _Counted(table.pieces(scope))
            archive.add(table.file, counted)
            counts[table.file] = counted.count - table.file.endswith(".csv")
    extract = add_extract(archive, scope, keys)
    with _read_by(language):
        report = report_of(scope, [*_profiles(scope), *_facts(extract, as_of)], counts)
        archive.add("report.html", [report.as_html()])
        archive.add("report.pdf", [as_pdf(report)])


def _profiles(scope: Scope) -> list[tuple[str, str]]:
    if scope.profiles is None:
        return []
    names = (
        IntegrationProfile.objects.filter(pk__in=scope.profiles).order_by("name", "pk").values_list("name", flat=True)
    )
    text = _("{names}. What belongs to other profiles is not in this pack: its events are there as digests only.")
    return [(_("Profiles"), text.format(names=", ".join(names)))]


def _facts(extract: Extract, as_of: int) -> list[tuple[str, str]]:
    events = _("{count} of the audit, between #{first} and #{last}")
    proof = extract.proved_by
    proved = _("Proved by the anchor of {time} at event #{sequence}")
    return [
        (_("As of event"), f"#{as_of}"),
        (_("Events"), events.format(count=number(extract.events), first=extract.first, last=extract.last)),
        (
            _("Proof"),
            proved.format(time=day_and_time(proof.at), sequence=proof.sequence)
            if proof
            else _("Only plausible: no anchor is later than the last event"),
        ),
    ]


@contextmanager
def _read_by(language: str) -> Iterator[None]:
    """In this language, and in the time zone of the company: that of the reader must not change the bytes."""
    with translation.override(language), timezone.override(timezone.get_default_timezone()):
        yield


class _Counted:
    """The pieces of a file, and how many there were."""

    def __init__(self, pieces: Iterator[str]) -> None:
        self._pieces, self.count = pieces, 0

    def __iter__(self) -> Iterator[str]:
        for piece in self._pieces:
            self.count += 1
            yield piece


def _event(scope: Scope, pack: Pack) -> Row:
    data = {
        "subject": scope.subject.value,
        "language": pack.language,
        "as_of": pack.as_of,
        "manifest_sha256": pack.digest,
        "profiles": _ids_of(scope),
    }
    if scope.target is None:
        first, last = scope.name.split("-to-")
        return Row(AuditEvent._meta.label_lower, pack.as_of, f"{first} to {last}", data)
    return Row(scope.target._meta.label_lower, scope.target.pk, str(scope.target), data)
