"""Words that make a password easy to guess here."""

from __future__ import annotations

from django.conf import settings

from integrations.models import IntegrationProfile
from subscriptions.company.company import company


def of_company() -> list[str]:
    """The names of the company, its contact and its profiles, also as single words."""
    ours = company()
    names = [
        ours.name,
        ours.contact_name,
        settings.CONTACT_NAME,
        *IntegrationProfile.objects.values_list("name", flat=True),
    ]
    return [word for name in names for word in (name, *name.split()) if len(word) > 2]
