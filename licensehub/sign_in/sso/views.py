"""The addresses of single sign-on. The provider sends people back to PUBLIC_URL, whatever a request claims."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Final, cast
from urllib.parse import urlsplit

from allauth.socialaccount.helpers import render_authentication_error
from allauth.socialaccount.models import SocialApp
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView, OAuth2LoginView
from allauth.socialaccount.providers.saml import views as saml
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect, QueryDict
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from lxml.etree import XMLSyntaxError
from onelogin.saml2.utils import OneLogin_Saml2_Utils
from onelogin.saml2.xml_utils import OneLogin_Saml2_XML
from requests import RequestException

from licensehub.sign_in.sessions.store import SessionStore
from licensehub.sign_in.sso import sso
from licensehub.sign_in.sso.oidc_claims import Adapter
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


def begins_sign_on(view: View) -> View:
    """Begins a sign-on. Of the query only the way back counts, and that an account is to be linked: allauth would
    let it change what the provider is asked.
    """

    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        links = request.GET.get("process") == sso.CONNECT
        if links and not sso.may_link(request):
            return HttpResponseRedirect(reverse("security"))
        query = QueryDict(mutable=True)
        query.update({"process": sso.CONNECT} if links else {})
        query.update({"next": request.GET["next"]} if "next" in request.GET else {})
        request.GET = query  # type: ignore[assignment]  # nobody changes it later
        return view(request, *args, **kwargs)

    return at_public_url(require_safe(wrapped))


@begins_sign_on
def oidc_login(request: HttpRequest, provider_id: str) -> HttpResponse:
    adapter = Adapter(request, provider_id)
    try:
        return cast(HttpResponse, OAuth2LoginView.adapter_view(adapter)(request))
    except SocialApp.DoesNotExist:
        raise Http404 from None
    except (RequestException, OAuth2Error) as error:
        return cast(HttpResponse, render_authentication_error(request, adapter.get_provider(), exception=error))


@at_public_url
def oidc_callback(request: HttpRequest, provider_id: str) -> HttpResponse:
    try:
        return cast(HttpResponse, OAuth2CallbackView.adapter_view(Adapter(request, provider_id))(request))
    except SocialApp.DoesNotExist:
        raise Http404 from None


saml_login, saml_metadata = begins_sign_on(saml.login), at_public_url(saml.metadata)
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
    try:
        OneLogin_Saml2_XML.to_etree(OneLogin_Saml2_Utils.b64decode(request.POST.get("SAMLResponse", "")))
    except (ValueError, XMLSyntaxError):  # no XML, or one with a document type, e.g. for entities
        return cast(HttpResponse, render_authentication_error(request, None))
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
    if not sso.may_link(request):
        return HttpResponseRedirect(reverse("security"))
    query = urlencode({"process": sso.CONNECT, "next": reverse("security"), "token": request.GET["token"]})
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
