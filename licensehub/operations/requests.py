"""Each request has an id, which its log lines, its tasks and its events of the audit carry."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from django.http import HttpRequest, HttpResponse

from licensehub.logs import log_context
from licensehub.operations.telemetry import traces

HEADER: Final = "X-Request-ID"

log = logging.getLogger(__name__)


class RequestIdMiddleware:
    """The answer has the id, too, so that a person can name it. An id that a request brings along is not believed."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request_id, began = log_context.begin_request(), time.perf_counter()
        try:
            with traces.span(request.method or "") as facts:
                response = self.get_response(request)
                # The route, and not the path: a path may have a link that works without a sign-in.
                route = request.resolver_match.route if request.resolver_match else "none"
                facts |= {"name": f"{request.method} {route}", "status": response.status_code}
            response.headers[HEADER] = request_id
            # The path only: a query may hold what a person searched for.
            facts = {"method": request.method, "path": request.path, "status": response.status_code}
            log.info("Answered", extra={**facts, "milliseconds": round((time.perf_counter() - began) * 1000)})
            return response
        finally:
            log_context.end()
