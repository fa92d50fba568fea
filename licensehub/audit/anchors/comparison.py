"""Compares the copies of the anchors with each other and with the database, every hour.

Who can write one copy cannot write the others. So an anchor that one of them has lost, and that another one still has,
shows that something was cut or replaced.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from enum import StrEnum

from django.db.models.functions import Now

from licensehub.audit.anchors.anchor import Anchor
from licensehub.audit.anchors.anchor_file import AnchorFile
from licensehub.audit.anchors.bucket import Bucket
from licensehub.audit.anchors.destinations import configured
from licensehub.audit.anchors.keys import Keys, WrongKeys, current_keys
from licensehub.audit.anchors.write import anchor_of, this_host
from licensehub.audit.chain.checkpoint import Checkpoint, contradicted
from licensehub.audit.models import Destination, StoredAnchor
from licensehub.audit.outside import NotTaken

logger = logging.getLogger(__name__)

# The newest anchors of each copy: about those of a month.
COMPARED = 1000

FILE, DATABASE, BUCKET = "anchor.file", "anchor.database", "anchor.bucket"


class Wrong(StrEnum):
    """The result of the comparison."""

    CUT = "cut"  # anchors are missing that another copy has
    FORGED = "forged"  # an anchor, or a line, is not signed by any of our keys
    OTHER_HISTORY = "other_history"  # the database does not have an event that a genuine anchor names


def compare_anchors() -> None:
    """Compare all copies that can be read now, and note the result in the row of each."""
    try:
        keys = current_keys()
    except WrongKeys as problem:
        logger.error("The anchors of the audit cannot be compared: %s", problem)
        return
    if not keys.public:
        return
    for name, wrong in _Copies(keys).compare().items():
        if name == DATABASE:
            Destination.objects.get_or_create(name=name)
        Destination.objects.filter(name=name).update(wrong=wrong or "", compared_at=Now())
        if wrong:
            logger.error("The anchors of the audit in %s: %s", name, wrong)


class _Copies:
    """The anchors that can be read, by place."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._rows = list(StoredAnchor.objects.order_by("-pk")[:COMPARED])
        self._destinations = {row.name: row for row in Destination.objects.all()}

    def compare(self) -> dict[str, Wrong | None]:
        """Return what is wrong with each copy, or None. A copy that cannot be read is left out."""
        database, host = [anchor_of(row) for row in self._rows], this_host()
        found: dict[str, Wrong | None] = {DATABASE: self._forged(database) or self._other_history(database)}
        expected = {row.signature for row in self._taken(FILE) if row.host == host}
        bucket = configured(host).get(BUCKET)
        if isinstance(bucket, Bucket):
            try:
                stored = list(bucket.read())[-COMPARED:]
            except NotTaken as reason:
                logger.info("The bucket of the anchors cannot be read back: %s", reason)
            else:
                anchors = [one.anchor for one in stored]
                found[BUCKET] = self._compare(anchors, {row.signature for row in self._taken(BUCKET)})
                of_this_host = [one.anchor for one in stored if bucket.is_of_this_host(one)]
                expected |= {anchor.signature for anchor in of_this_host if anchor.is_genuine(self._keys)}
        try:
            content = AnchorFile().read()
        except NotTaken as reason:
            logger.warning("%s", reason)
        else:
            found[FILE] = self._compare(content.anchors, expected)
            if content.damaged and found[FILE] != Wrong.CUT:
                found[FILE] = Wrong.FORGED
        return found

    def _compare(self, anchors: list[Anchor], expected: set[str]) -> Wrong | None:
        """Compare one copy with the signatures that it must have."""
        if expected - {anchor.signature for anchor in anchors}:
            return Wrong.CUT
        newest = anchors[-COMPARED:]
        return self._forged(newest) or self._other_history(newest)

    def _taken(self, name: str) -> list[StoredAnchor]:
        """The anchors that a destination has taken, as the database says."""
        if (row := self._destinations.get(name)) is None:
            return []
        sent = [anchor for anchor in self._rows if row.began_after < anchor.pk <= row.position]
        return [anchor for anchor in sent if anchor_of(anchor).is_genuine(self._keys)]

    def _forged(self, anchors: Iterable[Anchor]) -> Wrong | None:
        return None if all(anchor.is_genuine(self._keys) for anchor in anchors) else Wrong.FORGED

    def _other_history(self, anchors: Iterable[Anchor]) -> Wrong | None:
        genuine = [Checkpoint(one.sequence, one.hash, one.at) for one in anchors if one.is_genuine(self._keys)]
        return Wrong.OTHER_HISTORY if contradicted(genuine) else None
