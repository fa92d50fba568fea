"""The system checks of the sign-in: who can come in, and who needs a second factor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.checks import CheckMessage, Tags, Warning, register
from django.db import DatabaseError

from licensehub.audit.outgoing import may_use
from licensehub.checks.configuration import error, is_loopback


@register
def check_sign_in(**_: Any) -> list[CheckMessage]:
    """Single sign-on must be complete, and somebody must be able to come in."""
    found: list[CheckMessage] = []
    if settings.SSO_OIDC_URL and not settings.SSO_OIDC_CLIENT_ID:
        found.append(error("E062", "SSO_OIDC_URL is set without SSO_OIDC_CLIENT_ID.", "Set both, or neither."))
    if settings.SSO_OIDC_URL and not may_use(settings.SSO_OIDC_URL):
        hint = "Write https://: what the provider answers is believed because of its certificate."
        found.append(error("E079", "SSO_OIDC_URL is not an https address.", hint))
    if settings.SSO_SAML_URL and not (settings.SSO_SAML_ENTITY_ID and settings.SSO_SAML_CERTIFICATE):
        hint = "Set SSO_SAML_ENTITY_ID and SSO_SAML_CERTIFICATE: without a certificate no answer can be believed."
        found.append(error("E063", "SSO_SAML_URL is set without the entity id or the certificate.", hint))
    if not (settings.LOCAL_ACCOUNTS or settings.SSO_OIDC_URL or settings.SSO_SAML_URL):
        hint = "Set SSO_OIDC_URL or SSO_SAML_URL, or leave LOCAL_ACCOUNTS on."
        found.append(error("E064", "LOCAL_ACCOUNTS is off, and there is no single sign-on: nobody can sign in.", hint))
    if not settings.SECOND_FACTOR_ROLES and any(not is_loopback(host) for host in settings.ALLOWED_HOSTS):
        hint = "Name the roles that decide, connect and administer in SECOND_FACTOR_ROLES, or leave it out."
        sentence = "No role needs a second factor, while ALLOWED_HOSTS names more than this machine."
        found.append(Warning(sentence, hint=hint, id="licensehub.W020"))
    return found


@register(Tags.database)
def check_role_names(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """A name that is misspelt would ask nobody for a second factor, or give nobody a role."""
    if not databases:
        return []
    try:
        known = set(Group.objects.values_list("name", flat=True))
    except DatabaseError:
        return []
    named = {
        "SECOND_FACTOR_ROLES": {*settings.SECOND_FACTOR_ROLES},
        "SSO_ROLES": {role for roles in settings.SSO_ROLES.values() for role in roles},
    }
    hint = "Write the names of the roles as the page “Roles” has them in English. Upper and lower case count."
    return [
        Warning(
            f"{setting} names {', '.join(sorted(names - known))}, which is no role.", hint=hint, id="licensehub.W021"
        )
        for setting, names in named.items()
        if known and names - known
    ]
