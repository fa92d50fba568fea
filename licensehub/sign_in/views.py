"""The sign-in page, and the way on after it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.admin import AdminSite
from django.contrib.auth.models import User
from django.contrib.auth.views import PasswordChangeView
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.cache import never_cache

from licensehub.sign_in import kept_forms
from licensehub.sign_in.devices import remember_browser
from licensehub.sign_in.forms import OwnPasswordForm
from licensehub.sign_in.pages import page

LoginView = Callable[..., HttpResponse]


def with_our_sign_in(site: AdminSite) -> LoginView:
    """The view for `site.login`: that of the site with what belongs to an ended session and a known browser."""
    of_the_site = site.login

    @never_cache
    def login(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        before = request.user.pk
        response = of_the_site(request, {**(extra_context or {}), "ended": _why_ended(request)})
        user = request.user
        if request.method == "POST" and isinstance(user, User) and user.pk != before:
            return arrived(request, response, user)
        return response

    return login


def with_our_password_form(site: AdminSite) -> LoginView:
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


def arrived(request: HttpRequest, response: HttpResponse, user: User) -> HttpResponse:
    """What follows a sign-in: the browser is known from now on, and a kept form is offered."""
    if kept_forms.is_kept(request):
        response = HttpResponseRedirect(reverse("go_on"))
    remember_browser(request, response, user)
    return response


def _why_ended(request: HttpRequest) -> str:
    why, minutes, hours = request.GET.get("ended"), settings.SESSION_IDLE_MINUTES, settings.SESSION_HOURS
    if why not in ("idle", "age"):
        return ""
    if why == "idle":
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
    context = {**kept, "title": _("You are signed in again"), "back": reverse("admin:index")}
    return page(request, "sign_in/go_on.html", context)
