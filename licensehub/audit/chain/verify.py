"""Verify the audit: every event, and its hash against all that is known about it elsewhere.

`offline_verifier` checks the chain. Here are its events as the database has them, their signatures, the head of the
chain, the checkpoint, and the anchors.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import DatabaseError, connection

from licensehub.audit.anchors.keys import WrongKeys, current_keys
from licensehub.audit.anchors.write import anchors_read_back
from licensehub.audit.chain.checkpoint import Checkpoint, LocationUnavailable, locations, without_set_aside
from licensehub.audit.chain.offline_verifier import (
    CUT,
    EMPTY,
    FORGED_ANCHOR,
    HEAD,
    HEAD_HASH,
    Chain,
    Event,
    Finding,
    Kind,
    Point,
    Report,
    english,
    finding,
)
from licensehub.audit.chain.signature import checker
from licensehub.audit.models import AuditEvent, ChainHead
from licensehub.database.clock import database_now

logger = logging.getLogger(__name__)

CHUNK = 2000  # events
HEAD_OF_CHAIN = english("the head of the chain")
# Read as text: both databases would fail to convert some values.
AS_TEXT = {"at", "correlation", "data"}


def verify() -> Report:
    """Check all events, their times, and their hashes against the checkpoint and every anchor that can be read.

    What is known elsewhere is read first: it is only ever about events that are committed.
    """
    genuine, findings = _anchors()
    known = [*_checkpoints(), *genuine]
    fit = set(without_set_aside([Checkpoint(point.sequence, point.hash, point.at) for point in known]))
    points = [point for point in known if Checkpoint(point.sequence, point.hash, point.at) in fit]
    return check(Chain(points, now=database_now(), findings=findings))


def _anchors() -> tuple[list[Point], list[Finding]]:
    """The anchors that can be read and are genuine, and a finding for each other one."""
    points, findings = [], []
    try:
        keys = current_keys()
    except WrongKeys as wrong:
        logger.error("The audit is verified without anchors: %s", wrong)
        return [], []
    for anchor in anchors_read_back():
        if anchor.is_genuine(keys):
            points.append(Point(anchor.sequence, anchor.hash, anchor.at, anchor.where, proves=True))
        else:
            findings.append(finding(Kind.ANCHOR, FORGED_ANCHOR, anchor.sequence, source=anchor.where))
    return points, findings


def _checkpoints() -> Iterator[Point]:
    for location in locations():
        try:
            if kept := location.read():
                yield Point(kept.sequence, kept.hash, kept.at, location.label, proves=False)
        except LocationUnavailable as away:
            logger.warning("The audit is verified without a checkpoint: %s", away)


def check(chain: Chain) -> Report:
    """Check all events, their signatures and the head by what `chain` knows from elsewhere."""
    before, is_signed = _head(), checker()
    at_head = EMPTY
    try:
        for row in _rows():
            try:
                event, moment = _event(row)
                chain.add(event, moment)
            except (ValueError, TypeError, RecursionError):
                chain.add_unreadable()
                continue
            if not is_signed(event.sequence, event.hash, str(row[-1])):
                chain.unsigned.append(event.sequence)
            if event.sequence == before[0]:
                at_head = event.hash
    except DatabaseError as error:
        logger.warning("The audit cannot be read: %s", error)
        chain.add_unreadable()
    chain.findings += _findings_of_head(before, at_head, chain.next - 1)
    return chain.finish()


def _head() -> tuple[int, str]:
    return ChainHead.objects.filter(pk=1).values_list("sequence", "hash").first() or (-1, "")


def _findings_of_head(before: tuple[int, str], at_head: str, last: int) -> Iterator[Finding]:
    """`before` was read before the events, and events were perhaps added since."""
    sequence, known = before
    if sequence > last:
        yield finding(Kind.CUT, CUT, last + 1, sequence, source=HEAD_OF_CHAIN)
    elif at_head != known:
        yield finding(Kind.HEAD, HEAD_HASH, sequence)
    if (now := _head()[0]) < last:
        yield finding(Kind.HEAD, HEAD, last, other=now)


def _rows() -> Iterator[tuple[Any, ...]]:
    """All events as the database has them, in the order of `Event`, each with its signature at the end."""
    columns = ", ".join(f"CAST({name} AS text)" if name in AS_TEXT else name for name in (*Event._fields, "hmac"))
    with connection.chunked_cursor() as cursor:
        cursor.execute(f"SELECT {columns} FROM {AuditEvent._meta.db_table} ORDER BY sequence")  # noqa: S608 - constants
        while rows := cursor.fetchmany(CHUNK):
            yield from rows


def _event(row: tuple[Any, ...]) -> tuple[Event, datetime]:
    """Raises ValueError or TypeError for a row that holds something else."""
    sequence, at, action, actor_id, actor_name, target_type, target_id, text, act, label, data, *rest = row
    moment = datetime.fromisoformat(at)
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    # SQLite stores a UUID without hyphens.
    act = act if len(act) == 36 else str(UUID(act))
    salt, previous, stored, _ = rest
    who_and_what = (action, actor_id, actor_name, target_type, target_id)
    texts = (text, act, label, json.loads(data), salt, previous, stored)
    return Event._make((sequence, moment.isoformat(), *who_and_what, *texts)), moment
