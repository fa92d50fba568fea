"""The people of a protection, for the list and the page: the protected person, today's address, and who is covered."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.translation import gettext as _

from integrations.connectors.contract import normalized
from integrations.models import IntegrationProfile
from subscriptions.models import Protection, ProtectionKind, Subscription
from subscriptions.models.protection import people_of
from subscriptions.models.subscription import HELD

# The page of a protection names at most this many people.
NAMED = 5


def title(row: Any) -> str:
    """The address as it was typed; the name or id for a person without one. Needs `with_person`."""
    return row.value_label or row.name_now or _("Member {external_id}").format(external_id=row.external_id)


def now(row: Any) -> str:
    """The change of a protected person since then, e.g. `now: new@example.com`; empty without a change."""
    if row.kind != ProtectionKind.PERSON:
        return ""
    if not row.external_id:
        return _("not known at {vendor} yet").format(vendor=row.profile.vendor) if row.is_in_force else ""
    if row.email_now is None:
        return _("no longer known at {vendor}").format(vendor=row.profile.vendor)
    if normalized(row.email_now) != row.value:
        return _("now: {name_and_email}").format(name_and_email=row.email_now or _("no address"))
    return row.name_now


def covered_people(row: Protection) -> list[Subscription]:
    """Some of the people that a protection of a person covers. The other kinds may cover thousands: they give none."""
    if row.kind != ProtectionKind.PERSON:
        return []
    found = {person.pk: person for people in people_of([row]) for person in people.filter(HELD)[:NAMED]}
    return list(found.values())


def address_of_people(row: Any) -> str:
    """The address of the list of subscriptions, filtered to the covered people. Needs `with_person`."""
    scope = {
        ProtectionKind.PERSON: {"q": row.email_now or row.value or row.external_id},
        ProtectionKind.DOMAIN: {"q": f"@{row.value}"},
        ProtectionKind.LICENSE: {"license": row.value},
        ProtectionKind.ROLE: {"role": row.value},
        ProtectionKind.ADMIN_ROLE: {"admin": row.value},
    }[ProtectionKind(row.kind)]
    query = {**scope, "seat": "held"}
    if IntegrationProfile.objects.count() > 1:
        query["profile__id__exact"] = str(row.profile_id)
    return f"{reverse('admin:subscriptions_subscription_changelist')}?{urlencode(query)}"
