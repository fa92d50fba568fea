"""The rules for each call under `/api/`, also for one that no operation answers."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Final

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponse, HttpResponseBase
from django.utils.cache import get_conditional_response

from licensehub.api.problems import CONTENT_TYPE, OF_STATUS, Problem

PREFIX: Final = "/api/"
# The headers of an error that stay when a program gets it: two for the program, the others for a browser.
KEPT: Final = (
    *("Allow", "Retry-After", "X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy", "Permissions-Policy"),
    *("Content-Security-Policy", "Cross-Origin-Opener-Policy", "Strict-Transport-Security"),
)


class ApiMiddleware:
    """Put it before everything that reads cookies or answers with a page.

    A call has no session, so no other site can make a browser act. It is answered in English, and an error is JSON.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path_info.startswith(PREFIX):
            return self.get_response(request)
        if settings.SECURE_SSL_REDIRECT and not request.is_secure():
            # A redirect would come after the token went over the wire.
            detail = (
                "Call the API over https. The token of this call was sent unencrypted: end it and make another one."
            )
            response: HttpResponseBase = Problem(403, "not_encrypted", detail).response()
        else:
            request.META.pop("HTTP_COOKIE", None)
            request.COOKIES = {}
            request.META["HTTP_ACCEPT_LANGUAGE"] = "en"
            response = _if_changed(request, _as_problem(self.get_response(request)))
        response.headers.setdefault("Cache-Control", "no-store")
        for name, value in getattr(request, "rate_limit", {}).items():
            response.headers[name] = value
        return response


def _if_changed(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """Give what was read an ETag, and answer 304 where the caller has it already."""
    if request.method not in ("GET", "HEAD") or response.status_code != 200 or not isinstance(response, HttpResponse):
        return response
    response.headers["ETag"] = f'"{sha256(response.content).hexdigest()[:32]}"'
    # A program may keep it, and has to ask each time whether it is still so.
    response.headers["Cache-Control"] = "private, no-cache"
    return get_conditional_response(request, etag=response.headers["ETag"], response=response) or response


def _as_problem(response: HttpResponseBase) -> HttpResponseBase:
    """An error that a page says becomes one that a program reads."""
    if response.status_code < 400 or response.headers.get("Content-Type", "").startswith(CONTENT_TYPE):
        return response
    known = response.status_code in OF_STATUS
    problem = Problem(response.status_code if known else 500).response()
    if not known:
        problem.status_code = response.status_code
    for name in KEPT:
        if name in response.headers:
            problem.headers[name] = response.headers[name]
    return problem
