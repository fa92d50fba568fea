"""The form of the sign-in, and the old password of somebody who changes it."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.forms import AdminOwnPasswordChangeForm, AuthenticationForm

from licensehub.audit.actions import Action
from licensehub.sign_in.events import record_for
from licensehub.sign_in.factors import credentials
from licensehub.sign_in.passwords import password_checks
from licensehub.sign_in.sessions.devices import known_browser


def password_is_right(request: HttpRequest, user: User, password: str) -> bool:
    """Check the password of somebody who is signed in; wrong ones count as at the sign-in. Raises ValidationError."""
    with slot_for(request, user.get_username()):
        return authenticate(request, username=user.get_username(), password=password) == user


class slot_for:
    """A slot for one check, as an error of the form where there is none."""

    def __init__(self, request: HttpRequest, username: str) -> None:
        self._slot = password_checks.slot(known=bool(known_browser(request, username)))

    def __enter__(self) -> None:
        try:
            self._slot.__enter__()
        except password_checks.Busy:
            sentence = _("Very many people are signing in now. Nothing was checked; try again in some seconds.")
            raise ValidationError(sentence, code="busy") from None

    def __exit__(self, *error: Any) -> None:
        self._slot.__exit__(*error)


class SignInForm(AuthenticationForm):
    error_messages: ClassVar[dict[str, str | Promise]] = {
        **AuthenticationForm.error_messages,
        # The same for a wrong name and a wrong password, so that it does not say which one is wrong.
        "invalid_login": gettext_lazy(
            "The username and the password do not belong together. Upper and lower case count."
        ),
    }

    def clean(self) -> dict[str, Any]:
        if self.cleaned_data.get("username") is None or not self.cleaned_data.get("password"):
            return self.cleaned_data
        with slot_for(self.request, self.cleaned_data["username"]):
            return super().clean()


class OwnPasswordForm(AdminOwnPasswordChangeForm):
    """`request` is bound by the view. Somebody at an open browser has no more tries at the password than a stranger."""

    request: HttpRequest

    def clean_old_password(self) -> str:
        given = str(self.cleaned_data["old_password"])
        if not password_is_right(self.request, self.user, given):
            raise ValidationError(self.error_messages["password_incorrect"], code="password_incorrect")
        return given

    def save(self, commit: bool = True) -> User:
        with transaction.atomic():
            user: User = super().save(commit)
            record_for(Action.PASSWORD_CHANGED, user, self.request, credential=credentials.of_password(user))
        return user
