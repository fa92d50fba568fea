"""Bind protections that were typed by address to the vendor's id of their person, as soon as that person is known."""

from __future__ import annotations

from django.db import transaction
from django.db.models import Exists, OuterRef

from integrations.connectors.contract import normalized
from integrations.models import IntegrationProfile
from licensehub.audit.actions import Action
from licensehub.audit.log import record_many
from subscriptions.bulk_sql import large_tables, set_column
from subscriptions.candidates import locks
from subscriptions.models import Protection, ProtectionKind, Subscription
from subscriptions.rules.find_people import find_people


def bind_protections(profile: IntegrationProfile) -> int:
    """Bind the protections that are bound to no member of the organization. Call it before the verdicts.

    A person who was deleted and made again has the same address and a new id, so the protection gets the new id. New
    protections are made under the same lock. Returns how many were bound.
    """
    with transaction.atomic():
        locks.lock_profile(profile.pk)
        here = Subscription.objects.filter(profile=profile, external_id=OuterRef("external_id"), gone_at=None)
        unbound = Protection.objects.in_force().of(profile.pk).filter(~Exists(here), kind=ProtectionKind.PERSON)
        with large_tables():
            protections = list(unbound.exclude(value="").select_related("profile"))
        people = find_people(profile.pk, {one.value for one in protections})
        targets = []
        for one in protections:
            person = people.get(one.value)
            if person and _may_bind(one, person):
                why = f"{one.value} is member {person.external_id}."
                targets.append((one, {"from": one.external_id, "to": person.external_id, "why": why}))
                one.external_id = person.external_id
        if targets:
            set_column(Protection, "external_id", [(one.pk, one.external_id) for one, _ in targets])
            record_many(Action.PROTECTION_BOUND, actor=None, targets=targets)
    return len(targets)


def _may_bind(protection: Protection, person: Subscription) -> bool:
    """A person who has left keeps the protection, unless somebody in the organization has their address now."""
    if not protection.external_id:
        return True
    return person.gone_at is None and normalized(person.email) == protection.value
