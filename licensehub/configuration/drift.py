"""Changes that people made by hand since a file of configuration was applied, as the audit has them.

The file itself stays where it is: only `apply FILE --plan` says whether something still differs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.contrib.auth.models import User

from licensehub.audit.actions import Action
from licensehub.audit.chain.signature import is_believed
from licensehub.audit.log import record
from licensehub.audit.models import AuditEvent
from licensehub.configuration.reading import Entry

# By section. A protection is a person's own act, which no file takes back, so it is none of these.
CHANGES: Final = {
    "profiles": (Action.PROFILE_CHANGED,),
    "connections": (Action.CREDENTIALS_SET, Action.CREDENTIALS_REMOVED),
    "rule": (Action.RULE_CHANGED,),
    "schedules": (Action.SCHEDULE_CHANGED,),
    "prices": (Action.PRICE_ENTERED, Action.PRICE_WITHDRAWN),
    "accounts": (Action.USER_ROLES_CHANGED, Action.SCOPE_CHANGED),
    "webhooks": (
        Action.WEBHOOK_CREATED,
        Action.WEBHOOK_CHANGED,
        Action.WEBHOOK_SWITCHED_ON,
        Action.WEBHOOK_SWITCHED_OFF,
        Action.WEBHOOK_DELETED,
    ),
}


@dataclass(frozen=True, slots=True)
class Drift:
    """`applied` is the event of the last file; `changed` that of the first change after it, if there is one."""

    applied: AuditEvent
    changed: AuditEvent | None


def record_applied(entry: Entry, *, actor: User) -> None:
    """Record which sections the file has. Call it after its changes, in their transaction."""
    found = entry.named()
    profiles = found.get("profiles", Entry(entry.place, None)).named().values()
    parts = {part for profile in profiles for part in profile.named()}
    sections = sorted(name for name in CHANGES if name in found or name in parts)
    record(
        Action.CONFIGURATION_APPLIED, actor=actor, target=actor, data={"file": entry.place.file, "sections": sections}
    )


def last_drift() -> Drift | None:
    """None if no file was applied. An event that somebody changed in the database counts as none: look further back."""
    events = AuditEvent.objects.filter(action=Action.CONFIGURATION_APPLIED).order_by("-sequence")
    applied = next(filter(is_believed, events.iterator()), None)
    if applied is None:
        return None
    actions = [action for name in applied.data["sections"] for action in CHANGES.get(name, ())]
    later = AuditEvent.objects.filter(sequence__gt=applied.sequence, action__in=actions, actor_id__isnull=False)
    return Drift(applied, later.order_by("sequence").first())
