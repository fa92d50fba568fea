"""An audit event as a line of JSON, with the field names of OCSF 1.3 where they exist (https://schema.ocsf.io).

The line is ASCII: any other character is escaped, so that each receiver reads it in the same way.
"""

from __future__ import annotations

import json
from typing import Any, Final

from django.utils import translation

from licensehub.audit.actions import Action
from licensehub.audit.models import AuditEvent

SCHEMA: Final = "1.3.0"
IAM: Final = 3  # category_uid: Identity & Access Management
ACCOUNT_CHANGE: Final = 3001
AUTHENTICATION: Final = 3002
ENTITY_MANAGEMENT: Final = 3004

# --- activity_id of each class ----------------------------------------------------------------------------------------

CREATE, UPDATE, DELETE = 1, 3, 4
OTHER: Final = 99

# Class and activity of the actions that are no update of an entity. What is not here goes by the prefix of its name.
ACTIVITIES: Final = {
    "sign_in.done": (AUTHENTICATION, 1),
    "sign_in.failed": (AUTHENTICATION, 1),
    "sign_in.signed_out": (AUTHENTICATION, 2),
    "sign_in.sessions_ended": (AUTHENTICATION, 2),
    "sign_in.password_changed": (ACCOUNT_CHANGE, 3),
    "sign_in.locked": (ACCOUNT_CHANGE, 9),
    "sign_in.unlocked": (ACCOUNT_CHANGE, OTHER),
    "sign_in.factor_added": (ACCOUNT_CHANGE, 10),
    "sign_in.factor_removed": (ACCOUNT_CHANGE, 11),
    "user.password_reset": (ACCOUNT_CHANGE, 4),
    "user.scope_changed": (ACCOUNT_CHANGE, 99),
    "user.created_by_sign_on": (ACCOUNT_CHANGE, 1),
    "user.created": (ACCOUNT_CHANGE, 1),
    "user.invited": (ACCOUNT_CHANGE, 1),
    "user.joined": (ACCOUNT_CHANGE, 2),
    "profile.created": (ENTITY_MANAGEMENT, CREATE),
    "download.started": (ENTITY_MANAGEMENT, CREATE),
    "rule.created": (ENTITY_MANAGEMENT, CREATE),
    "protection.created": (ENTITY_MANAGEMENT, CREATE),
    "candidate.proposed": (ENTITY_MANAGEMENT, CREATE),
    "request.opened": (ENTITY_MANAGEMENT, CREATE),
    "restore.requested": (ENTITY_MANAGEMENT, CREATE),
    "reclaim.queued": (ENTITY_MANAGEMENT, CREATE),
    "restore.queued": (ENTITY_MANAGEMENT, CREATE),
    "deputy.named": (ENTITY_MANAGEMENT, CREATE),
    "contract.entered": (ENTITY_MANAGEMENT, CREATE),
    "price.entered": (ENTITY_MANAGEMENT, CREATE),
    "report.made": (ENTITY_MANAGEMENT, CREATE),
    "evidence.pack_made": (ENTITY_MANAGEMENT, CREATE),
    "connection.credentials_removed": (ENTITY_MANAGEMENT, DELETE),
    "history.thinned": (ENTITY_MANAGEMENT, DELETE),
    "audit.events_erased": (ENTITY_MANAGEMENT, DELETE),
    "person.erased": (ENTITY_MANAGEMENT, DELETE),
    "view.deleted": (ENTITY_MANAGEMENT, DELETE),
}
FAILURES: Final = {
    "sign_in.failed",
    "sign_in.locked",
    "list.export_refused",
    "connection.connect_refused",
    "connection.failed",
    "download.failed",
    "notice.failed",
    "notification.failed",
    "reclaim.failed",
    "restore.failed",
    "request.tampered",
    "reclaim.tampered",
    "restore.tampered",
}
# severity_id: 1 is informational, 3 medium, 4 high.
SEVERITIES: Final = {
    "sending.held": 4,
    "profile.sending_held": 4,
    "request.tampered": 4,
    "reclaim.tampered": 4,
    "restore.tampered": 4,
    "broker.messages_dropped": 3,
    "rights.took_effect": 3,
    "person.erased": 3,
    "sending.released": 3,
    "sending.stopped": 3,
    "profile.sending_stopped": 3,
    "profile.answers_lost": 3,
    "download.quarantined": 3,
    "connection.failed": 3,
    "reclaim.in_doubt": 3,
    "restore.in_doubt": 3,
    "protection.lost": 3,
    "sign_in.locked": 3,
    "list.export_refused": 3,
    "sign_in.unlocked": 3,
    "audit.events_erased": 3,
}


def line_of(event: AuditEvent) -> str:
    """The event as one line, without its end."""
    return as_line(as_ocsf(event))


def as_line(fields: dict[str, Any]) -> str:
    """ASCII, without a space or an end."""
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=True)


def as_ocsf(event: AuditEvent) -> dict[str, Any]:
    """The event in the structure of OCSF. What OCSF has no name for is in `unmapped`."""
    class_uid, activity = _class_of(event.action)
    failed = event.action in FAILURES
    return {
        "category_uid": IAM,
        "class_uid": class_uid,
        "activity_id": activity,
        "type_uid": class_uid * 100 + activity,
        "time": int(event.at.timestamp() * 1000),
        "severity_id": SEVERITIES.get(event.action, 1),
        "status_id": 2 if failed else 1,
        "status": "Failure" if failed else "Success",
        "message": f"{_label_of(event.action)}: {event.target_label}",
        "metadata": {
            "version": SCHEMA,
            "product": {"name": "LicenseHub", "vendor_name": "LicenseHub"},
            "log_name": "audit",
            "event_code": event.action,
            "uid": f"{event.sequence}-{event.hash[:16]}",
            "sequence": event.sequence,
            "correlation_uid": str(event.correlation),
        },
        "actor": _actor_of(event),
        **_subject_of(event, class_uid),
        "unmapped": {
            "at": event.at.isoformat(),
            "data": event.data,
            "salt": event.salt,
            "text_digest": event.text_digest,
            "previous_hash": event.previous_hash,
            "hash": event.hash,
        },
    }


def _subject_of(event: AuditEvent, class_uid: int) -> dict[str, Any]:
    """Return what the event is about, and what OCSF has a name for in the details of its class."""
    subject = {"uid": str(event.target_id), "name": event.target_label}
    if class_uid == ENTITY_MANAGEMENT:
        comment = event.data.get("comment") or event.data.get("reason")
        said = {"comment": comment} if isinstance(comment, str) else {}
        return {"entity": {**subject, "type": event.target_type}, **said}
    address = event.data.get("address")
    found: dict[str, Any] = {"user": subject, **({"src_endpoint": {"ip": address}} if address else {})}
    return {**found, "service": {"name": "LicenseHub"}} if class_uid == AUTHENTICATION else found


def _actor_of(event: AuditEvent) -> dict[str, Any]:
    if event.actor_id is None:
        return {"app_name": event.actor_name}
    return {"user": {"uid": str(event.actor_id), "name": event.actor_name}}


def _label_of(action: str) -> str:
    """The English label; the name itself for an action of another version, which is sent all the same."""
    with translation.override("en"):
        return str(Action(action).label) if action in Action.values else action


def _class_of(action: str) -> tuple[int, int]:
    """class_uid and activity_id."""
    if known := ACTIVITIES.get(action):
        return known
    if action.startswith("sign_in."):
        return AUTHENTICATION, OTHER
    return (ACCOUNT_CHANGE, OTHER) if action.startswith("user.") else (ENTITY_MANAGEMENT, UPDATE)
