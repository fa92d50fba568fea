"""The form of the sign-in, in our words: Django's speak of a “staff account”."""

from __future__ import annotations

from typing import ClassVar

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from unfold.forms import AuthenticationForm


class SignInForm(AuthenticationForm):
    error_messages: ClassVar[dict[str, str | Promise]] = {
        **AuthenticationForm.error_messages,
        # The same for a wrong name and a wrong password: neither is told.
        "invalid_login": _("The username and the password do not belong together. Upper and lower case count."),
    }
