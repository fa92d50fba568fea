"""Roles and state of an account, for its list and its pages."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from licensehub.site.accounts import invitations
from licensehub.translations.stored import translated


def roles_text(user: User) -> str:
    names = [translated(group.name) for group in user.groups.all()]
    return ", ".join([_("Superuser"), *names] if user.is_superuser else names) or pgettext("roles", "None yet")


def state_of(user: User) -> tuple[str, str, str]:
    """Label, tone and icon."""
    if not user.is_active:
        return _("Deactivated"), "neutral", "block"
    if hasattr(user, "service_account"):
        return _("Program"), "info", "smart_toy"
    if not user.is_staff:
        return _("Cannot sign in here"), "warning", "lock"
    if invitations.is_open(user):
        return _("Invited"), "info", "forward_to_inbox"
    return _("Active"), "ok", "check_circle"
