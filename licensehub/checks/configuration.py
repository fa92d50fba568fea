"""System checks: each says what is wrong and what to do. `docs/configuration.md` lists their ids.

`manage.py check` shows those of the settings; `manage.py check --database default`, `migrate` and `manage.py run` also
show those of the database.
"""

from __future__ import annotations

import ipaddress
import itertools
import os
import ssl
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register
from django.core.exceptions import ImproperlyConfigured

from integrations.connectors.registry import addresses_of, connector_class
from integrations.mail_config import mail_problem
from licensehub.audit.chain.signature import former_key
from licensehub.translations.catalogs import stale
from subscriptions.notices.bounces.bounce_mailbox import mailbox_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECRET_KEY_LENGTH: Final = 50
OTHER_KEY_LENGTH: Final = 32
FORMER_KEYS: Final = "Write it whole, the one of the audit as KEY@NUMBER; see docs/configuration.md."
MAKE_ENV: Final = "`make install` writes a .env with all keys where there is none; .env.example says how to make one."

# The id of each value that cannot be read, and what to write instead.
ENVIRONMENT: Final = {
    "REDIS_URL": (
        "E008",
        "Write redis://host:6379/0, or leave it out for the embedded broker. Sentinel and Redis Cluster do not work.",
    ),
    "DATABASE_URL": (
        "E013",
        "Write postgres://user:password@host:5432/name, postgres://user@/name?host=/folder/of/the/socket, "
        "or leave it out for SQLite.",
    ),
    "DATABASE_OWNER_URL": ("E013", "Write postgres://owner:password@host:5432/name, or leave it out."),
    "TIME_ZONE": ("E012", "Write a name like UTC or Europe/Berlin."),
    "DEFAULT_LANGUAGE": ("E029", "Write en or de."),
    "DEBUG": ("E014", "Write on or off."),
    "HTTPS": ("E014", "Write on or off."),
    "BEHIND_PROXY": ("E014", "Write on or off."),
    "SECURE_HSTS_INCLUDE_SUBDOMAINS": ("E014", "Write on or off."),
    "SECURE_HSTS_PRELOAD": ("E014", "Write on or off."),
    "PUBLIC_URL": ("E050", "Write https://licensehub.example.com, without a path."),
    "CONN_MAX_AGE": ("E015", "Write seconds, such as 60."),
    "SECURE_HSTS_SECONDS": ("E015", "Write seconds, such as 31536000."),
    "WEB_PORT": ("E015", "Write a port, such as 8000."),
    "EVIDENCE_PACK_HOURS": ("E015", "Write hours, such as 24."),
    "EXPORTS_PER_HOUR": ("E015", "Write a number of files, such as 60."),
    "ANCHOR_MAIL_HOURS": ("E015", "Write hours, such as 24, or 0 for each anchor."),
    "SNAPSHOT_DAYS": ("E015", "Write days, such as 400."),
    "HISTORY_MONTHS": ("E015", "Write months, such as 24, or 0 to keep all of it."),
    "PROXY_COUNT": ("E015", "Write the number of proxies, such as 1."),
    "SESSION_IDLE_MINUTES": ("E015", "Write minutes, such as 30."),
    "SESSION_HOURS": ("E015", "Write hours, such as 8."),
    "STEP_UP_MINUTES": ("E015", "Write minutes, such as 5."),
    "SSO_ROLES": ("E060", "Write group=Role, separated by commas, such as it-admins=Company admin."),
    "SSO_SAML_CERTIFICATE": ("E061", "Name a PEM file that this user can read."),
    "SSO_IS_ENOUGH": ("E014", "Write on or off."),
    "LOCAL_ACCOUNTS": ("E014", "Write on or off."),
    "SIGN_IN_TRIES": ("E015", "Write a number of tries, such as 5."),
    "SIGN_IN_TRIES_PER_ADDRESS": ("E015", "Write a number of tries, such as 30."),
    "SIGN_IN_PAUSE_MINUTES": ("E015", "Write minutes, such as 15."),
    "PASSWORD_CHECKS": ("E015", "Write a number of checks, such as 1."),
    "GONE_PEOPLE_DAYS": ("E015", "Write days, such as 730, or 0 to keep everybody."),
    "MIN_GROUP_SIZE": ("E015", "Write a number of people, such as 5, or 0 for all departments."),
    "API_CALLS_PER_MINUTE": ("E015", "Write a number of calls, such as 600."),
    "API_DECIDE_HOURS": ("E015", "Write hours, such as 12, or 0 so that no token decides."),
    "LONE_RESTORES_PER_DAY": ("E015", "Write a number of people, such as 5, or 0 so that each needs a second person."),
    "REQUEST_WINDOW_DAYS": ("E015", "Write days from 1 to 365, such as 3."),
    "WORKING_DAYS": ("E027", "Write days such as mon,tue,wed,thu,fri."),
    "HOLIDAYS": ("E028", "Write dates such as 2026-12-25,2026-12-26."),
    "RATE_SHARE": ("E022", "Write percent of the vendor's rate limit, such as 80."),
    "EMAIL_URL": ("E020", "Write smtp+tls://user:password@host:587, or leave it out to see mails in the log."),
    "ANCHOR_S3_MODE": ("E042", "Write COMPLIANCE or GOVERNANCE."),
    "ANCHOR_S3_DAYS": ("E015", "Write days, such as 2557."),
    "AUDIT_STREAM_STDOUT": ("E014", "Write on or off."),
    "AUDIT_STREAM_FROM": ("E043", "Write beginning or now."),
    "METRICS_NETWORKS": ("E070", "Write networks such as 10.0.0.0/8,192.0.2.7."),
    "WEBHOOK_HOSTS": ("E080", "Write hosts such as hooks.slack.com,*.service-now.com, without https://."),
    "WEBHOOK_NETWORKS": ("E080", "Write networks such as 10.20.0.0/16."),
    "WEBHOOK_DELIVERY_DAYS": ("E015", "Write days, such as 30."),
    "LOG_FORMAT": ("E072", "Write console or json."),
    "LOG_LEVEL": ("E016", "Write DEBUG, INFO, WARNING, ERROR or CRITICAL."),
}


def error(number: str, sentence: str, hint: str) -> Error:
    """One finding that stops LicenseHub."""
    return Error(sentence, hint=hint, id=f"licensehub.{number}")


@register
def check_environment(**_: Any) -> list[CheckMessage]:
    """The settings could not read these values."""
    return [
        error(ENVIRONMENT[name][0], sentence, ENVIRONMENT[name][1])
        for name, sentence in settings.ENVIRONMENT_PROBLEMS.items()
    ]


@register
def check_secret_files(**_: Any) -> list[CheckMessage]:
    """Secrets that stand in a file."""
    hint = "Name a file that this user can read, and give the secret in one place only: in the file or in the variable."
    return [error("E066", sentence, hint) for sentence in settings.SECRET_PROBLEMS.values()]


def secret_key() -> str:
    """Empty where there is none: Django raises an error instead of returning it."""
    try:
        return str(settings.SECRET_KEY)
    except ImproperlyConfigured:
        return ""


@register
def check_secret_key(**_: Any) -> list[CheckMessage]:
    """Sessions and tokens are signed with it."""
    key = secret_key()
    if not key:
        return [error("E001", "SECRET_KEY is missing.", MAKE_ENV)]
    if len(key) < SECRET_KEY_LENGTH:
        return [error("E002", f"SECRET_KEY has fewer than {SECRET_KEY_LENGTH} characters.", MAKE_ENV)]
    return []


@register
def check_credential_keys(**_: Any) -> list[CheckMessage]:
    """Stored tokens are encrypted with the first; the others still decrypt."""
    if not settings.CREDENTIAL_KEYS:
        return [error("E003", "CREDENTIAL_KEYS is missing.", MAKE_ENV)]
    wrong = [place for place, key in enumerate(settings.CREDENTIAL_KEYS, start=1) if not is_fernet_key(key)]
    hint = "Each key is 32 random bytes in URL-safe base64; separate the keys by commas, the newest first."
    return [error("E004", f"Key {place} of CREDENTIAL_KEYS is not a Fernet key.", hint) for place in wrong]


def is_fernet_key(key: str) -> bool:
    """Whether cryptography accepts it."""
    try:
        Fernet(key)
    except ValueError:
        return False
    return True


@register
def check_other_keys(**_: Any) -> list[CheckMessage]:
    """Approvals, the audit chain and messages are signed with keys of their own."""
    keys = {"APPROVAL_KEY": settings.APPROVAL_KEY, "AUDIT_KEY": settings.AUDIT_KEY}
    if settings.BROKER_KEY or not settings.REDIS_IS_EMBEDDED:
        # Only this user can reach the socket of the embedded broker.
        keys["BROKER_KEY"] = settings.BROKER_KEY
    numbers = {"APPROVAL_KEY": "E005", "AUDIT_KEY": "E006", "BROKER_KEY": "E051"}
    found: list[CheckMessage] = [
        error(numbers[name], f"{name} is missing or has fewer than {OTHER_KEY_LENGTH} characters.", MAKE_ENV)
        for name, key in keys.items()
        if len(key) < OTHER_KEY_LENGTH
    ]
    former = {
        "APPROVAL_KEY_FALLBACKS": settings.APPROVAL_KEY_FALLBACKS,
        "AUDIT_KEY_FALLBACKS": [former_key(word)[0] for word in settings.AUDIT_KEY_FALLBACKS],
    }
    found += [
        error("E075", f"Key {place} of {name} has fewer than {OTHER_KEY_LENGTH} characters.", FORMER_KEYS)
        for name, given in former.items()
        for place, key in enumerate(given, start=1)
        if len(key) < OTHER_KEY_LENGTH
    ]
    named = [("SECRET_KEY", secret_key()), *keys.items()]
    named += [("CREDENTIAL_KEYS", key) for key in settings.CREDENTIAL_KEYS]
    named += [(name, key) for name, given in former.items() for key in given]
    hint = "Give each its own key: one leak must not open the others."
    return found + [
        error("E007", f"{one} and {other} hold the same key.", hint)
        for (one, first), (other, second) in itertools.combinations(named, 2)
        if first and first == second and one != other
    ]


@register
def check_metrics_token(**_: Any) -> list[CheckMessage]:
    """Somebody who guesses the token reads how many people are inactive."""
    if not settings.METRICS_TOKEN or len(settings.METRICS_TOKEN) >= OTHER_KEY_LENGTH:
        return []
    hint = "Make one with `openssl rand -hex 32`."
    return [error("E071", f"METRICS_TOKEN has fewer than {OTHER_KEY_LENGTH} characters.", hint)]


@register
def check_connector_addresses(**_: Any) -> list[CheckMessage]:
    """The addresses that tokens are sent to."""
    found = []
    for kind in settings.CONNECTORS:
        used, declared = addresses_of(kind), connector_class(kind).addresses
        found += [finding for name, url in used.items() for finding in address_findings(declared[name].variable, url)]
    return found


def address_findings(name: str, url: str) -> Iterator[CheckMessage]:
    """Plain http is for the sandbox on this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        parts, host = urlsplit(""), ""
    if parts.scheme not in ("http", "https") or not host:
        yield error("E009", f"{name} is not an http(s) address.", "Leave it out for the vendor's own address.")
    elif parts.scheme == "http" and not is_loopback(host):
        hint = "Write https://; plain http is for the sandbox on this machine."
        yield error("E010", f"{name} would send tokens to another machine over plain http.", hint)


def is_loopback(host: str) -> bool:
    """Whether it is this machine, by name or by number."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@register
def check_network(**_: Any) -> list[CheckMessage]:
    """Check the proxy and the certificates for calls to vendors."""
    found: list[CheckMessage] = []
    if settings.VENDOR_PROXY and not is_proxy(settings.VENDOR_PROXY):
        hint = "Write http://proxy.example:3128 (with user:password@ if it asks for them), or leave it out."
        found.append(error("E024", "VENDOR_PROXY is not the address of a proxy.", hint))
    if settings.VENDOR_CA_BUNDLE:
        try:
            ssl.create_default_context(cafile=settings.VENDOR_CA_BUNDLE)
        except OSError:  # ssl.SSLError is one
            hint = "Name a PEM file that this user can read, or leave it out."
            found.append(error("E025", "VENDOR_CA_BUNDLE is not a file with certificates.", hint))
    return found


@register
def check_bounce_mailbox(**_: Any) -> list[CheckMessage]:
    """Check the address of the mailbox to which mails come back."""
    try:
        if settings.BOUNCE_MAILBOX_URL:
            mailbox_of(settings.BOUNCE_MAILBOX_URL)
    except ValueError:
        hint = "Write imaps://user:password@host:993/INBOX (imap:// is for this machine), or leave it out."
        return [error("E026", "BOUNCE_MAILBOX_URL is not the address of a mailbox.", hint)]
    return []


def is_proxy(url: str) -> bool:
    """Whether it has a scheme, a host and a port, and nothing behind them."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    behind = parts.path.strip("/") or parts.query or parts.fragment
    return parts.scheme in ("http", "https") and bool(parts.hostname and port) and not behind


@register
def check_var_dir(**_: Any) -> list[CheckMessage]:
    """SQLite and the embedded broker keep their files there; without both, nothing is written."""
    if not (uses_sqlite() or settings.REDIS_IS_EMBEDDED) or is_writable(settings.VAR_DIR):
        return []
    hint = "Change its owner, or name another folder in LICENSEHUB_VAR."
    return [error("E011", f"This user cannot write into {settings.VAR_DIR}.", hint)]


def is_writable(folder: Path) -> bool:
    """Whether files can be written into the folder, or the folder can be made."""
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    return nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)


def uses_sqlite() -> bool:
    """Whether the database is a file."""
    return str(settings.DATABASES["default"]["ENGINE"]) == "django.db.backends.sqlite3"


@register
def check_database_fits_broker(**_: Any) -> list[CheckMessage]:
    """With a broker of its own there may be workers on other machines, and they cannot share a file."""
    if not uses_sqlite() or settings.REDIS_IS_EMBEDDED:
        return []
    hint = "Set DATABASE_URL to PostgreSQL, or leave REDIS_URL out; on a single machine this check may be silenced."
    sentence = "REDIS_URL is set, but the database is SQLite, which workers on other machines cannot share."
    return [Warning(sentence, hint=hint, id="licensehub.W001")]


@register
def check_instance_id(**_: Any) -> list[CheckMessage]:
    """With a broker of its own there may be several hosts, each with a file of its own."""
    if settings.INSTANCE_ID or settings.REDIS_IS_EMBEDDED:
        return []
    hint = "Set the same INSTANCE_ID on all hosts, e.g. licensehub-production, and another one for a copy."
    sentence = "INSTANCE_ID is not set, so hosts with other files take the database for a copy, and send nothing."
    return [Warning(sentence, hint=hint, id="licensehub.W051")]


@register
def check_mail(**_: Any) -> list[CheckMessage]:
    """People who are asked by mail must be able to answer."""
    problem, _dot, hint = mail_problem().partition(". ")
    return [Warning(f"{problem}.", hint=f"{hint} Until then nobody is asked.", id="licensehub.W002")] if problem else []


@register
def check_catalogs(**_: Any) -> list[CheckMessage]:
    """Warn if a compiled catalog is missing: its texts are then shown in English."""
    if not (old := [str(path.relative_to(settings.BASE_DIR)) for path in stale()]):
        return []
    sentence = f"The translations of {', '.join(old)} are not compiled, or were changed since."
    hint = "Run `manage.py compile_catalogs`, then restart LicenseHub. Until then pages and mails are partly English."
    return [Warning(sentence, hint=hint, id="licensehub.W004")]


@register
def check_reach(**_: Any) -> list[CheckMessage]:
    """DEBUG and plain HTTP are for this machine only."""
    hosts = [host for host in settings.ALLOWED_HOSTS if not is_loopback(host)]
    found: list[CheckMessage] = []
    if hosts and settings.DEBUG:
        hint = "Set DEBUG=off: its error pages show the settings to everybody who causes an error."
        found.append(error("E017", "DEBUG is on while ALLOWED_HOSTS names more than this machine.", hint))
    if hosts and not settings.HTTPS:
        hint = "Set HTTPS=on (behind a TLS proxy with BEHIND_PROXY=on, too)."
        found.append(error("E018", "HTTPS is off while ALLOWED_HOSTS names more than this machine.", hint))
    if "*" in settings.ALLOWED_HOSTS:
        hint = "Name the hosts, separated by commas."
        found.append(error("E019", "ALLOWED_HOSTS accepts every host name.", hint))
    return found
