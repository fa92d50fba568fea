"""Do an act, and with an `Idempotency-Key` at most once: a repeated call gets the answer of the first one.

https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from hashlib import sha256
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import IntegrityError, OperationalError, connection, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from psycopg.errors import LockNotAvailable
from pydantic import BaseModel

from licensehub.api.access.caller import Caller, acting, caller_of
from licensehub.api.models import IdempotentCall
from licensehub.api.problems import REFUSALS, Problem, of_refusal
from licensehub.database.clock import database_now

KEPT: Final = timedelta(hours=24)
# Seconds for which a call waits for another one with the same key.
MAX_WAIT: Final = 5
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


def do_without_key(request: HttpRequest, act: Act) -> HttpResponse:
    """Run an act that calls the vendor or the mail server, which must not happen inside of a transaction.

    An `Idempotency-Key` would need one, so it is refused and not ignored.
    """
    if HEADER in request.headers:
        wrong = {"place": f"header.{HEADER}", "detail": "This call takes none; it may be repeated without one."}
        raise Problem(422, errors=[wrong])
    with acting(caller_of(request)):
        return _answer(act)


def _once(caller: Caller, key: str, digest: str, act: Act) -> HttpResponse:
    """A second call with the same key waits for the first one: at the row that both want to insert."""
    IdempotentCall.objects.filter(made_at__lt=database_now() - KEPT).delete()
    named = {"token": caller.token, "key": sha256(key.encode()).hexdigest()}
    with transaction.atomic():
        if call := _begin(digest, **named):
            with acting(caller):
                response = _answer(act)
            IdempotentCall.objects.filter(pk=call.pk).update(status=response.status_code, body=_kept(response))
            return response
    return _again(IdempotentCall.objects.get(**named), digest)


def _begin(digest: str, **named: Any) -> IdempotentCall | None:
    """None if another call with this key came first. Raises a Problem if that one still runs after a while."""
    try:
        with transaction.atomic(), _waiting_for_seconds(MAX_WAIT):
            return IdempotentCall.objects.create(digest=digest, made_at=database_now(), **named)
    except IntegrityError:
        return None
    except OperationalError as error:
        if not isinstance(error.__cause__, LockNotAvailable):
            raise
        detail = "The first call with this Idempotency-Key still runs. Repeat this call in a few seconds."
        raise Problem(409, "still_running", detail, headers={"Retry-After": str(MAX_WAIT)}) from error


@contextmanager
def _waiting_for_seconds(most: int) -> Iterator[None]:
    """Wait for the row of another call for so long, and not for what the act locks later.

    Else a program that repeats a slow call could occupy all threads. SQLite has a limit for each wait already.
    """
    if connection.vendor != "postgresql":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('lock_timeout')")
        (before,) = cursor.fetchone()
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{most}s"])
        yield
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [before])


def _kept(response: HttpResponse) -> str:
    """Keep only the code of a refusal: its sentence may name a person, and erasing the person would not find it."""
    body = response.content.decode()
    return str(json.loads(body)["code"]) if response.status_code >= 400 else body


def _again(known: IdempotentCall, digest: str) -> HttpResponse:
    """The answer of the first call. Raises a Problem if that was another call."""
    if known.digest != digest:
        detail = "This Idempotency-Key was used for another call in the last 24 hours. Use a new one for each act."
        raise Problem(422, "key_used", detail)
    if known.status >= 400:
        detail = "The first call with this Idempotency-Key was refused. Use a new key to try again and to read why."
        response: HttpResponse = Problem(known.status, known.body, detail).response()
    else:
        response = HttpResponse(known.body, status=known.status, content_type="application/json")
    response.headers[REPLAYED] = "true"
    return response


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
