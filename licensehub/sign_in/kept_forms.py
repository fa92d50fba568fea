"""What a person sent with a form when the session was over: it is kept, and sent on after the sign-in.

It is kept in the session of the browser for half an hour, and shown to nobody but the same account. A form with
a password or another secret is not kept.
"""

from __future__ import annotations

import re
import time
from typing import Any, Final

from django.contrib.auth.models import User
from django.http import HttpRequest

KEPT: Final = "kept_form"
OWNER: Final = "kept_form_of"
KEPT_SECONDS: Final = 1800
# Characters of all fields together.
MAX_SIZE: Final = 60_000
SECRET: Final = re.compile(r"password|secret|token|key|code", re.IGNORECASE)
CSRF: Final = "csrfmiddlewaretoken"


def fields_of(request: HttpRequest) -> list[tuple[str, str]]:
    """The fields of a POST in their order, without the token of the form."""
    return [(name, text) for name in request.POST if name != CSRF for text in request.POST.getlist(name)]


def from_post(request: HttpRequest) -> dict[str, Any]:
    """The form to keep; empty if there is none, or if it may not be kept."""
    if request.method != "POST" or request.FILES:
        return {}
    fields = fields_of(request)
    secret = any(SECRET.search(name) and text for name, text in fields)
    if secret or sum(len(name) + len(text) for name, text in fields) > MAX_SIZE:
        return {}
    return {"path": request.get_full_path(), "fields": fields, "until": time.time() + KEPT_SECONDS}


def keep(request: HttpRequest, kept: dict[str, Any], *, owner: int) -> None:
    request.session[KEPT] = kept
    request.session[OWNER] = owner


def is_kept(request: HttpRequest) -> bool:
    return KEPT in request.session


def take(request: HttpRequest, user: User) -> dict[str, Any]:
    """The kept form of this account, once; empty if there is none, or if it is another account's."""
    kept = request.session.pop(KEPT, {})
    owner = request.session.pop(OWNER, None)
    return kept if kept and owner == user.pk and kept["until"] > time.time() else {}
