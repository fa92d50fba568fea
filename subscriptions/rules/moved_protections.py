"""Protections belong to the organization: when its profile is archived and made again, they move to the new profile."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, Q

from integrations.models import IntegrationProfile, ProfileState
from licensehub.audit.actions import Action
from licensehub.audit.log import record_many
from subscriptions.models import Protection


def move_protections(profile: IntegrationProfile) -> int:
    """Move what is in force in archived profiles of the same organization, in the caller's transaction.

    What the new profile has already is not moved. Returns how many moved.
    """
    archived = IntegrationProfile.objects.of_organization(profile).filter(state=ProfileState.ARCHIVED)
    former = list(archived.exclude(pk=profile.pk).values_list("pk", flat=True))
    if not former:
        return 0
    same = Q(value=OuterRef("value")) & ~Q(value="")
    same |= Q(external_id=OuterRef("external_id")) & ~Q(external_id="")
    here = Protection.objects.in_force().of(profile.pk).filter(same, kind=OuterRef("kind"))
    moving = Protection.objects.in_force().filter(~Exists(here), profile__in=former)
    rows = list(moving.select_for_update().select_related("profile").order_by("pk"))
    Protection.objects.filter(pk__in=[row.pk for row in rows], ended_at=None).update(profile=profile)
    to = {"to": profile.name, "profile": profile.pk}
    targets = [(row, {"from": row.profile.name, "value": row.value, **to}) for row in rows]
    record_many(Action.PROTECTION_MOVED, actor=None, targets=targets)
    return len(rows)
