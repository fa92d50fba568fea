"""The part of the audit's chain that belongs to a pack, with the anchors that prove it.

It begins with the first event of the scope and ends with the first anchor after the last one. The events between them
that do not belong to the scope are there by their digest only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from io import TextIOWrapper
from pathlib import Path
from tempfile import TemporaryFile

from licensehub.audit.actions import Action
from licensehub.audit.anchors.anchor import Anchor
from licensehub.audit.anchors.keys import Keys, WrongKeys, current_keys, encoded
from licensehub.audit.anchors.write import anchor_of
from licensehub.audit.chain import offline_verifier
from licensehub.audit.chain.extract import write_extract
from licensehub.audit.chain.offline_verifier import ANCHORS_FILE, EVENTS_FILE, KEYS_FILE
from licensehub.audit.models import AuditEvent, StoredAnchor
from subscriptions.evidence.archive import Archive, pieces_of
from subscriptions.evidence.scope import Scope

VERIFIER = "verify.py"
NO_KEYS = Keys(None, {})


@dataclass(frozen=True, slots=True)
class Extract:
    """Events `first` to `last`, of which `events` have their content. `proved_by` is the anchor at or after the last.

    `first` is 0 if the scope has no event.
    """

    events: int = 0
    first: int = 0
    last: int = 0
    proved_by: Anchor | None = None
    anchors: list[Anchor] = field(default_factory=list)


def keys_of_this_installation() -> Keys:
    """Without keys that can be read, nothing is signed, and no anchor is believed."""
    try:
        return current_keys()
    except WrongKeys:
        return NO_KEYS


def add_extract(archive: Archive, scope: Scope, keys: Keys) -> Extract:
    """Write events, anchors, public keys and the verifier into the archive."""
    archive.add(VERIFIER, [Path(offline_verifier.__file__).read_bytes()])
    archive.add(KEYS_FILE, [f"{encoded(key.public_bytes_raw())}\n" for _id, key in sorted(keys.public.items())])
    content = list(scope.events.values_list("sequence", flat=True))
    if not content:
        archive.add(ANCHORS_FILE, [])
        return Extract()
    erasures = _erasures_of(scope)
    first, needed = content[0], max([*content[-1:], *erasures])
    anchors = list(_genuine(keys, first, needed))
    proved_by = anchors[-1] if anchors and anchors[-1].sequence >= needed else None
    last = proved_by.sequence if proved_by else needed
    # The lines are as many as there are events between the first and the last one.
    with TemporaryFile() as file:
        text = TextIOWrapper(file, encoding="utf-8")
        write_extract(text, first=first, last=last, content=[*content, *erasures])
        text.flush()
        archive.add(EVENTS_FILE, pieces_of(file))
        text.detach()
    archive.add(ANCHORS_FILE, [f"{anchor.text()}\n" for anchor in anchors])
    return Extract(len(content), first, last, proved_by, anchors)


def _erasures_of(scope: Scope) -> list[int]:
    """The events that say that texts of this scope were erased. The verifier needs them."""
    erased = list(scope.events.filter(salt="").values_list("sequence", flat=True))
    if not erased:
        return []
    said = AuditEvent.objects.filter(action=Action.EVENTS_ERASED, sequence__gt=erased[0]).order_by("sequence")
    return [
        sequence
        for sequence, data in said.values_list("sequence", "data")
        if any(first <= number <= last for first, last in data["sequences"] for number in erased)
    ]


def _genuine(keys: Keys, first: int, needed: int) -> Iterator[Anchor]:
    """The anchors from the first event on, up to the first one that proves the last event."""
    rows = StoredAnchor.objects.filter(sequence__gte=first).order_by("sequence", "pk")
    for row in rows.iterator(chunk_size=500):
        anchor = anchor_of(row)
        if anchor.is_genuine(keys):
            yield anchor
            if anchor.sequence >= needed:
                return
