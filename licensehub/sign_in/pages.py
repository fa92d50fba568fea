"""Pages of the sign-in, in the look of the admin but without its menu."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django.utils.http import url_has_allowed_host_and_scheme


def page(request: HttpRequest, template: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    """Render a page that no browser and no proxy keeps."""
    response = render(request, template, {**admin.site.each_context(request), **context}, status=status)
    add_never_cache_headers(response)
    return response


def page_before(request: HttpRequest) -> str:
    """The page of ours that this request came from, e.g. that of its form; else the overview."""
    parts = urlsplit(request.headers.get("Referer", ""))
    ours = url_has_allowed_host_and_scheme(parts.geturl(), {request.get_host()}, require_https=request.is_secure())
    return f"{parts.path}?{parts.query}".rstrip("?") if ours and parts.path.startswith("/") else reverse("admin:index")
