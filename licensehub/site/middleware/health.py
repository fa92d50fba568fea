"""The health check for a load balancer. It says nothing that helps an attacker: no version, no count, no reason."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from django.db import DatabaseError, connection
from django.http import JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from licensehub.site.unwritable import can_write

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse

ADDRESS: Final = "/health"

log = logging.getLogger(__name__)


@require_safe
@never_cache
def health(request: HttpRequest) -> JsonResponse:
    """200 while the database answers and takes changes, else 503: without them, no decision and no send works."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchone()
    except DatabaseError:
        log.exception("The database does not answer.")
        return JsonResponse({"status": "unavailable"}, status=503)
    if not can_write():
        return JsonResponse({"status": "unavailable"}, status=503)
    return JsonResponse({"status": "ok"})


class HealthMiddleware:
    """Answers `/health` before the host check and the redirect to HTTPS.

    A load balancer asks by IP address and over plain HTTP, and counts a redirect or a 400 as a failure.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return health(request) if request.path_info == ADDRESS else self.get_response(request)
