"""Show each reader the rows of the profiles for which their roles hold, and no others."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import FileResponse, HttpResponseBase, StreamingHttpResponse

from integrations.scopes.account_scopes import scope_of
from integrations.scopes.visibility import Profiles, each_seen_by, seen_by


class ProfilesMiddleware:
    """Put it after the authentication."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        def profiles() -> Profiles:
            return scope_of(request.user)

        with seen_by(profiles):
            response = self.get_response(request)
        is_file = isinstance(response, FileResponse)
        if isinstance(response, StreamingHttpResponse) and not is_file and profiles() is not None:
            response.streaming_content = each_seen_by(profiles, response.streaming_content)  # type: ignore[arg-type]  # WSGI
        return response
