"""The answers to what allauth asks its project: where people land, what they read, and how secrets are stored."""

from __future__ import annotations

from typing import Any, ClassVar

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from licensehub.audit.actions import Action
from licensehub.sign_in import step_up
from licensehub.sign_in.arrival import arrived
from licensehub.sign_in.events import record_often
from licensehub.sign_in.factors import second_factor
from licensehub.sign_in.factors.fernet import fernet
from licensehub.sign_in.passwords.guessing import needs_sign_on
from licensehub.sign_in.sessions.methods import SSO, methods_of


class AccountAdapter(DefaultAccountAdapter):
    """Accounts are made by an invitation or by the company's sign-on, never by a form of allauth."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def add_message(self, *args: Any, **kwargs: Any) -> None:
        """Our pages say what happened; allauth's sentences are not ours."""

    def send_notification_mail(self, *args: Any, **kwargs: Any) -> None:
        """The audit has the event."""

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        return not step_up.is_confirmed(context.request)

    def respond_user_inactive(self, request: HttpRequest, user: Any) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:login"))

    def pre_login(self, request: HttpRequest, user: Any, **kwargs: Any) -> HttpResponse | None:
        """Also for a passkey, which is a way in without the company's sign-on."""
        if SSO not in methods_of(request, user) and needs_sign_on(user):
            record_often(Action.SIGN_IN_FAILED, user, request, method=" + ".join(methods_of(request, user)))
            messages.error(request, _("Your account signs in with {name} only.").format(name=settings.SSO_NAME))
            return HttpResponseRedirect(reverse("admin:login"))
        return super().pre_login(request, user, **kwargs)

    def post_login(self, request: HttpRequest, user: Any, **kwargs: Any) -> HttpResponse:
        return arrived(request, super().post_login(request, user, **kwargs), user)


class FactorAdapter(DefaultMFAAdapter):
    error_messages: ClassVar[dict[str, str | Promise]] = {
        **DefaultMFAAdapter.error_messages,
        "incorrect_code": gettext_lazy("This did not fit. Codes change every 30 seconds, and each one counts once."),
        "cannot_delete_authenticator": gettext_lazy(
            "Your role needs a second factor, so one has to stay. Add another one first."
        ),
        "cannot_generate_recovery_codes": gettext_lazy("Add a passkey or an app first; then there are recovery codes."),
    }

    def encrypt(self, text: str) -> str:
        return fernet().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return fernet().decrypt(encrypted_text.encode()).decode()

    def can_delete_authenticator(self, authenticator: Authenticator) -> bool:
        return second_factor.may_remove(authenticator)

    def get_totp_issuer(self) -> str:
        return "LicenseHub"

    def get_totp_label(self, user: Any) -> str:
        return str(user.get_username())

    def generate_authenticator_name(self, user: Any, type: Any) -> str:
        return _("Passkey") if isinstance(user, User) else ""
