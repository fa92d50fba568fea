"""The logo of the company, for people who are asked and are not signed in."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from subscriptions.company.logo import TYPE
from subscriptions.models import Company

# If somebody opens the picture as a page, it loads nothing and runs nothing.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    # A new logo has a new address, so browsers may keep this one.
    "Cache-Control": "public, max-age=31536000, immutable",
}


@require_safe
def company_logo(request: HttpRequest, digest: str) -> HttpResponse:
    row = Company.objects.filter(logo_digest=digest).exclude(logo_digest="").first()
    if row is None or row.logo is None:
        raise Http404
    return HttpResponse(bytes(row.logo), content_type=TYPE, headers=HEADERS)
