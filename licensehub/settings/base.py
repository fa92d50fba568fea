"""The settings of the whole project. `env` and `reader` read the environment and the file `.env`."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any

from csp.constants import NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE

from licensehub import queues
from licensehub.environment import PlainEnv, Reader
from licensehub.site.theme import UNFOLD as UNFOLD

BASE_DIR = Path(__file__).resolve().parent.parent.parent

env = PlainEnv()
PlainEnv.read_env(os.environ.get("LICENSEHUB_ENV_FILE", BASE_DIR / ".env"))
# A value that cannot be read is noted here, and licensehub/checks/configuration.py reports it in a sentence.
reader = Reader(env)
ENVIRONMENT_PROBLEMS = reader.problems
SECRET_PROBLEMS = env.problems

# --- Basics -----------------------------------------------------------------------------------------------------------
SECRET_KEY = env.str("SECRET_KEY", default="")
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
DEBUG = reader.switch("DEBUG", False)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
ROOT_URLCONF = "licensehub.urls"
WSGI_APPLICATION = "licensehub.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Files of the embedded mode ---------------------------------------------------------------------------------------
VAR_DIR = Path(env.str("LICENSEHUB_VAR", default=str(BASE_DIR / "var"))).resolve()
# A short folder of our own: the path of a Unix socket must stay under 108 bytes, and VAR_DIR may be anywhere.
_var_hash = hashlib.sha256(str(VAR_DIR).encode()).hexdigest()[:8]
RUNTIME_DIR = Path(tempfile.gettempdir()) / f"licensehub-{os.getuid()}-{_var_hash}"
EMBEDDED_BROKER_SOCKET = RUNTIME_DIR / "valkey.sock"
WEB_PORT = reader.number("WEB_PORT", 8000)

# Where people reach LicenseHub. Each address that LicenseHub gives away begins with it, never with what a request says.
PUBLIC_URL = reader.origin("PUBLIC_URL", f"http://localhost:{WEB_PORT}")

# --- Applications -----------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "licensehub.audit",
    # Without its admin site: ours is that of licensehub.site.apps.AdminConfig.
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    # Before Django's: its commands take the place of those of the same name, and write an event.
    "licensehub.sign_in",
    "licensehub.site.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.forms",
    "django_celery_beat",
    "csp",
    "axes",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "allauth.socialaccount.providers.saml",
    "licensehub.ui",
    "integrations",
    "subscriptions",
    "licensehub",
    "licensehub.operations",
    "licensehub.site",
    "licensehub.api",
    "licensehub.configuration",
]

AUTHENTICATION_BACKENDS = ["licensehub.site.middleware.time_zone.AccountBackend"]

MIDDLEWARE = [
    # First: a load balancer asks by IP address and over plain HTTP.
    "licensehub.site.middleware.health.HealthMiddleware",
    "licensehub.api.middleware.ApiMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "licensehub.site.middleware.headers.AnswerMiddleware",
    "licensehub.site.middleware.readable.ReadableRequestMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "licensehub.site.middleware.profiles.ProfilesMiddleware",
    "licensehub.site.middleware.time_zone.TimeZoneMiddleware",
    "licensehub.site.middleware.language.LanguageMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "licensehub.sign_in.sessions.sessions.SessionLimitsMiddleware",
    "licensehub.sign_in.factors.second_factor.SecondFactorMiddleware",
    "licensehub.sign_in.step_up.StepUpMiddleware",
    # Last: it replaces the answer to a try that was refused.
    "axes.middleware.AxesMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"

# --- Database ---------------------------------------------------------------------------------------------------------
# On PostgreSQL, web, worker and beat have users of their own, each with a DATABASE_URL. Only these commands act as the
# owner of the tables. docs/database-roles.md explains it.
OWNER_COMMANDS = ("migrate", "grant_roles", "sqlmigrate", "showmigrations", "erase_people")
OWNER_ACTS = len(sys.argv) > 1 and Path(sys.argv[0]).name == "manage.py" and sys.argv[1] in OWNER_COMMANDS
DATABASE_WEB_USER = env.str("DATABASE_WEB_USER", default="licensehub_web").strip()
DATABASE_WORKER_USER = env.str("DATABASE_WORKER_USER", default="licensehub_worker").strip()
DATABASE_BEAT_USER = env.str("DATABASE_BEAT_USER", default="licensehub_beat").strip()
DATABASES = {"default": reader.database("DATABASE_URL", f"sqlite:///{VAR_DIR / 'licensehub.sqlite3'}")}
if OWNER_ACTS and env.str("DATABASE_OWNER_URL", default=""):
    DATABASES["default"] = reader.database("DATABASE_OWNER_URL", "")
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
else:
    DATABASES["default"]["CONN_MAX_AGE"] = reader.number("CONN_MAX_AGE", 60)
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    # Compiling a statement takes PostgreSQL longer than it saves, also for those that read a million rows once.
    if _session := env.str("DATABASE_OPTIONS", default="-c jit=off"):
        DATABASES["default"].setdefault("OPTIONS", {}).setdefault("options", _session)

# --- Broker, cache and rate budget ------------------------------------------------------------------------------------
REDIS_IS_EMBEDDED = not env.str("REDIS_URL", default="")
_redis = reader.redis("REDIS_URL", f"unix://{EMBEDDED_BROKER_SOCKET}")
REDIS_URL = _redis.client

CELERY_BROKER_URL = _redis.broker
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "licensehub.operations.processes.beat:Scheduler"
CELERY_TASK_QUEUES = queues.declared()
CELERY_TASK_DEFAULT_QUEUE = queues.DEFAULT
CELERY_TASK_ROUTES = queues.ROUTES
# A misspelled queue ends a worker, and does not become one that nobody fills.
CELERY_TASK_CREATE_MISSING_QUEUES = False
CELERY_TASK_IGNORE_RESULT = True
# No result is kept, so beat has none to remove. It may add no schedule for that: see `database.roles`.
CELERY_RESULT_EXPIRES = None
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SERIALIZER = "json"
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_MAX_TASKS_PER_CHILD = 500
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 10
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_SOFT_TIME_LIMIT = 240
CELERY_TASK_TIME_LIMIT = 300
# A killed worker's tasks must come back soon, but never while one of them can still be running.
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 600,
    "unacked_restore_interval": 10,
    "unacked_restore_throttle": 1,
    "socket_timeout": 30,
    "socket_keepalive": True,
    "health_check_interval": 25,
}
if _redis.broker.startswith("redis+socket"):
    # A Unix socket has no keep-alive.
    CELERY_BROKER_TRANSPORT_OPTIONS.pop("socket_keepalive")

# --- Keys -------------------------------------------------------------------------------------------------------------
# Never derived from SECRET_KEY: one leak must not open the others.
CREDENTIAL_KEYS = env.list("CREDENTIAL_KEYS", default=[])
APPROVAL_KEY = env.str("APPROVAL_KEY", default="")
AUDIT_KEY = env.str("AUDIT_KEY", default="")
# Former keys, which still check.
APPROVAL_KEY_FALLBACKS = env.list("APPROVAL_KEY_FALLBACKS", default=[])
AUDIT_KEY_FALLBACKS = env.list("AUDIT_KEY_FALLBACKS", default=[])
# Signs the messages of the broker, so that who can only write to the broker starts no task.
BROKER_KEY = env.str("BROKER_KEY", default="")

# --- Installation -----------------------------------------------------------------------------------------------------
# The same on all hosts of one installation, and another one for a copy of the database.
INSTANCE_ID = env.str("INSTANCE_ID", default="").strip()
INSTANCE_ID_FILE = Path(env.str("INSTANCE_ID_FILE", default=str(VAR_DIR / "instance-id")))
# Touched with each heartbeat of a worker or of beat, for a health check that asks nobody.
HEARTBEAT_FILE = env.str("HEARTBEAT_FILE", default="").strip()

# --- Connectors -------------------------------------------------------------------------------------------------------
# One line for each: kind -> class. docs/adding-a-connector.md says what else a connector needs.
CONNECTORS = {
    "miro_enterprise": "integrations.connectors.miro.connector.MiroConnector",
}
# The folder of a connector is an app, so that Django finds its commands.
INSTALLED_APPS += [path.rsplit(".", 2)[0] for path in CONNECTORS.values()]
# Kind -> name -> address, for a sandbox. A connector declares the vendor's addresses and the variables for them.
CONNECTOR_ADDRESSES: dict[str, dict[str, str]] = {}

# The network settings for calls to vendors. HTTPS_PROXY, REQUESTS_CA_BUNDLE and the like are not read.
VENDOR_PROXY = env.str("VENDOR_PROXY", default="").strip()
VENDOR_CA_BUNDLE = env.str("VENDOR_CA_BUNDLE", default="").strip()

# LicenseHub uses at most this percentage of what the vendor allows; the rest is for the customer's other tools.
RATE_SHARE = reader.percent("RATE_SHARE", 80)

# --- Decisions --------------------------------------------------------------------------------------------------------
# The number of days that a request waits for a decision, and the days that count.
REQUEST_WINDOW_DAYS = reader.days("REQUEST_WINDOW_DAYS", 3)
WORKING_DAYS = reader.weekdays("WORKING_DAYS", "mon,tue,wed,thu,fri")
HOLIDAYS = reader.dates("HOLIDAYS")
APPROVAL_VALIDITY = timedelta(days=7)
# People whom one account restores in 24 hours without a second person.
LONE_RESTORES_PER_DAY = reader.number("LONE_RESTORES_PER_DAY", 5)

# --- Past activity ----------------------------------------------------------------------------------------------------
# Every change of a subscription is kept for so many days. One point is kept of each older month.
SNAPSHOT_DAYS = reader.number("SNAPSHOT_DAYS", 400)
# Past activity is removed after so many months; 0 keeps it.
HISTORY_MONTHS = reader.number("HISTORY_MONTHS", 0)

# --- Privacy ----------------------------------------------------------------------------------------------------------
# People who left are erased after so many days; 0 keeps them.
GONE_PEOPLE_DAYS = reader.number("GONE_PEOPLE_DAYS", 0)
# Readers who may see no names see no department or cost center with fewer people; 0 shows all.
MIN_GROUP_SIZE = reader.number("MIN_GROUP_SIZE", 0)
# Files of lists that one account may export in an hour.
EXPORTS_PER_HOUR = reader.at_least_one("EXPORTS_PER_HOUR", 60)
# The file of a long evidence pack is removed after so many hours.
EVIDENCE_PACK_HOURS = reader.at_least_one("EVIDENCE_PACK_HOURS", 24)

# --- Security of the transport ----------------------------------------------------------------------------------------
# Plain HTTP is for loopback only; everything else sets HTTPS=on (the default without DEBUG).
HTTPS = reader.switch("HTTPS", not DEBUG)
SECURE_SSL_REDIRECT = HTTPS
if PUBLIC_URL.startswith("https://"):
    # The redirect to HTTPS leads there, and not to the port that a request names.
    SECURE_SSL_HOST = PUBLIC_URL.removeprefix("https://")
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
CSRF_COOKIE_HTTPONLY = True
SECURE_HSTS_SECONDS = reader.number("SECURE_HSTS_SECONDS", 31536000) if HTTPS else 0
# Both reach beyond this host: other hosts of the domain may not speak HTTPS, and a preload takes months to undo.
SECURE_HSTS_INCLUDE_SUBDOMAINS = reader.switch("SECURE_HSTS_INCLUDE_SUBDOMAINS", False) and HTTPS
SECURE_HSTS_PRELOAD = reader.switch("SECURE_HSTS_PRELOAD", False) and HTTPS
# They ask for both of the settings above.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
# How many proxies write into X-Forwarded-For, so which of its addresses is believed; 0: none of them.
PROXY_COUNT = 0
if reader.switch("BEHIND_PROXY", False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    PROXY_COUNT = reader.at_least_one("PROXY_COUNT", 1)

# Passkeys need HTTPS, or this machine.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not HTTPS

# docs/adr/0005-unfold-and-its-csp-exception.md says why 'unsafe-eval' and inline styles are allowed.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF, UNSAFE_EVAL],
        "style-src": [SELF, UNSAFE_INLINE],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    },
}

# --- Mail -------------------------------------------------------------------------------------------------------------
_mail = reader.mail("EMAIL_URL", "consolemail://")
_SMTP = "django.core.mail.backends.smtp.EmailBackend"
EMAIL_BACKEND = "licensehub.outbound.smtp.EmailBackend" if _mail["EMAIL_BACKEND"] == _SMTP else _mail["EMAIL_BACKEND"]
EMAIL_HOST, EMAIL_PORT = _mail["EMAIL_HOST"], _mail["EMAIL_PORT"]
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _mail["EMAIL_HOST_USER"], _mail["EMAIL_HOST_PASSWORD"]
EMAIL_USE_TLS, EMAIL_USE_SSL = _mail.get("EMAIL_USE_TLS", False), _mail.get("EMAIL_USE_SSL", False)
EMAIL_FILE_PATH = _mail["EMAIL_FILE_PATH"]
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="licensehub@localhost")
EMAIL_TIMEOUT = 20
# The mailbox to which mails come back: imaps://user:password@host:993/INBOX.
BOUNCE_MAILBOX_URL = env.str("BOUNCE_MAILBOX_URL", default="").strip()
# The contact for people who are asked whether they still need their license.
CONTACT_NAME = env.str("CONTACT_NAME", default="your IT department")
CONTACT_EMAIL = env.str("CONTACT_EMAIL", default="")

# --- Language and time ------------------------------------------------------------------------------------------------
# The language of sources, tasks and the database. `licensehub.site.middleware.language` chooses the one of a reader.
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
# For pages and mails to people whose language is not known.
DEFAULT_LANGUAGE = reader.one_of("DEFAULT_LANGUAGE", "en", [code for code, _ in LANGUAGES])
FORMAT_MODULE_PATH = ["licensehub.formats"]
# Named here, so that our translations come before those of Django and unfold, e.g. of "History".
LOCALE_PATHS = [BASE_DIR / area / "locale" for area in ("templates", "licensehub", "subscriptions")]
LOCALE_PATHS += [BASE_DIR.joinpath(*path.split(".")[:-2], "locale") for path in CONNECTORS.values()]
# Each person reads pages in their own: see licensehub.site.middleware.time_zone.
TIME_ZONE = reader.time_zone("TIME_ZONE", "UTC")
USE_TZ = True
USE_I18N = True

# --- Static files -----------------------------------------------------------------------------------------------------
STATIC_URL = "static/"
STATIC_ROOT = Path(env.str("STATIC_ROOT", default=str(VAR_DIR / "static")))
STATICFILES_DIRS = [BASE_DIR / "licensehub" / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# --- Logging ----------------------------------------------------------------------------------------------------------
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"no_links": {"()": "licensehub.logs.filters.RedactLinks"}},
    "formatters": {
        "console": {
            "()": "licensehub.operations.logs.TextFormatter",
            "fmt": "%(asctime)s %(levelname)s %(name)s %(message)s",
        },
        "json": {"()": "licensehub.operations.logs.JsonFormatter"},
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "console", "filters": ["no_links"]}},
    "root": {"handlers": ["console"], "level": reader.log_level("LOG_LEVEL", "INFO")},
    # At DEBUG, urllib3 writes addresses with their query, and httplib writes headers.
    # axes writes a line for each wrong password; the audit has them.
    "loggers": {
        "urllib3": {"level": "WARNING"},
        # As a warning, it writes the whole address of an answer with a wrong header.
        "urllib3.connection": {"level": "ERROR"},
        "celery.beat": {"level": "WARNING"},
        "axes": {"level": "ERROR"},
    },
}
