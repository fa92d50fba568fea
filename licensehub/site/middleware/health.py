"""The addresses for a load balancer. They say nothing that helps an attacker: no version, no count, no reason.

`/health/live`: the process answers. `/health/ready`, and `/health` as before: it can work, so the database takes
changes and the broker answers. `/health/self` is how LicenseHub recognizes itself at PUBLIC_URL.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpResponse, HttpResponseBadRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from redis.exceptions import RedisError

from licensehub.redis_client import connect
from licensehub.site.unwritable import can_write

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest

# A load balancer asks each process every few seconds.
TRY_AGAIN_SECONDS: Final = 5.0
BROKER_TIMEOUT: Final = 1.0

log = logging.getLogger(__name__)


class _Broker:
    """The last time when this process asked the broker, and whether it answered."""

    at: float | None = None
    answered = False


@require_safe
@never_cache
def live(request: HttpRequest) -> HttpResponse:
    """200 as long as the process answers at all. Nothing else is asked: a restart would not bring a database back."""
    return JsonResponse({"status": "ok"})


@require_safe
@never_cache
def ready(request: HttpRequest) -> HttpResponse:
    """200 while the database takes changes and the broker answers, else 503: without them, no act works."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchone()
    except DatabaseError as error:
        # A load balancer asks every few seconds: one line each time, and no text with an address in it.
        log.error("The database does not answer (%s).", type(error).__name__)
        return JsonResponse({"status": "unavailable"}, status=503)
    if not (can_write() and broker_answers()):
        return JsonResponse({"status": "unavailable"}, status=503)
    return JsonResponse({"status": "ok"})


@require_safe
@never_cache
def myself(request: HttpRequest) -> HttpResponse:
    """The answer to a number that only this installation can make."""
    # Here, since a middleware may be imported before the models are.
    from licensehub.site_proof import MAX_NONCE, proof

    nonce = request.GET.get("nonce", "")
    if not (nonce.isalnum() and nonce.isascii() and len(nonce) <= MAX_NONCE):
        return HttpResponseBadRequest()
    try:
        return HttpResponse(proof(nonce), content_type="text/plain")
    except DatabaseError:
        return JsonResponse({"status": "unavailable"}, status=503)


def broker_answers() -> bool:
    """Whether the broker answers. It is asked at most every 5 seconds."""
    if _Broker.at is None or time.monotonic() - _Broker.at >= TRY_AGAIN_SECONDS:
        try:
            with connect(settings.REDIS_URL, timeout=BROKER_TIMEOUT) as client:
                _Broker.answered = bool(client.ping())
        except (RedisError, OSError) as error:
            # The kind of error only: its text may hold the address with its password.
            log.error("The broker does not answer (%s).", type(error).__name__)
            _Broker.answered = False
        _Broker.at = time.monotonic()
    return _Broker.answered


def forget() -> None:
    """Ask the broker again at the next question."""
    _Broker.at = None


ADDRESSES: Final = {"/health": ready, "/health/ready": ready, "/health/live": live, "/health/self": myself}


class HealthMiddleware:
    """Answers before the host check and the redirect to HTTPS.

    A load balancer asks by IP address and over plain HTTP, and counts a redirect or a 400 as a failure.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        answer = ADDRESSES.get(request.path_info, self.get_response)
        return answer(request)
