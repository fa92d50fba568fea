"""Show each page in the language of its reader.

The choice of the account counts, else the language of the browser, else `DEFAULT_LANGUAGE`. Tasks and commands write
English, and the database keeps English. A mail is written in the language of its reader.
"""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import translation
from django.utils.cache import patch_vary_headers

from licensehub.ui.languages import default_language, known_language, language_of_browser
from subscriptions.accounts.settings import language_of


class LanguageMiddleware:
    """Put it after the authentication."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        language = language_of_reader(request)
        with translation.override(language):
            response = self.get_response(request)
        patch_vary_headers(response, ("Accept-Language",))
        response.headers.setdefault("Content-Language", language)
        return response


def language_of_reader(request: HttpRequest) -> str:
    """The reader's language: a code of `LANGUAGES`."""
    chosen = known_language(language_of(request.user)) if request.user.is_authenticated else ""
    return chosen or language_of_browser(request) or default_language()
