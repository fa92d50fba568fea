"""Codes of an app and recovery codes: wrong ones count like wrong passwords, and each one counts once."""

from __future__ import annotations

import time
from typing import Final

from allauth.core import context
from allauth.mfa.base.forms import AuthenticateForm
from allauth.mfa.models import Authenticator
from axes.handlers.proxy import AxesProxyHandler
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_login_failed
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import gettext as _

from licensehub.sign_in.models import SignInCount

# The window of a code of an app, in seconds, and the name of its rows among the counts.
STEP: Final = 30
USED_CODE: Final = "code.used"


def refuse_if_locked(request: HttpRequest, user: User) -> None:
    """Raises ValidationError during a pause after wrong passwords or codes."""
    allowed = AxesProxyHandler.is_allowed(request, {"username": user.get_username()})
    if settings.AXES_ENABLED and not allowed:
        minutes = settings.SIGN_IN_PAUSE_MINUTES
        raise ValidationError(
            _("Too many wrong tries. Nothing is checked for {minutes} minutes.").format(minutes=minutes), code="locked"
        )


def count_wrong(request: HttpRequest, user: User, method: str) -> None:
    """Count it as axes counts a wrong password."""
    user_login_failed.send(__name__, credentials={"username": user.get_username(), "method": method}, request=request)


def check_code(request: HttpRequest, user: User, code: str) -> Authenticator:
    """The factor whose code this is. Raises ValidationError."""
    form = FactorForm(user=user, data={"code": code})
    if not form.is_valid():
        raise ValidationError([message for messages in form.errors.values() for message in messages])
    return form.authenticator


class FactorForm(AuthenticateForm):
    def clean_code(self) -> str:
        request, code = context.request, str(self.cleaned_data["code"])
        refuse_if_locked(request, self.user)
        try:
            super().clean_code()
            self._use_up()
        except ValidationError:
            count_wrong(request, self.user, "code")
            raise
        return code

    def _use_up(self) -> None:
        """allauth remembers used codes in the memory of one process. There are several, so the database does."""
        if self.authenticator.type != Authenticator.Type.TOTP:
            return
        step = int(time.time()) // STEP
        with transaction.atomic():
            SignInCount.objects.filter(action=USED_CODE, window__lt=step - 10).delete()
            _row, made = SignInCount.objects.get_or_create(action=USED_CODE, account_id=self.user.pk, window=step)
        if not made:
            raise ValidationError(_("A code counts once. Wait for the next one."), code="used")
