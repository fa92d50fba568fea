"""Refuse a request that the database cannot take, before anything reads it: 400 with a sentence, in place of a 500.

PostgreSQL stores no text with the character of code 0 (NUL), and UTF-8 has no lone surrogates. Both can stand in each
part of a request: the address, the query, a form, the name of a file, a cookie, a header, JSON. So all parts are
examined here, and no view needs to.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from django.core.exceptions import BadRequest, SuspiciousOperation
from django.http import HttpRequest, HttpResponse, RawPostDataException, UnreadablePostError
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import translation
from django.utils.translation import gettext as _

from licensehub.ui.languages import default_language, language_of_browser

UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
# A nested text in JSON, e.g. "\u0000", is written in ASCII.
MAX_DEPTH: Final = 50

log = logging.getLogger(__name__)


class ReadableRequestMiddleware:
    """Put it before everything that reads cookies, sessions or the form."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        try:
            found = next((part for part, text in _texts(request) if UNSTORABLE.search(text)), "")
        except (SuspiciousOperation, BadRequest, UnreadablePostError, ValueError, RecursionError) as error:
            log.warning("A request cannot be read: %s", type(error).__name__)
            return _refuse(request, "")
        if found:
            log.warning("A request has a character that no database stores, in: %s", found)
            return _refuse(request, _character)
        return self.get_response(request)


def _texts(request: HttpRequest) -> Iterator[tuple[str, str]]:
    """Each text of the request, with the part that it stands in."""
    yield "the address", request.path
    for values in ((name, *request.GET.getlist(name)) for name in request.GET):
        yield from (("the query", value) for value in values)
    for cookie, content in request.COOKIES.items():
        yield "a cookie", f"{cookie}{content}"
    for header, content in request.META.items():
        if header.startswith("HTTP_") or header in ("CONTENT_TYPE", "QUERY_STRING", "REMOTE_USER"):
            yield "a header", str(content)
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return
    if request.content_type == "application/json":
        yield from (("the JSON", text) for text in _texts_of_json(_json_of(request)))
        return
    for field in request.POST:
        yield from (("the form", value) for value in (field, *request.POST.getlist(field)))
    for field, file in request.FILES.items():
        yield "a file", f"{field}{getattr(file, 'name', '')}"


def _json_of(request: HttpRequest) -> Any:
    """The body as JSON. Raises ValueError for any other text."""
    try:
        return json.loads(request.body or b"null")
    except RawPostDataException as error:
        raise ValueError("The body was read already.") from error


def _texts_of_json(value: Any, depth: int = 0) -> Iterator[str]:
    if depth > MAX_DEPTH:
        raise ValueError("The JSON is nested too deeply.")
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts_of_json(item, depth + 1)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from _texts_of_json(item, depth + 1)


def _character() -> str:
    return _(
        "The address or the form has a character that cannot be stored, e.g. the one with the code 0. Nothing was "
        "changed. Remove the character, and try again."
    )


def _refuse(request: HttpRequest, why: Callable[[], str] | str) -> HttpResponse:
    """The page *This request cannot be read*. Neither the session nor the account is known yet."""
    with translation.override(language_of_browser(request) or default_language()):
        response = render(None, "400.html", {"why": why() if callable(why) else why}, status=400)
        response.headers["Content-Language"] = translation.get_language() or ""
    response.headers["Vary"] = "Accept-Language"
    response.headers["Cache-Control"] = "no-store"
    return response
