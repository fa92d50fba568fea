"""Acts for which a person confirms who they are, unless they did in the last minutes.

The confirmation page has the fields of the form that was sent. It is sent again to the same address together with the
password or the factor, so the act goes on and nothing that was typed is lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from licensehub.audit.actions import Action
from licensehub.sign_in.events import record_for
from licensehub.sign_in.factors import credentials
from licensehub.sign_in.factors.forms import check_code, count_wrong, refuse_if_locked
from licensehub.sign_in.forms import password_is_right
from licensehub.sign_in.pages import page, page_before
from licensehub.sign_in.sessions import kept_forms

# The key of the session: when the person last proved who they are.
CONFIRMED: Final = "confirmed_at"
# Fields of the confirmation page. No form of ours has them.
PASSWORD: Final = "confirm_password"  # noqa: S105 - the name of a field
CODE: Final = "confirm_code"
PASSKEY: Final = "confirm_passkey"
# Set by the confirmation of a page: then the page is loaded, and no form is sent.
PAGE: Final = "confirm_page"
FIELDS: Final = (PASSWORD, CODE, PASSKEY, PAGE)

# The name of a URL -> whether this POST is such an act, from the arguments in its path.
Acts = Mapping[str, Callable[[Mapping[str, Any]], bool]]


def note(request: HttpRequest) -> None:
    request.session[CONFIRMED] = time.time()


def is_confirmed(request: HttpRequest) -> bool:
    return time.time() - request.session.get(CONFIRMED, 0) <= settings.STEP_UP_MINUTES * 60


def is_act(request: HttpRequest, view_name: str, arguments: Mapping[str, Any]) -> bool:
    acts: Acts = import_string(settings.STEP_UP_ACTS)
    if request.method in ("GET", "HEAD", "OPTIONS") and view_name not in import_string(settings.STEP_UP_PAGES):
        return False
    return view_name in acts and acts[view_name](arguments)


class StepUpMiddleware:
    """Put it after the middlewares of CSRF, authentication and language."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: dict[str, Any]) -> HttpResponse | None:
        user, match = request.user, request.resolver_match
        if not isinstance(user, User) or match is None or not is_act(request, match.view_name, kwargs):
            return None
        each_time = match.view_name in import_string(settings.STEP_UP_EACH_TIME) and request.method == "POST"
        if is_confirmed(request) and not (each_time and ways_of(user)):
            return None
        return confirm(request, user)


def confirm(request: HttpRequest, user: User) -> HttpResponse | None:
    """None once the person has proved who they are; else the page that asks for it."""
    error = ""
    if request.method == "POST" and any(name in request.POST for name in FIELDS):
        try:
            method = _proved_by(request, user)
        except ValidationError as problem:
            error = " ".join(problem.messages)
        else:
            note(request)
            data: dict[str, Any] = {"method": method, **credentials.mark(user)}
            record_for(Action.STEP_UP_DONE, user, request, **data)
            if PAGE in request.POST:
                return HttpResponseRedirect(request.get_full_path())
            _forget_fields(request)
            return None
    # Here, since only web needs passkeys.
    from allauth.mfa.webauthn.internal.auth import begin_authentication

    ways = ways_of(user)
    context = {
        "title": _("Confirm that it is you"),
        "error": error,
        "fields": [(name, text) for name, text in kept_forms.fields_of(request) if name not in FIELDS],
        "files": bool(request.FILES),
        "is_page": request.method == "GET" or PAGE in request.POST,
        "ways": ways,
        "js_data": {"request_options": begin_authentication(user)} if PASSKEY in ways else {},
        "back": page_before(request),
        "is_confirmed": is_confirmed(request),
        "minutes": settings.STEP_UP_MINUTES,
    }
    return page(request, "sign_in/confirm.html", context, status=403)


def ways_of(user: User) -> list[str]:
    """Return how this account can confirm: with a factor if it has one, else with the password. Empty for neither."""
    kinds = set(Authenticator.objects.filter(user=user).values_list("type", flat=True))
    found = [name for name, needed in ((PASSKEY, "webauthn"), (CODE, "totp")) if needed in kinds]
    if found:
        return found if CODE in found else [*found, CODE]  # a recovery code is one, too
    return [PASSWORD] if user.has_usable_password() else []


def _proved_by(request: HttpRequest, user: User) -> str:
    """The method that proved it. Raises ValidationError."""
    sent, ways = request.POST, ways_of(user)
    if PASSKEY in ways and sent.get(PASSKEY):
        refuse_if_locked(request, user)
        return str(_passkey(request, user, sent[PASSKEY]).type)
    if CODE in ways and sent.get(CODE):
        return str(check_code(request, user, sent[CODE]).type)
    if PASSWORD in ways and password_is_right(request, user, sent.get(PASSWORD, "")):
        return "password"
    raise ValidationError(_("The password is wrong.") if PASSWORD in ways else _("This did not fit."))


def _passkey(request: HttpRequest, user: User, credential: str) -> Authenticator:
    from licensehub.sign_in.factors.passkeys import PasskeyForm

    form = PasskeyForm(user=user, data={"credential": credential})
    if not form.is_valid():
        count_wrong(request, user, "webauthn")
        raise ValidationError(_("This did not fit."))
    return form.cleaned_data["credential"]


def _forget_fields(request: HttpRequest) -> None:
    """The view gets the form as it was sent at first."""
    form = request.POST.copy()
    for name in FIELDS:
        form.pop(name, None)
    request.POST = form  # type: ignore[assignment]  # a QueryDict like the one before
