"""Celery tasks of the audit. They take no arguments, may run twice or never, and read from the database what is due."""

from __future__ import annotations

from celery import shared_task

from licensehub.audit.anchors.comparison import compare_anchors
from licensehub.audit.anchors.write import send_anchors, write_anchor
from licensehub.audit.stream.streams import send_streams


@shared_task
def anchor_hourly() -> None:
    """Triggered by beat every hour: write an anchor, send it, and compare all copies."""
    write_anchor()
    send_anchors()
    compare_anchors()


@shared_task
def send_outside() -> None:
    """Triggered by beat every minute: send what a destination has not taken yet."""
    send_anchors()
    send_streams()
