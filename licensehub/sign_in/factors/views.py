"""allauth's pages of factors in our look. Only what is here can be reached."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from allauth.account.internal.flows.login import clear_authentication_records
from allauth.account.internal.stagekit import clear_login
from allauth.mfa.base.views import AuthenticateView
from allauth.mfa.recovery_codes.views import GenerateRecoveryCodesView, ViewRecoveryCodesView
from allauth.mfa.totp.views import ActivateTOTPView, DeactivateTOTPView
from allauth.mfa.webauthn.views import AddWebAuthnView, LoginWebAuthnView, RemoveWebAuthnView
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from licensehub.audit.actions import Action
from licensehub.sign_in.events import record_often
from licensehub.sign_in.factors import second_factor
from licensehub.sign_in.pages import page

View = Callable[..., HttpResponse]


def in_our_look(view: View) -> View:
    """The context of our layout, and one transaction: an act without its audit event does not happen."""

    @never_cache
    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        with transaction.atomic():
            response = view(request, *args, **kwargs)
        if isinstance(response, TemplateResponse):
            response.context_data = {**admin.site.each_context(request), **(response.context_data or {})}
        return response

    return wrapped


def signed_in_only(view: View) -> View:
    return in_our_look(admin.site.admin_view(view))


class SignInWithPasskeyView(LoginWebAuthnView):
    def form_valid(self, form: Any) -> HttpResponse:
        """Forget what an earlier sign-in in this browser proved: it says nothing about this one."""
        clear_authentication_records(self.request)
        return super().form_valid(form)

    def form_invalid(self, form: Any) -> HttpResponse:
        record_often(Action.SIGN_IN_FAILED, None, self.request, method="webauthn")
        for sentence in form.errors.get("credential", []):
            messages.error(self.request, sentence)
        return HttpResponseRedirect(reverse("admin:login"))


class RemovePasskeyView(RemoveWebAuthnView):
    def get_success_url(self) -> str:
        return reverse("security")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().get_context_data(**kwargs), "may_remove": second_factor.may_remove(self.object)}

    def form_valid(self, form: Any) -> HttpResponse:
        """allauth asks this of apps with codes only."""
        if not second_factor.may_remove(self.get_object()):
            return self.render_to_response(self.get_context_data(form=form))
        return super().form_valid(form)


authenticate = in_our_look(AuthenticateView.as_view())
sign_in_with_passkey = in_our_look(SignInWithPasskeyView.as_view())
add_app = signed_in_only(ActivateTOTPView.as_view())
remove_app = signed_in_only(DeactivateTOTPView.as_view())
add_passkey = signed_in_only(AddWebAuthnView.as_view())
remove_passkey = signed_in_only(RemovePasskeyView.as_view())
recovery_codes = signed_in_only(ViewRecoveryCodesView.as_view())
new_recovery_codes = signed_in_only(GenerateRecoveryCodesView.as_view())


@require_POST
def cancel(request: HttpRequest) -> HttpResponse:
    """Leave a sign-in whose second factor is missing."""
    clear_login(request)
    return HttpResponseRedirect(reverse("admin:login"))


def to_sign_in(request: HttpRequest) -> HttpResponse:
    """The address that allauth knows for our page."""
    query = request.META.get("QUERY_STRING", "")
    return HttpResponseRedirect(reverse("admin:login") + (f"?{query}" if query else ""))


def to_security(request: HttpRequest) -> HttpResponse:
    return HttpResponseRedirect(reverse("security"))


def set_up(request: HttpRequest) -> HttpResponse:
    """The first page of somebody whose role needs a factor, and who has none."""
    user = request.user
    if not isinstance(user, User) or second_factor.has_one(user):
        return HttpResponseRedirect(reverse("admin:index"))
    return page(request, "sign_in/set_up.html", {"title": _("Set up a second factor")})
