"""Forms that a person sent after the session had ended: each is kept, and sent again after the sign-in.

A form is kept in the session of the browser for half an hour, and shown to nobody but the same account. A form with
a password or another secret is not kept.
"""

from __future__ import annotations

import re
import time
from typing import Any, Final
from urllib.parse import urlsplit

from django.apps import apps
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.urls import Resolver404, resolve
from django.utils.text import capfirst

KEPT: Final = "kept_form"
OWNER: Final = "kept_form_of"
KEPT_SECONDS: Final = 1800
# Characters of all fields together.
MAX_SIZE: Final = 60_000
SECRET: Final = re.compile(r"password|secret|token|key|code", re.IGNORECASE)
CSRF: Final = "csrfmiddlewaretoken"
# A digest tells a reader nothing.
DIGEST: Final = re.compile(r"[0-9a-f]{32,}")
# Fields that the page shows, and characters of each.
SHOWN_FIELDS: Final = 12
SHOWN_CHARACTERS: Final = 200


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


def shown_fields(kept: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the fields by which a person recognizes the form: names in words, and texts that are not too long."""
    found = [
        (name.replace("_", " "), text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…")
        for name, text in kept["fields"]
        if text.strip() and not name.startswith("_") and not DIGEST.fullmatch(text)
    ]
    return found[:SHOWN_FIELDS]


def page_name(path: str) -> str:
    """`Reclaim request 12`: what the form is about, in the language of the reader; empty if the path does not say."""
    try:
        match = resolve(urlsplit(path).path)
    except Resolver404:
        return ""
    for model in apps.get_models():
        if (match.url_name or "").startswith(f"{model._meta.app_label}_{model._meta.model_name}_"):
            number = [str(value) for name, value in match.kwargs.items() if name in ("object_id", "pk")]
            return " ".join([capfirst(str(model._meta.verbose_name)), *number])
    return ""
