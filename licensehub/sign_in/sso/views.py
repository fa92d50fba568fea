"""The addresses of single sign-on. The provider sends people back to PUBLIC_URL, whatever a request claims."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Final
from urllib.parse import urlsplit

from allauth.socialaccount.providers.openid_connect import views as oidc
from allauth.socialaccount.providers.saml import views as saml
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache

from licensehub.sign_in.sessions.store import SessionStore
from licensehub.sign_in.sso import sso
from licensehub.sign_in.sso.saml_subject import FinishView

View = Callable[..., HttpResponse]
# Characters of an answer of SAML: many times those of one with hundreds of groups.
MAX_ANSWER: Final = 300_000
STORED_SECONDS: Final = 300


def at_public_url(view: View) -> View:
    @never_cache
    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        request.META["HTTP_HOST"] = urlsplit(settings.PUBLIC_URL).netloc
        return view(request, *args, **kwargs)

    return wrapped


oidc_login, oidc_callback = at_public_url(oidc.login), at_public_url(oidc.callback)
saml_login, saml_metadata = at_public_url(saml.login), at_public_url(saml.metadata)
saml_finish_acs = at_public_url(FinishView.as_view())


@at_public_url
def saml_acs(request: HttpRequest, organization_slug: str) -> HttpResponse:
    """The answer of the provider. Anybody may post one, and it is stored before it is checked.

    So one that is too long to be an answer is refused, and the others are stored for some minutes.
    """
    if not settings.SSO_SAML_URL:
        raise Http404
    if sum(len(name) + len(text) for name, text in request.POST.items()) > MAX_ANSWER:
        return HttpResponse(status=413)
    SessionStore.clear_expired()
    stored = SessionStore(request.COOKIES.get("saml-acs-session"))
    stored.set_expiry(STORED_SECONDS)
    request.saml_acs_session = stored  # type: ignore[attr-defined]  # read by allauth
    return saml.acs(request, organization_slug=organization_slug)


# The provider posts to it, from its own site.
saml_acs.csrf_exempt = True  # type: ignore[attr-defined]  # read by Django


def nothing(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
    """allauth names this address in the metadata of SAML. Single log-out is not supported."""
    raise Http404


def link(request: HttpRequest, key: str) -> HttpResponse:
    """Send somebody who is signed in to the provider, to link the account."""
    found = next((one for one in sso.providers() if one.key == key), None)
    if found is None:
        raise Http404
    query = urlencode({"process": sso.CONNECT, "next": reverse("security")})
    return HttpResponseRedirect(f"{found.address}?{query}")


def unlink(request: HttpRequest, pk: int) -> HttpResponse:
    user = request.user
    if request.method != "POST" or not isinstance(user, User):
        return HttpResponseNotAllowed(["POST"])
    if sso.unlink(request, user, pk):
        messages.success(request, _("Your company's sign-on is no longer linked."))
    else:
        messages.error(request, _("This is the only way in to your account, so it stays."))
    return HttpResponseRedirect(reverse("security"))
