"""Write an extract of the audit: JSON lines that anybody can check with `offline_verifier` and a public key.

The first line says which events there are. Each other line is one event: with its content, or only with the digest of
its body where the content is not part of the extract.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any, Protocol

from licensehub.audit.chain.offline_verifier import EMPTY, FORMAT, Event
from licensehub.audit.models import AuditEvent

CHUNK = 2000  # events


class NothingToExtract(Exception):
    """The text is for the person who asked."""


class Writable(Protocol):
    """A file that takes text."""

    def write(self, text: str, /) -> object: ...


def write_extract(
    file: Writable, *, first: int = 1, last: int | None = None, content: Collection[int] | None = None
) -> int:
    """Write the events `first` to `last` and return how many there are. Raises NothingToExtract.

    `content` has the sequences of the events with their content; None means all. If one of them has no text any more,
    the event that lists it among the erased ones belongs to `content`, too: without it, the missing text would be a
    finding. So that they are proved, `last` should be an anchor after all of them.
    """
    events = AuditEvent.objects.filter(sequence__gte=first).order_by("sequence")
    end = (events.filter(sequence__lte=last) if last else events).last()
    if end is None:
        raise NothingToExtract("There are no such events.")
    start = AuditEvent.objects.filter(sequence=first - 1).values_list("hash", flat=True).first()
    header = {
        "format": FORMAT,
        "first": first,
        "last": end.sequence,
        "previous_hash": start or EMPTY,
        "hash": end.hash,
    }
    file.write(f"{json.dumps(header)}\n")
    with_content = None if content is None else frozenset(content)
    written = 0
    for line in _lines(first, end.sequence, with_content):
        file.write(f"{json.dumps(line)}\n")
        written += 1
    return written


def _lines(first: int, last: int, content: frozenset[int] | None) -> Iterator[dict[str, Any]]:
    rows = AuditEvent.objects.filter(sequence__range=(first, last)).order_by("sequence")
    for values in rows.values_list(*Event._fields).iterator(chunk_size=CHUNK):
        event = Event(*values)._replace(at=values[1].isoformat(), correlation=str(values[8]))
        if content is None or event.sequence in content:
            yield event._asdict()
        else:
            yield {"sequence": event.sequence, "digest": event.body_digest(event.sequence), "hash": event.hash}
