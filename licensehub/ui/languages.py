"""Find the language that a code or a header means. Codes are those of `LANGUAGES`: `en`, `de`."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import get_supported_language_variant
from django.utils.translation.trans_real import parse_accept_lang_header


def known_language(code: str) -> str:
    """`de` for `de`, `de-AT` and `de_AT`; empty for a language that LicenseHub does not speak."""
    try:
        return get_supported_language_variant(code.strip().replace("_", "-").lower()) if code.strip() else ""
    except LookupError:
        return ""


def language_of_browser(request: HttpRequest) -> str:
    """The first language of the browser that LicenseHub speaks; empty if there is none."""
    wanted = parse_accept_lang_header(request.headers.get("Accept-Language", ""))
    return next((found for code, _ in wanted if (found := known_language(code))), "")


def default_language() -> str:
    """The language for people whose language is not known: `DEFAULT_LANGUAGE`."""
    return known_language(settings.DEFAULT_LANGUAGE) or settings.LANGUAGE_CODE


def language_name(code: str) -> str:
    """`Deutsch`: each language has its own name for itself."""
    return dict(settings.LANGUAGES).get(code, "")
