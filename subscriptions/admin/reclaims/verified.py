"""The line above History: what the last verification of the audit found."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.translation import ngettext

from licensehub.audit.actions import Action
from licensehub.audit.chain.signature import is_believed
from licensehub.audit.models import AuditEvent
from licensehub.ui.formatting import ago, number


def verified_context(request: HttpRequest) -> dict[str, Any]:
    """`altered` is None before the first verification. Whoever reads the audit gets a link to it."""
    last = AuditEvent.objects.filter(action=Action.AUDIT_VERIFIED).order_by("-sequence").first()
    known = last is not None and is_believed(last)
    return {
        "altered": last.data["found"] if last and known else None,
        "verified": _checked(last) if last and known else "",
        "may_verify": request.user.has_perm("audit.view_auditevent"),
    }


def _checked(last: AuditEvent) -> str:
    events = last.data["events"]
    text = ngettext("{count} event checked {ago}.", "{count} events checked {ago}.", events)
    return text.format(count=number(events), ago=ago(last.at))
