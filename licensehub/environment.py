"""Reads typed values from the environment. A value that cannot be read is noted and raises nothing.

A safe value replaces it: no DEBUG, HTTPS on, and a database that refuses to work instead of a wrong one.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import date
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit
from zoneinfo import available_timezones

import environ

from licensehub.outbound.addresses import NotAllowed, normalized_host
from licensehub.redis_url import RedisUrls, derive

ON: Final = {"on", "true", "yes", "1"}
OFF: Final = {"off", "false", "no", "0"}
WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
NO_DATABASE: Final = {"ENGINE": "django.db.backends.dummy"}
# They can also stand in files: a process hands its environment to its children, and crash reports show it.
SECRETS: Final = frozenset(
    {
        *("SECRET_KEY", "SECRET_KEY_FALLBACKS", "CREDENTIAL_KEYS", "APPROVAL_KEY", "AUDIT_KEY", "BROKER_KEY"),
        *("APPROVAL_KEY_FALLBACKS", "AUDIT_KEY_FALLBACKS"),
        *("ANCHOR_KEYS", "ANCHOR_HTTPS_TOKEN", "AUDIT_STREAM_HTTPS_KEY", "SSO_OIDC_SECRET", "METRICS_TOKEN"),
        *("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "EMAIL_URL", "BOUNCE_MAILBOX_URL"),
        *("VENDOR_PROXY", "AUDIT_PROXY", "SENTRY_DSN"),
    }
)


def host_name(text: str) -> str:
    """The name of a host in ASCII and lower case, or its number; "" if it is none."""
    try:
        return normalized_host(text)
    except NotAllowed:
        return ""


class PlainEnv(environ.Env):  # type: ignore[misc]  # it has no types
    """Reads each value as it is written. django-environ would read `$NAME` as the value of the variable NAME.

    A secret can stand in the file that NAME_FILE names, or in the file NAME of systemd's credentials. `problems` maps
    the name of a secret that cannot be read to a sentence.
    """

    def __init__(self) -> None:
        super().__init__()
        self.problems: dict[str, str] = {}

    def get_value(
        self, var: str, cast: Any = None, default: Any = environ.Env.NOTSET, parse_default: bool = False
    ) -> Any:
        text = self.ENVIRON.get(f"{self.prefix}{var}")
        if var in SECRETS and (path := self._file_of(var)):
            text = self._from_file(var, path, text)
            return self.parse_value(text, cast) if text else default
        if text is not None and text.startswith("$"):
            return self.parse_value(text, cast)
        return super().get_value(var, cast, default, parse_default)

    def _file_of(self, name: str) -> Path | None:
        """https://systemd.io/CREDENTIALS/ explains the folder."""
        if named := self.ENVIRON.get(f"{name}_FILE", "").strip():
            return Path(named)
        folder = self.ENVIRON.get("CREDENTIALS_DIRECTORY", "").strip()
        path = Path(folder, name) if folder else None
        return path if path and _may_exist(path) else None

    def _from_file(self, name: str, path: Path, given: str | None) -> str:
        """Nothing where it cannot be read, or where nobody knows which of two values is the right one."""
        try:
            text = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            self.problems[name] = f"{name} cannot be read from the file {path}."
            return ""
        if not text:
            self.problems[name] = f"{name} has nothing in its file {path}."
        if given:
            self.problems[name] = f"{name} is set, and also stands in the file {path}."
            return ""
        return text


def _may_exist(path: Path) -> bool:
    """Also yes where this user may not look into the folder: reading it then says so."""
    try:
        return path.exists()
    except PermissionError:
        return True


class Reader:
    """Reads variables. `problems` maps the name of a wrong one to a sentence about it."""

    def __init__(self, env: PlainEnv) -> None:
        self.env = env
        self.problems: dict[str, str] = {}

    def _text(self, name: str) -> str:
        return str(self.env.str(name, default="")).strip()

    def switch(self, name: str, default: bool) -> bool:
        """On or off."""
        text = self._text(name).lower()
        if text and text not in ON | OFF:
            self.problems[name] = f"{name} is neither on nor off."
            return default
        return text in ON if text else default

    def number(self, name: str, default: int) -> int:
        """A whole number, 0 or more."""
        text = self._text(name)
        if text and not text.isdecimal():
            self.problems[name] = f"{name} is not a whole number of 0 or more."
            return default
        return int(text) if text else default

    def at_least_one(self, name: str, default: int) -> int:
        """A whole number, 1 or more."""
        value = self.number(name, default)
        if value or name in self.problems:
            return value
        self.problems[name] = f"{name} is not a whole number of 1 or more."
        return default

    def days(self, name: str, default: int) -> int:
        """A number of days from 1 to 365."""
        value = self.number(name, default)
        if name in self.problems or 1 <= value <= 365:
            return value
        self.problems[name] = f"{name} is not a number from 1 to 365."
        return default

    def weekdays(self, name: str, default: str) -> frozenset[int]:
        """Days of the week, e.g. `mon,tue`, as numbers from 0 (Monday) to 6."""
        given = [word.strip().lower()[:3] for word in (self._text(name) or default).split(",")]
        if not set(given) <= set(WEEKDAYS):
            self.problems[name] = f"{name} is not a list of days of the week."
            given = default.split(",")
        return frozenset(WEEKDAYS.index(word) for word in given)

    def dates(self, name: str) -> frozenset[date]:
        """Dates, e.g. `2026-12-25,2026-12-26`; none by default."""
        given = [word.strip() for word in self._text(name).split(",") if word.strip()]
        try:
            return frozenset(date.fromisoformat(word) for word in given)
        except ValueError:
            self.problems[name] = f"{name} is not a list of dates."
            return frozenset()

    def time_zone(self, name: str, default: str) -> str:
        """A name of the time zone database."""
        text = self._text(name) or default
        if text not in available_timezones():
            self.problems[name] = f"{name} is not the name of a time zone."
            return default
        return text

    def one_of(self, name: str, default: str, known: Sequence[str]) -> str:
        """Read a variable whose value is one of these words."""
        text = self._text(name) or default
        if text not in known:
            self.problems[name] = f"{name} is not one of {', '.join(known)}."
            return default
        return text

    def networks(self, name: str) -> list[str]:
        """Networks and addresses, e.g. `10.0.0.0/8,192.0.2.7`; none by default."""
        given = words(self._text(name))
        try:
            return [str(ip_network(word)) for word in given]
        except ValueError:
            self.problems[name] = f"{name} is not a list of networks."
            return []

    def hosts(self, name: str) -> list[str]:
        """Names of hosts, and patterns such as `*.example.com`, in ASCII and lower case; none by default."""
        found = []
        for word in words(self._text(name)):
            below = word.startswith("*.")
            host = host_name(word.removeprefix("*."))
            if not host or (below and "." not in host):
                self.problems[name] = f"{name} is not a list of hosts."
                return []
            found.append(f"*.{host}" if below else host)
        return found

    def mapping(self, name: str) -> dict[str, list[str]]:
        """`group=Role,group=Other role` as group -> roles; empty by default."""
        found: dict[str, list[str]] = {}
        for pair in words(self._text(name)):
            key, sign, value = pair.rpartition("=")
            if not (sign and key.strip() and value.strip()):
                self.problems[name] = f"{name} is not a list of group=role."
                return {}
            found.setdefault(key.strip(), []).append(value.strip())
        return found

    def text_or_file(self, name: str) -> str:
        """A text, or what stands in the file that is named."""
        text = self._text(name)
        if not text.startswith("/"):
            return text
        try:
            return Path(text).read_text()
        except OSError:
            self.problems[name] = f"{name} names a file that cannot be read."
            return ""

    def log_level(self, name: str, default: str) -> str:
        """A level of Python's logging."""
        text = (self._text(name) or default).upper()
        if text not in logging.getLevelNamesMapping():
            self.problems[name] = f"{name} is not a level of logging."
            return default
        return text

    def redis(self, name: str, default: str) -> RedisUrls:
        """The URLs of a Redis. For a wrong address, those of the embedded broker, which only `manage.py run` starts."""
        text = self._text(name)
        if text and not _is_redis(text):
            self.problems[name] = f"{name} is not the address of a Redis or Valkey."
            return derive(default)
        return derive(text or default)

    def percent(self, name: str, default: int) -> int:
        """From 1 to 100."""
        value = self.number(name, default)
        if 1 <= value <= 100:
            return value
        self.problems[name] = f"{name} is not a number from 1 to 100."
        return default

    def origin(self, name: str, default: str) -> str:
        """The beginning of an address: scheme, host and perhaps a port, without a path, and without the last `/`."""
        text = (self._text(name) or default).rstrip("/")
        if not _is_origin(text):
            self.problems[name] = f"{name} is not the address of a site."
            return default
        return text

    def mail(self, name: str, default: str) -> dict[str, Any]:
        """Django's EMAIL_ settings from one address, e.g. `smtp+tls://user:password@host:587`."""
        url = self._text(name) or default
        try:
            return dict(self.env.email_url_config(url))
        except (KeyError, ValueError):
            self.problems[name] = f"{name} is not the address of a mail server."
            return dict(self.env.email_url_config(default))

    def database(self, name: str, default: str) -> dict[str, Any]:
        """SQLite or PostgreSQL."""
        url = self._text(name) or default
        if name in self.env.problems:
            # Never the default in the place of the database that was meant.
            return dict(NO_DATABASE)
        if not _is_database(url):
            self.problems[name] = f"{name} names neither a PostgreSQL nor an SQLite database."
            return dict(NO_DATABASE)
        if "/" in unquote(urlsplit(url).netloc.rpartition("@")[2]):
            # django-environ does not decode %2F, and libpq would look for a host of that name.
            self.problems[name] = f"{name} names the folder of a socket in place of the host."
            return dict(NO_DATABASE)
        return dict(self.env.db_url_config(url))


def _is_origin(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    beside = parts.path or parts.query or parts.fragment or "@" in parts.netloc
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not beside


def words(text: str) -> list[str]:
    """Words that are separated by commas; none for `none`."""
    return [] if text.strip().lower() == "none" else [word.strip() for word in text.split(",") if word.strip()]


def _is_redis(url: str) -> bool:
    try:
        derive(url)
        _ = urlsplit(url).port  # raises where the port is no number
    except ValueError:
        return False
    return True


def _is_database(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in ("sqlite", "postgres", "postgresql") and bool(parts.path.strip("/"))
