"""The steps that follow each sign-in, by whichever way somebody came."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from licensehub.sign_in.sessions import kept_forms
from licensehub.sign_in.sessions.devices import remember_browser


def arrived(request: HttpRequest, response: HttpResponse, user: User) -> HttpResponse:
    """The browser is known from now on, and a kept form is offered."""
    if kept_forms.is_kept(request):
        response = HttpResponseRedirect(reverse("go_on"))
    remember_browser(request, response, user)
    return response
