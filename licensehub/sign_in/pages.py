"""Pages of the sign-in, in the look of the admin but without its menu."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import add_never_cache_headers


def page(request: HttpRequest, template: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    """Render a page that no browser and no proxy keeps."""
    response = render(request, template, {**admin.site.each_context(request), **context}, status=status)
    add_never_cache_headers(response)
    return response
