"""Do an act, and with an `Idempotency-Key` at most once: a repeated call gets the answer of the first one.

https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from pydantic import BaseModel

from licensehub.api.access.caller import Caller, acting, caller_of
from licensehub.api.models import IdempotentCall
from licensehub.api.problems import CONTENT_TYPE, REFUSALS, Problem, of_refusal
from licensehub.database.clock import database_now

KEPT: Final = timedelta(hours=24)
HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotency-Replayed"

Act = Callable[[], BaseModel]


def do(request: HttpRequest, act: Act) -> HttpResponse:
    """Run the act as the caller. A refusal is an answer, too: the same key gets it again."""
    caller, key = caller_of(request), request.headers.get(HEADER, "")
    if not key:
        with acting(caller):
            return _answer(act)
    if len(key) > 100 or not key.isprintable():
        wrong = {"place": f"header.{HEADER}", "detail": "At most 100 printable characters."}
        raise Problem(422, errors=[wrong])
    return _once(caller, key, _digest(request), act)


def _once(caller: Caller, key: str, digest: str, act: Act) -> HttpResponse:
    """A second call with the same key waits for the first one: at the row that both want to insert."""
    IdempotentCall.objects.filter(made_at__lt=database_now() - KEPT).delete()
    with transaction.atomic():
        if call := _begin(caller, key, digest):
            with acting(caller):
                response = _answer(act)
            body = response.content.decode()
            IdempotentCall.objects.filter(pk=call.pk).update(status=response.status_code, body=body)
            return response
    known = IdempotentCall.objects.get(token=caller.token, key=key)
    if known.digest != digest:
        detail = "This Idempotency-Key was used for another call in the last 24 hours. Use a new one for each act."
        raise Problem(422, "key_used", detail)
    kind = CONTENT_TYPE if known.status >= 400 else "application/json"
    return HttpResponse(known.body, status=known.status, content_type=kind, headers={REPLAYED: "true"})


def _begin(caller: Caller, key: str, digest: str) -> IdempotentCall | None:
    """None if another call with this key came first."""
    try:
        with transaction.atomic():
            return IdempotentCall.objects.create(token=caller.token, key=key, digest=digest, made_at=database_now())
    except IntegrityError:
        return None


def _answer(act: Act) -> HttpResponse:
    try:
        done = act()
    except ValidationError as error:
        return _invalid(error).response()
    except Problem as problem:
        return problem.response()
    except REFUSALS as refusal:
        return of_refusal(refusal).response()
    return JsonResponse(done.model_dump(mode="json"))


def _invalid(error: ValidationError) -> Problem:
    fields: dict[str, list[Any]] = error.message_dict if hasattr(error, "error_dict") else {"": error.messages}
    places = [(".".join(filter(None, ("body", name))), text) for name, texts in fields.items() for text in texts]
    return Problem(422, errors=[{"place": place, "detail": str(text)} for place, text in places])


def _digest(request: HttpRequest) -> str:
    try:
        body = json.dumps(json.loads(request.body or b"null"), sort_keys=True)
    except ValueError:
        body = request.body.decode(errors="replace")
    return sha256(f"{request.method} {request.path} {body}".encode()).hexdigest()
