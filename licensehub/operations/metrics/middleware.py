"""Answers `/metrics`, and counts the answers of the pages. In MIDDLEWARE only if metrics are on."""

from __future__ import annotations

import hmac
import ipaddress
import time
from collections.abc import Callable
from functools import cache
from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden, HttpResponseNotAllowed
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from licensehub.operations.metrics import http
from licensehub.sign_in.addresses import address_of

ADDRESS: Final = "/metrics"


class MetricsMiddleware:
    """Answers before the host check, like `/health`: Prometheus asks by IP address."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        http.forget_former_run()

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info == ADDRESS:
            return metrics(request)
        began = time.perf_counter()
        response = self.get_response(request)
        http.observe(request.method or "", response.status_code, time.perf_counter() - began)
        return response


def metrics(request: HttpRequest) -> HttpResponse:
    """All metrics in the text format. Who asks must have the token, or come from one of the networks, or both."""
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["GET", "HEAD"])
    if not (_has_token(request) and _is_near(request)):
        return HttpResponseForbidden()
    response = HttpResponse(generate_latest(_registry()), content_type=CONTENT_TYPE_LATEST)
    response.headers["Cache-Control"] = "no-store"
    return response


def _has_token(request: HttpRequest) -> bool:
    if not settings.METRICS_TOKEN:
        return True
    given = request.META.get("HTTP_AUTHORIZATION", "").encode(errors="replace")
    return hmac.compare_digest(given, f"Bearer {settings.METRICS_TOKEN}".encode())


def _is_near(request: HttpRequest) -> bool:
    if not settings.METRICS_NETWORKS:
        return True
    found = address_of(request)
    if found is None:
        return False
    address = ipaddress.ip_address(found)
    return any(address in ipaddress.ip_network(network) for network in settings.METRICS_NETWORKS)


@cache
def _registry() -> CollectorRegistry:
    # Here, since a middleware may be imported before the models are.
    from licensehub.operations.metrics.collect import Collector

    registry = CollectorRegistry()
    registry.register(Collector())
    http.add_to(registry)
    return registry
