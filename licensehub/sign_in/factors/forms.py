"""Codes of an app and recovery codes: wrong ones count like wrong passwords, and each one counts once."""

from __future__ import annotations

import time
from typing import Final

from allauth.core import context
from allauth.mfa.base.forms import AuthenticateForm
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import validate_totp_code
from allauth.mfa.utils import decrypt
from axes.handlers.proxy import AxesProxyHandler
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_login_failed
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import gettext as _

from licensehub.audit.actions import Action
from licensehub.sign_in.events import record_for
from licensehub.sign_in.factors import credentials
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
        """Check and count one code after the other, so nobody has more tries by sending many at the same time."""
        problem: ValidationError | None = None
        with transaction.atomic():
            User.objects.select_for_update().get(pk=self.user.pk)
            try:
                self._check(context.request)
            except ValidationError as error:
                # Raised after the end of the transaction, which would else take the count back.
                problem = error
        if problem is not None:
            raise problem
        return str(self.cleaned_data["code"])

    def _check(self, request: HttpRequest) -> None:
        refuse_if_locked(request, self.user)
        if self._is_used_up():
            # The right one, sent twice: no guess.
            raise ValidationError(_("A code counts once. Wait for the next one."), code="used")
        self._mark_used_codes()
        try:
            super().clean_code()
        except ValidationError:
            count_wrong(request, self.user, "code")
            raise
        if self.authenticator.type == Authenticator.Type.TOTP:
            step = int(time.time()) // STEP
            SignInCount.objects.filter(action=USED_CODE, window__lt=step - 10).delete()
            SignInCount.objects.create(action=USED_CODE, account_id=self.user.pk, window=step)
        else:
            self._record_used_code(request)

    def _codes(self) -> Authenticator | None:
        return Authenticator.objects.filter(user=self.user, type=Authenticator.Type.RECOVERY_CODES).first()

    def _mark_used_codes(self) -> None:
        """A code that was used by the audit stays used, also if somebody has changed the row."""
        if (codes := self._codes()) is None:
            return
        stored = codes.data.get("used_mask", 0)
        if (used := stored | credentials.used_codes(codes)) != stored:
            codes.data["used_mask"] = used
            codes.save(update_fields=["data"])

    def _record_used_code(self, request: HttpRequest) -> None:
        codes = self._codes()
        assert codes is not None  # noqa: S101 - one of them was just used
        data = {
            credentials.ONE: credentials.of_factor(codes),
            "used": codes.data.get("used_mask", 0),
            "left": len(codes.wrap().get_unused_codes()),
        }
        record_for(Action.RECOVERY_CODE_USED, self.user, request, **data)

    def _is_used_up(self) -> bool:
        """Whether this is the present code of the app, and was used.

        allauth remembers used codes in the memory of one process. There are several, so the database does.
        """
        step = int(time.time()) // STEP
        app = Authenticator.objects.filter(user=self.user, type=Authenticator.Type.TOTP).first()
        if (
            app is None
            or not SignInCount.objects.filter(action=USED_CODE, account_id=self.user.pk, window=step).exists()
        ):
            return False
        return validate_totp_code(decrypt(app.data["secret"]), str(self.cleaned_data["code"]))
