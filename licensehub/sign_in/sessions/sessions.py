"""Signed-in browsers: how long they stay so, which there are, and how they are ended.

A session ends after some minutes without activity and after some hours in any case. All sessions of an account end
when its password, its roles or its state change.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth import logout
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone

from licensehub.audit.actions import Action
from licensehub.sign_in.addresses import address_of
from licensehub.sign_in.events import record_for
from licensehub.sign_in.models import AccountSession
from licensehub.sign_in.pages import page_before
from licensehub.sign_in.sessions import kept_forms
from licensehub.sign_in.sessions.devices import device_name
from licensehub.sign_in.sessions.generations import generation_of, stored_generation
from licensehub.sign_in.sessions.store import SessionStore, stored_key
from licensehub.sign_in.tokens import tokens

# Keys of the session.
STARTED: Final = "signed_in_at"
SEEN: Final = "seen_at"
METHOD: Final = "sign_in_method"
# The stored key of the session, as `AccountSession` knows it. Django gives a session a new one with a new password.
LISTED: Final = "listed_as"
# The number of the account's sessions at the sign-in: with another one, all sessions before it are over.
GENERATION: Final = "generation"
# Seconds between two notes of the same activity.
NOTED_EVERY: Final = 60
# A page that asks by itself whether there is something new. It is no activity of a person.
BACKGROUND: Final = "X-Background"


def begin(request: HttpRequest, user: User, method: str) -> None:
    """Note a new sign-in in the session, and in the list of sessions if it came over the network."""
    now = time.time()
    values = {STARTED: now, SEEN: now, METHOD: method, GENERATION: stored_generation(user)}
    request.session.update(values)
    if "REMOTE_ADDR" in request.META:
        # Nothing else removes them, and a form that was kept may stand in one.
        SessionStore.clear_expired()
        _list(request, user)


def _list(request: HttpRequest, user: User) -> None:
    """Write the row of this session, or give it the session's new key."""
    session, former = request.session, request.session.get(LISTED, "")
    key = stored_key(session.session_key)
    started = datetime.fromtimestamp(session[STARTED], tz=timezone.get_default_timezone())
    row = {
        "user": user,
        "session_key": key,
        "method": session.get(METHOD, ""),
        "address": address_of(request),
        "device": device_name(request),
        "started_at": started,
        "seen_at": timezone.now(),
        "generation": session.get(GENERATION, 0),
    }
    AccountSession.objects.update_or_create(session_key=former or key, defaults=row)
    session[LISTED] = key


class SessionLimitsMiddleware:
    """Put it after the middlewares of CSRF and authentication.

    A form that another site made this browser send is refused before it is looked at here, so it is not kept.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: Any, args: Any, kwargs: Any) -> HttpResponse | None:
        user = request.user
        if not isinstance(user, User):
            return None
        if why := why_over(request, user):
            # A page that asks by itself stays as it is: something may be typed into it, and its form is kept.
            if BACKGROUND in request.headers:
                return HttpResponse(status=204)
            return _ended(request, user, why, may_keep=not getattr(view, "csrf_exempt", False))
        _note_activity(request, user)
        return None


def why_over(request: HttpRequest, user: User) -> str:
    """`rights`, `update`, `idle` or `age` for a session that is over, else an empty text."""
    now, session = time.time(), request.session
    if session.get(GENERATION, 0) != generation_of(user):
        return "rights"
    if STARTED not in session:
        # A version without these limits made it, so nobody knows how old it is, or with which factor it began.
        return "update"
    if now - session[STARTED] > settings.SESSION_HOURS * 3600:
        return "age"
    return "idle" if now - session.get(SEEN, 0) > settings.SESSION_IDLE_MINUTES * 60 else ""


def _note_activity(request: HttpRequest, user: User) -> None:
    session, now = request.session, time.time()
    if session.get(LISTED) not in (None, stored_key(session.session_key)):
        _list(request, user)
    if BACKGROUND in request.headers or now - session[SEEN] < NOTED_EVERY:
        return
    session[SEEN] = now
    key = session.session_key or ""
    listed = AccountSession.objects.filter(session_key=stored_key(key))
    if not listed.update(seen_at=timezone.now(), address=address_of(request)) and session.exists(key):
        # Each session in use is in the list, however it began, also if somebody removed its row.
        _list(request, user)


def _ended(request: HttpRequest, user: User, why: str, *, may_keep: bool) -> HttpResponse:
    """Sign out and ask to sign in again. The way back is the same page; what was typed into a form is kept."""
    kept = kept_forms.from_post(request) if may_keep else {}
    request.ended_because = why  # type: ignore[attr-defined]  # read by the receiver of the sign-out
    logout(request)
    if "HX-Request" in request.headers:
        # A part of a page cannot be the sign-in. The whole page is loaded again, and leads there.
        return HttpResponse(status=204, headers={"HX-Refresh": "true"})
    if kept:
        kept_forms.keep(request, kept, owner=user.pk)
    way_back = request.get_full_path() if request.method in ("GET", "HEAD") else page_before(request)
    query = urlencode({"next": way_back, "ended": why})
    return HttpResponseRedirect(f"{reverse('admin:login')}?{query}")


@dataclass(frozen=True, slots=True)
class SignedInBrowser:
    """One row of the page of one's sessions. `device` is empty where the browser said nothing about itself."""

    pk: int
    device: str
    address: str
    method: str
    started_at: datetime
    seen_at: datetime
    ends_at: datetime
    is_this: bool


def browsers_of(user: User, request: HttpRequest) -> list[SignedInBrowser]:
    """Return the browsers in which this account is signed in now; this one first."""
    now = timezone.now()
    rows = AccountSession.objects.filter(
        user=user,
        generation=generation_of(user),
        seen_at__gt=now - timedelta(minutes=settings.SESSION_IDLE_MINUTES),
        started_at__gt=now - timedelta(hours=settings.SESSION_HOURS),
        session_key__in=Session.objects.filter(expire_date__gt=now).values("session_key"),
    )
    here = stored_key(request.session.session_key)
    found = [
        SignedInBrowser(
            pk=row.pk,
            device=row.device,
            address=row.address or "",
            method=row.method,
            started_at=row.started_at,
            seen_at=row.seen_at,
            ends_at=row.started_at + timedelta(hours=settings.SESSION_HOURS),
            is_this=row.session_key == here,
        )
        for row in rows
    ]
    return sorted(found, key=lambda row: not row.is_this)


def end_one(user: User, pk: int, request: HttpRequest) -> int:
    """End one other session of the own account. Returns how many ended: 0 if it was over already."""
    mine = AccountSession.objects.filter(user=user, pk=pk).exclude(session_key=stored_key(request.session.session_key))
    return _end(user, mine, why="ended by the person", request=request)


def end_others(user: User, request: HttpRequest) -> int:
    """End all sessions of the own account but this one."""
    others = AccountSession.objects.filter(user=user).exclude(session_key=stored_key(request.session.session_key))
    return _end(user, others, why="ended by the person", request=request)


def end_everywhere(user: User, *, why: str) -> int:
    """End all sessions of this account, and its tokens. Returns how many sessions ended."""
    tokens.end_all(user, why=why)
    return _end(user, AccountSession.objects.filter(user=user), why=why, request=None)


def _end(user: User, rows: Iterable[AccountSession], *, why: str, request: HttpRequest | None) -> int:
    with transaction.atomic():
        keys = [row.session_key for row in rows]
        if not keys:
            return 0
        AccountSession.objects.filter(session_key__in=keys).delete()
        ended, _ = Session.objects.filter(session_key__in=keys).delete()
        if ended:
            record_for(Action.SESSIONS_ENDED, user, request, why=why, sessions=ended)
    return ended


def forget(request: HttpRequest) -> None:
    """Remove the row of a session that is signed out."""
    AccountSession.objects.filter(session_key=stored_key(request.session.session_key)).delete()
