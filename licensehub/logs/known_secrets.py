"""The secrets of the settings, so that a text can be searched for them before somebody reads it."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from functools import cache
from typing import Final
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

KEYS: Final = ("SECRET_KEY", "APPROVAL_KEY", "AUDIT_KEY", "BROKER_KEY")
LISTS: Final = ("SECRET_KEY_FALLBACKS", "APPROVAL_KEY_FALLBACKS", "AUDIT_KEY_FALLBACKS", "CREDENTIAL_KEYS")
OTHERS: Final = (
    *("EMAIL_HOST_PASSWORD", "SSO_OIDC_SECRET", "ANCHOR_HTTPS_TOKEN", "ANCHOR_KEYS"),
    *("AUDIT_STREAM_HTTPS_KEY", "METRICS_TOKEN"),
)
# Addresses that may hold a password.
ADDRESSES: Final = ("REDIS_URL", "CELERY_BROKER_URL", "BOUNCE_MAILBOX_URL", "VENDOR_PROXY", "AUDIT_PROXY", "SENTRY_DSN")
# A shorter one would be found in every second word.
MIN_LENGTH: Final = 6
MASK: Final = "***"


def known_secrets() -> frozenset[str]:
    """All secrets of the settings that are too long to be a word of the text."""
    found = [_value(name) for name in (*KEYS, *OTHERS)]
    found += [str(key) for name in LISTS for key in getattr(settings, name, [])]
    found += [word for name in ADDRESSES for word in _passwords(str(getattr(settings, name, "")))]
    found.append(str(settings.DATABASES["default"].get("PASSWORD") or ""))
    found += _as_mail_servers_see(settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD)
    return frozenset(secret for secret in found if len(secret) >= MIN_LENGTH)


def without_secrets(text: str) -> str:
    """The text with *** in place of each secret, the longest first."""
    for secret in sorted(known_secrets(), key=len, reverse=True):
        if secret in text:
            text = text.replace(secret, MASK)
    return text


@cache
def mark_of(name: str, key: str) -> str:
    """Tells one key from another: the first digits of a SHA-256. Nothing can be read back from it."""
    return hashlib.sha256(f"licensehub {name}\0{key}".encode()).hexdigest()[:12]


def keys_mark() -> str:
    """One mark for all keys that the processes of an installation share."""
    every = [_value(name) for name in KEYS]
    every += [str(key) for key in settings.CREDENTIAL_KEYS]
    return mark_of("all keys", "\0".join(every))


def _value(name: str) -> str:
    """Empty where there is none: beat has no SECRET_KEY, and Django raises an error instead of returning it."""
    try:
        return str(getattr(settings, name, ""))
    except ImproperlyConfigured:
        return ""


def _as_mail_servers_see(user: str, password: str) -> list[str]:
    """A password as the sign-in to a mail server writes it: AUTH LOGIN and AUTH PLAIN (RFC 4616)."""
    written = (password, f"\0{user}\0{password}") if password else ()
    return [b64encode(text.encode()).decode() for text in written]


def _passwords(address: str) -> list[str]:
    try:
        password = urlsplit(address).password or ""
    except ValueError:
        return []
    return [password, unquote(password)]
