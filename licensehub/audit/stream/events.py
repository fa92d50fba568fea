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
ACCOUNT_CREATE, ACCOUNT_ENABLE, OTHER = 1, 2, 99

ACCOUNT_ACTIVITIES: Final = {
    Action.USER_CREATED: ACCOUNT_CREATE,
    Action.USER_INVITED: ACCOUNT_CREATE,
    Action.USER_JOINED: ACCOUNT_ENABLE,
    Action.USER_CHANGED: OTHER,
}
CREATES: Final = {
    Action.PROFILE_CREATED,
    Action.DOWNLOAD_STARTED,
    Action.RULE_CREATED,
    Action.PROTECTION_CREATED,
    Action.CANDIDATE_PROPOSED,
    Action.REQUEST_OPENED,
    Action.RECLAIM_QUEUED,
    Action.RESTORE_QUEUED,
    Action.DEPUTY_NAMED,
    Action.CONTRACT_ENTERED,
    Action.PRICE_ENTERED,
    Action.REPORT_MADE,
    Action.VIEW_SHARED,
}
DELETES: Final = {Action.CREDENTIALS_REMOVED, Action.VIEW_DELETED, Action.HISTORY_THINNED}
FAILURES: Final = {
    Action.CONNECT_REFUSED,
    Action.CONNECTION_FAILED,
    Action.DOWNLOAD_FAILED,
    Action.NOTICE_FAILED,
    Action.NOTIFICATION_FAILED,
    Action.RECLAIM_FAILED,
    Action.RESTORE_FAILED,
}
# severity_id: 1 is informational, 3 medium, 4 high.
SEVERITIES: Final = {
    Action.SENDING_HELD: 4,
    Action.ALL_SENDING_STOPPED: 3,
    Action.SENDING_STOPPED: 3,
    Action.DOWNLOAD_QUARANTINED: 3,
    Action.CONNECTION_FAILED: 3,
    Action.RECLAIM_IN_DOUBT: 3,
    Action.RESTORE_IN_DOUBT: 3,
    Action.PROTECTION_LOST: 3,
}


def line_of(event: AuditEvent) -> str:
    """The event as one line, without its end."""
    return as_line(as_ocsf(event))


def as_line(fields: dict[str, Any]) -> str:
    """ASCII, without a space or an end."""
    return json.dumps(fields, separators=(",", ":"), ensure_ascii=True)


def as_ocsf(event: AuditEvent) -> dict[str, Any]:
    """The event in the structure of OCSF. What OCSF has no name for is in `unmapped`."""
    action = _action_of(event)
    class_uid, activity = _class_of(action)
    target = {"uid": str(event.target_id), "name": event.target_label}
    failed = action in FAILURES
    about = "entity" if class_uid == ENTITY_MANAGEMENT else "user"
    return {
        "category_uid": IAM,
        "class_uid": class_uid,
        "activity_id": activity,
        "type_uid": class_uid * 100 + activity,
        "time": int(event.at.timestamp() * 1000),
        "severity_id": SEVERITIES.get(action, 1) if action else 1,
        "status_id": 2 if failed else 1,
        "status": "Failure" if failed else "Success",
        "message": f"{_label_of(action, event)}: {event.target_label}",
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
        about: {**target, "type": event.target_type} if about == "entity" else target,
        "unmapped": {
            "at": event.at.isoformat(),
            "data": event.data,
            "salt": event.salt,
            "text_digest": event.text_digest,
            "previous_hash": event.previous_hash,
            "hash": event.hash,
        },
    }


def _actor_of(event: AuditEvent) -> dict[str, Any]:
    if event.actor_id is None:
        return {"app_name": event.actor_name}
    return {"user": {"uid": str(event.actor_id), "name": event.actor_name}}


def _action_of(event: AuditEvent) -> Action | None:
    """None for an action of a newer or an older version: it is sent all the same."""
    try:
        return Action(event.action)
    except ValueError:
        return None


def _label_of(action: Action | None, event: AuditEvent) -> str:
    with translation.override("en"):
        return str(action.label) if action else event.action


def _class_of(action: Action | None) -> tuple[int, int]:
    """class_uid and activity_id."""
    if action in ACCOUNT_ACTIVITIES:
        return ACCOUNT_CHANGE, ACCOUNT_ACTIVITIES[action]
    if action in CREATES:
        return ENTITY_MANAGEMENT, CREATE
    return ENTITY_MANAGEMENT, DELETE if action in DELETES else UPDATE
