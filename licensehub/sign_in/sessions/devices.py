"""Browsers: what they are called, and whether an account has signed in with one before.

A known browser has tries of its own, so a stranger who guesses does not lock the owner of an account out.
https://owasp.org/www-community/Slow_Down_Online_Guessing_Attacks_with_Device_Cookies
"""

from __future__ import annotations

import re
import secrets
from typing import Final

from django.conf import settings
from django.contrib.auth.models import User
from django.core import signing
from django.http import HttpRequest, HttpResponse

COOKIE: Final = "known_browser"
SALT: Final = "licensehub.sign_in.known_browser"
DAYS: Final = 90
# Accounts that one browser remembers.
MAX_ACCOUNTS: Final = 5

# The first that fits: Edge and Opera also call themselves Chrome, and all of them Safari.
BROWSERS: Final = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
SYSTEMS: Final = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def device_name(request: HttpRequest) -> str:
    """`Chrome on macOS`; the first word of an unknown program; empty without a name."""
    agent = request.META.get("HTTP_USER_AGENT", "")
    browser = next((name for mark, name in BROWSERS if mark in agent), "")
    system = next((name for mark, name in SYSTEMS if mark in agent), "")
    if browser and system:
        return f"{browser} on {system}"
    return browser or system or re.sub(r"[^\w .-]", "", agent.partition("/")[0])[:40]


def known_browser(request: HttpRequest, username: str) -> str:
    """The id of this browser if the account has signed in with it before, else an empty text."""
    return _known(request).get(username, "")


def _known(request: HttpRequest) -> dict[str, str]:
    try:
        found = signing.loads(request.COOKIES.get(COOKIE, ""), salt=SALT, max_age=DAYS * 86_400)
    except signing.BadSignature:
        return {}
    return dict(found)


def remember_browser(request: HttpRequest, response: HttpResponse, user: User) -> None:
    """Set the cookie after a sign-in. It signs nobody in."""
    known = _known(request)
    mine = known.pop(user.get_username(), "") or secrets.token_urlsafe(12)
    kept = dict([*known.items(), (user.get_username(), mine)][-MAX_ACCOUNTS:])
    response.set_cookie(
        COOKIE,
        signing.dumps(kept, salt=SALT),
        max_age=DAYS * 86_400,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
