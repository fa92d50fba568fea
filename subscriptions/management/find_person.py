"""Find a person by what an operator types."""

from __future__ import annotations

from django.core.management.base import CommandError

from integrations.connectors.contract import normalized
from subscriptions.models import Subscription
from subscriptions.models.subscription import address_key


def find_person(words: str) -> Subscription:
    """The newest row with this vendor's id or e-mail address. Raises CommandError."""
    people = Subscription.objects.select_related("profile").order_by("-pk")
    found = people.filter(external_id=words).first()
    found = found or people.annotate(address=address_key()).filter(address=normalized(words)).first()
    if found is None or not words:
        raise CommandError(f"Nobody has the address or the id {words}.")
    return found
