"""Answers of passkeys. allauth checks challenge, host and signature; here are page and counter, and odd answers."""

from __future__ import annotations

import struct
from typing import Any

from allauth.core import context
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.forms import AuthenticateWebAuthnForm, LoginWebAuthnForm
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _
from fido2.webauthn import AuthenticationResponse


class PasskeyForm(AuthenticateWebAuthnForm):
    def clean_credential(self) -> Authenticator:
        sent = self.cleaned_data["credential"]
        try:
            row = super().clean_credential()
            said = AuthenticationResponse.from_dict(sent).response
        except (AttributeError, LookupError, TypeError, ValueError, struct.error):
            # A JSON that no browser sends.
            raise get_adapter().validation_error("incorrect_code") from None
        if not _is_our_page(said.client_data.origin):
            raise get_adapter().validation_error("incorrect_code")
        return count(row, said.authenticator_data.counter)


class PasskeyLoginForm(PasskeyForm, LoginWebAuthnForm):
    """Signs in without a password."""


def _is_our_page(origin: str) -> bool:
    """The library accepts each name below ours, whose page may belong to somebody else."""
    return origin in (context.request.build_absolute_uri("/").rstrip("/"), *settings.CSRF_TRUSTED_ORIGINS)


def count(row: Authenticator, counter: int) -> Authenticator:
    """Note the counter of the device. Raises ValidationError if it did not go on: then somebody has copied the passkey.

    Many devices do not count, and always say 0. https://www.w3.org/TR/webauthn-3/#sctn-sign-counter
    """
    with transaction.atomic():
        locked = Authenticator.objects.select_for_update().get(pk=row.pk)
        data: dict[str, Any] = locked.data
        known = max(locked.wrap().authenticator_data.counter, data.get("counter", 0))
        if known and counter <= known:
            raise ValidationError(
                _("This passkey may have been copied. Sign in another way, remove it, and ask who has used it."),
                code="copied",
            )
        data["counter"] = counter
        locked.save(update_fields=["data"])
    return locked
