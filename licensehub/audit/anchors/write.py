"""Writes an anchor: every hour, and right after an approval. The file takes it at once, the others within a minute."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext_noop

from licensehub.audit.anchors.anchor import Anchor
from licensehub.audit.anchors.anchor_file import AnchorFile, LockHeld
from licensehub.audit.anchors.bucket import Bucket
from licensehub.audit.anchors.destinations import MAIL, AnchorDestination, configured
from licensehub.audit.anchors.keys import Keys, WrongKeys, current_keys
from licensehub.audit.chain.checkpoint import checkpoint_of_database
from licensehub.audit.models import AuditEvent, Destination, StoredAnchor
from licensehub.audit.outside import NotTaken, send_pending
from licensehub.database.clock import database_now

logger = logging.getLogger(__name__)

SECONDS = 60  # for one destination
# An anchor is written every hour. One that is older was missed.
MISSED_AFTER = timedelta(hours=2)
# So many rows are looked at for the newest one that is genuine.
LOOKED_AT = 20


def write_after_commit() -> None:
    """Write an anchor after the commit. It never disturbs the act that was committed."""
    transaction.on_commit(_write_at_once, robust=True)


def _write_at_once() -> None:
    if write_anchor():
        # A person waits for this page, so nobody waits for another process: the task of every minute does.
        send_pending(_Sender("anchor.file", AnchorFile(wait=0), leave_if_locked=True), seconds=SECONDS)


def write_anchor() -> Anchor | None:
    """Sign and store an anchor for the end of the chain; None if there is nothing new, or no key."""
    try:
        keys = current_keys()
    except WrongKeys as wrong:
        logger.error("No anchor of the audit is written: %s", wrong)
        return None
    head = checkpoint_of_database()
    newest = newest_genuine(keys)
    if keys.signing is None or not head.sequence:
        return None
    if newest and (newest.sequence, newest.hash) == (head.sequence, head.hash):
        return None
    # Only those since the newest anchor: a person who has just approved waits for this.
    known = newest if newest and newest.sequence <= head.sequence else None
    later = AuditEvent.objects.filter(sequence__gt=known.sequence if known else 0, sequence__lte=head.sequence)
    anchor = Anchor.signed(
        keys,
        sequence=head.sequence,
        hash=head.hash,
        at=database_now(),
        count=(known.count if known else 0) + later.count(),
        instance=instance_id(),
    )
    StoredAnchor.objects.create(
        sequence=anchor.sequence,
        hash=anchor.hash,
        at=anchor.at,
        count=anchor.count,
        instance=anchor.instance,
        key_id=anchor.key_id,
        signature=anchor.signature,
        host=this_host(),
    )
    return anchor


def newest_genuine(keys: Keys) -> Anchor | None:
    """The newest anchor of the database that one of our keys has signed."""
    rows = StoredAnchor.objects.order_by("-pk")[:LOOKED_AT]
    return next((anchor for anchor in map(anchor_of, rows) if anchor.is_genuine(keys)), None)


def anchor_of(row: StoredAnchor) -> Anchor:
    return Anchor(
        sequence=row.sequence,
        hash=row.hash,
        at=row.at,
        count=row.count,
        instance=row.instance,
        key_id=row.key_id,
        signature=row.signature,
        where=gettext_noop("the database"),
    )


def this_host() -> str:
    return socket.gethostname()[:100]


# --- The instance -----------------------------------------------------------------------------------------------------

_instance_id: list[Callable[[], str]] = []


def register_instance_id(instance_id: Callable[[], str]) -> None:
    """Called once by the app that knows the id of this installation: the audit knows no app above it."""
    _instance_id[:] = [instance_id]


def instance_id() -> str:
    """The id of this installation, or "" where nobody has registered one."""
    return _instance_id[0]() if _instance_id else ""


# --- Send -------------------------------------------------------------------------------------------------------------


def send_anchors() -> None:
    """Send the stored anchors to each destination that has not taken them."""
    for name, destination in configured(this_host()).items():
        seldom = name == MAIL and settings.ANCHOR_MAIL_HOURS
        send_pending(_SeldomSender(name, destination) if seldom else _Sender(name, destination), seconds=SECONDS)


class _Sender:
    """Sends the stored anchors to one destination, one by one."""

    def __init__(self, name: str, destination: AnchorDestination, *, leave_if_locked: bool = False) -> None:
        self.name = name
        self._destination = destination
        self._leave_if_locked = leave_if_locked

    def start(self) -> int:
        """A new destination gets the newest anchor: it proves all events before it."""
        newest = StoredAnchor.objects.order_by("-pk").values_list("pk", flat=True).first()
        return newest - 1 if newest else 0

    def start_again(self) -> int:
        return self.start()

    def mark_of(self, position: int) -> str:
        rows = StoredAnchor.objects.filter(pk=position)
        return rows.values_list("signature", flat=True).first() or ""

    def send_after(self, position: int) -> int:
        row = StoredAnchor.objects.filter(pk__gt=position).order_by("pk").first()
        if row is None:
            return position
        anchor = anchor_of(row)
        # A row that somebody else wrote is no anchor. The comparison reports it.
        if anchor.is_genuine(current_keys()):
            try:
                self._destination.take(anchor)
            except LockHeld:
                if self._leave_if_locked:
                    return position
                raise
        return row.pk


class _SeldomSender(_Sender):
    """Sends only the newest anchor, which proves those before it: so many hours after the last, and after a case.

    A case is an anchor that was missed, or another destination that takes none.
    """

    def send_after(self, position: int) -> int:
        keys = current_keys()
        rows = StoredAnchor.objects.filter(pk__gt=position).order_by("-pk")[:LOOKED_AT]
        newest = next((row for row in rows if anchor_of(row).is_genuine(keys)), None)
        if newest is None or not (self._is_due(position, newest) or _was_missed(newest)):
            return position
        self._destination.take(anchor_of(newest))
        return newest.pk

    def _is_due(self, position: int, newest: StoredAnchor) -> bool:
        last = last_taken(self.name, position)
        if last is None or newest.at - last.at >= timedelta(hours=settings.ANCHOR_MAIL_HOURS):
            return True
        # One mail for each failure: the anchor of this mail is newer than its begin.
        failing = Destination.objects.filter(failing_since__gt=last.at, failing_since__lt=newest.at)
        return failing.filter(name__startswith="anchor.").exclude(name=self.name).exists()


def last_taken(name: str, position: int) -> StoredAnchor | None:
    """The anchor that a destination has taken last; None if it has taken none that one of our keys has signed."""
    if Destination.objects.filter(name=name, began_after=position).exists():
        return None
    row = StoredAnchor.objects.filter(pk=position).first()
    return row if row and anchor_of(row).is_genuine(current_keys()) else None


def _was_missed(row: StoredAnchor) -> bool:
    """Whether events had waited for this anchor for too long."""
    before = StoredAnchor.objects.filter(pk__lt=row.pk).order_by("-pk").first()
    events = AuditEvent.objects.filter(sequence__gt=before.sequence if before else 0).order_by("sequence")
    first = events.values_list("at", flat=True).first()
    return first is not None and row.at - first > MISSED_AFTER


# --- Read back --------------------------------------------------------------------------------------------------------


def anchors_read_back() -> Iterator[Anchor]:
    """All anchors that can be read now: of the database, the file and the bucket. Their signatures are not checked.

    What cannot be read is logged and left out.
    """
    yield from map(anchor_of, StoredAnchor.objects.order_by("pk").iterator())
    try:
        yield from AnchorFile().read().anchors
        for destination in configured(this_host()).values():
            if isinstance(destination, Bucket):
                yield from (found.anchor for found in destination.read())
    except NotTaken as reason:
        logger.warning("Some anchors of the audit cannot be read: %s", reason)
