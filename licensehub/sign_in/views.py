"""The sign-in page, and the way on after it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from allauth.account.internal.flows.login import clear_authentication_records, perform_password_login
from allauth.account.models import Login
from django.conf import settings
from django.contrib.admin import AdminSite
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView, PasswordChangeView
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache

from licensehub.sign_in.forms import OwnPasswordForm, SignInForm
from licensehub.sign_in.pages import page
from licensehub.sign_in.sessions import kept_forms
from licensehub.sign_in.sso.sso import providers

View = Callable[..., HttpResponse]
# The parameter with the page to which one returns.
NEXT: Final = "next"


class SignInView(LoginView):
    """A right password is the first step; the others, e.g. a second factor, are allauth's."""

    form_class = SignInForm
    template_name = "admin/login.html"

    def form_valid(self, form: Any) -> HttpResponse:
        user = form.get_user()
        # What an earlier sign-in in this browser proved says nothing about this one.
        clear_authentication_records(self.request)
        login = Login(user=user, redirect_url=self.get_success_url())
        return perform_password_login(self.request, {"username": user.get_username()}, login)


def with_our_sign_in(site: AdminSite) -> View:
    """The view for `site.login`."""

    @never_cache
    def login(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if request.method == "GET" and site.has_permission(request):
            return HttpResponseRedirect(reverse("admin:index"))
        request.current_app = site.name
        way_on = request.POST.get(NEXT) or request.GET.get(NEXT) or reverse("admin:index")
        context = {
            **site.each_context(request),
            "title": _("Sign in"),
            "app_path": request.get_full_path(),
            "ended": _why_ended(request),
            "providers": [
                {"name": one.name, "address": f"{one.address}?{urlencode({NEXT: way_on})}"} for one in providers()
            ],
            # Without local accounts, the form is for those who have the emergency account.
            "local": settings.LOCAL_ACCOUNTS or "local" in request.GET,
            "emergency": bool(settings.BREAK_GLASS_ACCOUNTS) and not settings.LOCAL_ACCOUNTS,
            "passkeys": settings.LOCAL_ACCOUNTS,
            **(extra_context or {}),
        }
        return SignInView.as_view(extra_context=context)(request)  # type: ignore[return-value]  # not streaming

    return login


def with_our_password_form(site: AdminSite) -> View:
    """The view for `site.password_change`."""

    def password_change(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        request.current_app = site.name
        view = PasswordChangeView.as_view(
            form_class=type("Form", (OwnPasswordForm,), {"request": request}),
            success_url=reverse("admin:password_change_done"),
            template_name=site.password_change_template or "registration/password_change_form.html",
            extra_context={**site.each_context(request), **(extra_context or {})},
        )
        return view(request)  # type: ignore[return-value]  # not streaming

    return password_change


def _why_ended(request: HttpRequest) -> str:
    why, minutes, hours = request.GET.get("ended"), settings.SESSION_IDLE_MINUTES, settings.SESSION_HOURS
    if why not in ("idle", "age", "rights", "update"):
        return ""
    if why == "rights":
        sentence = _("You were signed out: the password or the rights of your account changed.")
    elif why == "update":
        sentence = _("You were signed out: LicenseHub was updated.")
    elif why == "idle":
        sentence = ngettext(
            "You were signed out after {minutes} minute without activity.",
            "You were signed out after {minutes} minutes without activity.",
            minutes,
        ).format(minutes=minutes)
    else:
        sentence = ngettext(
            "You were signed out: a session lasts {hours} hour at most.",
            "You were signed out: a session lasts {hours} hours at most.",
            hours,
        ).format(hours=hours)
    if kept_forms.is_kept(request):
        return " ".join([sentence, _("After the sign-in you return to the same page; what you entered is kept.")])
    return " ".join([sentence, _("After the sign-in you return to the same page.")])


@never_cache
def go_on(request: HttpRequest) -> HttpResponse:
    """Show the kept form of this account, once."""
    user = request.user
    kept = kept_forms.take(request, user) if isinstance(user, User) else {}
    if not kept:
        return HttpResponseRedirect(reverse("admin:index"))
    context = {
        **kept,
        "title": _("You are signed in again"),
        "page_name": kept_forms.page_name(kept["path"]),
        "shown": kept_forms.shown_fields(kept),
        "back": reverse("admin:index"),
    }
    return page(request, "sign_in/go_on.html", context)
