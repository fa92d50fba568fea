"""Changes of rights whose day of waiting is over."""

from __future__ import annotations

from datetime import timedelta

from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone

from licensehub.audit.chain.offline_verifier import body_digest, chain_hash
from licensehub.audit.chain.signature import signer
from licensehub.audit.models import AuditEvent
from licensehub.audit.triggers import create, drop
from subscriptions.models import ChangeState, RightsChange
from subscriptions.notifications.accounts import rights_mail

A_DAY = timedelta(hours=25)


def announced_a_day_ago() -> None:
    """The mails about all changes that wait were handed over a day ago, by the rows and by the audit."""
    rights_mail.announce()
    rows_of_a_day_ago()
    happened_earlier(AuditEvent.objects.filter(action="rights.announced"), A_DAY)


def rows_of_a_day_ago() -> None:
    RightsChange.objects.filter(state=ChangeState.WAITING).update(announced_at=timezone.now() - A_DAY)


def happened_earlier(events: QuerySet[AuditEvent], by: timedelta) -> None:
    """Write these events as LicenseHub would have written them then."""
    drop(connection)
    for event in events:
        about = (event.actor_id, event.actor_name, event.target_type, event.target_id, event.text_digest)
        at = event.at - by
        body = body_digest(event.sequence, at.isoformat(), event.action, *about, str(event.correlation))
        found = chain_hash(event.previous_hash, body)
        AuditEvent.objects.filter(pk=event.pk).update(at=at, hash=found, hmac=signer()(found))
    create(connection)
