"""The protections of one person by their signed events. Somebody who changes or deletes a row ends none of them."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from django.db.models import Q
from django.utils.dateparse import parse_datetime

from integrations.connectors.contract import normalized
from licensehub.audit.actions import Action
from licensehub.audit.chain.signed import newest_signed
from licensehub.audit.models import AuditEvent
from licensehub.database.clock import database_now
from subscriptions.models import Protection, ProtectionKind, Subscription

ABOUT = (Action.PROTECTION_CREATED, Action.PROTECTION_BOUND, Action.PROTECTION_MOVED, Action.PROTECTION_ENDED)


def hidden_protection(subscription_id: int) -> AuditEvent | None:
    """The last event of a protection that covers this person, where no row says so; None if there is none.

    Raises NotSigned for an event that somebody changed.
    """
    person = Subscription.objects.get(pk=subscription_id)
    if Subscription.objects.filter(Protection.objects.covers_row(), pk=person.pk).exists():
        return None
    covering = (event for facts, event in _signed_protections(person) if _covers(facts, person))
    return next(covering, None)


def _signed_protections(person: Subscription) -> list[tuple[dict[str, Any], AuditEvent]]:
    """The values, with their last event, of each protection that may cover this person and has no event of its end."""
    address = normalized(person.email)
    values = [address, address.rpartition("@")[2], person.license, person.role, *person.admin_roles]
    made = Q(action=Action.PROTECTION_CREATED.value)
    named = Q(data__value__in=[value for value in values if value]) | Q(data__external_id=person.external_id)
    bound = Q(action=Action.PROTECTION_BOUND.value, data__to=person.external_id)
    of_protections = AuditEvent.objects.filter(target_type=Protection._meta.label_lower)
    found = of_protections.filter((made & named) | bound).values_list("target_id", flat=True)
    about = of_protections.filter(target_id__in=[*found], action__in=[action.value for action in ABOUT])
    facts: dict[int, dict[str, Any]] = defaultdict(dict)
    last: dict[int, AuditEvent] = {}
    for event in about.order_by("sequence"):
        newest_signed([event])
        is_bound = event.action == Action.PROTECTION_BOUND
        facts[event.target_id] |= {"external_id": event.data.get("to", "")} if is_bound else event.data
        last[event.target_id] = event
    return [(facts[pk], event) for pk, event in last.items() if event.action != Action.PROTECTION_ENDED]


def _covers(facts: dict[str, Any], person: Subscription) -> bool:
    """The rule of `models.protection.keys`. Of a text that was erased, nothing is known any more."""
    ends_at = parse_datetime(facts.get("ends_at") or "")
    if facts.get("profile") != person.profile_id or (ends_at is not None and ends_at <= database_now()):
        return False
    address, value = normalized(person.email), facts["value"]
    of_kind = {
        ProtectionKind.PERSON: (address,),
        ProtectionKind.DOMAIN: (address.rpartition("@")[2],),
        ProtectionKind.LICENSE: (person.license,),
        ProtectionKind.ROLE: (person.role,),
        ProtectionKind.ADMIN_ROLE: person.admin_roles,
    }
    if facts["kind"] == ProtectionKind.PERSON and facts["external_id"] == person.external_id:
        return True
    return bool(value) and value in of_kind[ProtectionKind(facts["kind"])]
