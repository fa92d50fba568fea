"""All settings, read from the environment and from the file `.env`. docs/configuration.md explains every variable."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

from csp.constants import NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE

from licensehub.environment import PlainEnv, Reader, words
from licensehub.site.theme import UNFOLD as UNFOLD

BASE_DIR = Path(__file__).resolve().parent.parent

env = PlainEnv()
PlainEnv.read_env(os.environ.get("LICENSEHUB_ENV_FILE", BASE_DIR / ".env"))
# A value that cannot be read is noted here, and licensehub/checks.py reports it in a sentence.
reader = Reader(env)
ENVIRONMENT_PROBLEMS = reader.problems

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
    # First: its commands take the place of Django's own of the same name, and write an event.
    "licensehub.audit",
    "unfold",
    "unfold.contrib.filters",
    "licensehub.sign_in",
    "django.contrib.admin",
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
    "licensehub.site",
]

AUTHENTICATION_BACKENDS = ["licensehub.site.middleware.time_zone.AccountBackend"]

MIDDLEWARE = [
    # First: a load balancer asks by IP address and over plain HTTP.
    "licensehub.site.middleware.health.HealthMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "licensehub.site.middleware.headers.AnswerMiddleware",
    "licensehub.site.middleware.readable.ReadableRequestMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
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
# On PostgreSQL, web and worker have users of their own, each with a DATABASE_URL. Only these commands act as the owner
# of the tables. docs/database-roles.md explains it.
OWNER_COMMANDS = ("migrate", "grant_roles", "sqlmigrate", "showmigrations", "erase_people")
OWNER_ACTS = len(sys.argv) > 1 and Path(sys.argv[0]).name == "manage.py" and sys.argv[1] in OWNER_COMMANDS
DATABASE_WEB_USER = env.str("DATABASE_WEB_USER", default="licensehub_web").strip()
DATABASE_WORKER_USER = env.str("DATABASE_WORKER_USER", default="licensehub_worker").strip()
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
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
CELERY_TASK_IGNORE_RESULT = True
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
# Signs the messages of the broker, so that who can only write to the broker starts no task.
BROKER_KEY = env.str("BROKER_KEY", default="")

# --- Audit ------------------------------------------------------------------------------------------------------------
# The last event of the audit, outside of the database: inside of it, a restore would put it back as well.
AUDIT_HEAD_FILE = Path(env.str("AUDIT_HEAD_FILE", default=str(VAR_DIR / "audit-head.json")))

# Anchors: the end of the audit, signed and kept outside. docs/anchors.md explains the destinations.
ANCHOR_KEYS = env.str("ANCHOR_KEYS", default="").strip()
ANCHOR_KEY_FILE = Path(env.str("ANCHOR_KEY_FILE", default=str(VAR_DIR / "anchor-keys")))
ANCHOR_FILE = Path(env.str("ANCHOR_FILE", default=str(AUDIT_HEAD_FILE.parent / "audit-anchors.jsonl")))
ANCHOR_MAIL_TO = env.list("ANCHOR_MAIL_TO", default=[])
ANCHOR_HTTPS_URL = env.str("ANCHOR_HTTPS_URL", default="").strip()
ANCHOR_HTTPS_TOKEN = env.str("ANCHOR_HTTPS_TOKEN", default="").strip()
ANCHOR_S3_BUCKET = env.str("ANCHOR_S3_BUCKET", default="").strip()
ANCHOR_S3_PREFIX = env.str("ANCHOR_S3_PREFIX", default="licensehub/").strip()
ANCHOR_S3_REGION = env.str("ANCHOR_S3_REGION", default="").strip()
ANCHOR_S3_ENDPOINT = env.str("ANCHOR_S3_ENDPOINT", default="").strip()
ANCHOR_S3_MODE = reader.one_of("ANCHOR_S3_MODE", "COMPLIANCE", ["COMPLIANCE", "GOVERNANCE"])
ANCHOR_S3_DAYS = reader.number("ANCHOR_S3_DAYS", 2557)  # seven years
ANCHOR_TSA_URL = env.str("ANCHOR_TSA_URL", default="").strip()
ANCHOR_TSA_CA_FILE = env.str("ANCHOR_TSA_CA_FILE", default="").strip()

# Streams: each event as a line of JSON, for a SIEM. docs/siem.md explains them.
AUDIT_STREAM_FILE = env.str("AUDIT_STREAM_FILE", default="").strip()
AUDIT_STREAM_STDOUT = reader.switch("AUDIT_STREAM_STDOUT", False)
AUDIT_STREAM_SYSLOG = env.str("AUDIT_STREAM_SYSLOG", default="").strip()
AUDIT_STREAM_HTTPS_URL = env.str("AUDIT_STREAM_HTTPS_URL", default="").strip()
AUDIT_STREAM_HTTPS_KEY = env.str("AUDIT_STREAM_HTTPS_KEY", default="").strip()
AUDIT_STREAM_FROM = reader.one_of("AUDIT_STREAM_FROM", "beginning", ["beginning", "now"])

# The network settings for anchors and streams. HTTPS_PROXY, REQUESTS_CA_BUNDLE and the like are not read.
AUDIT_PROXY = env.str("AUDIT_PROXY", default="").strip()
AUDIT_CA_BUNDLE = env.str("AUDIT_CA_BUNDLE", default="").strip()

# --- Installation -----------------------------------------------------------------------------------------------------
# The same on all hosts of one installation, and another one for a copy of the database.
INSTANCE_ID = env.str("INSTANCE_ID", default="").strip()
INSTANCE_ID_FILE = Path(env.str("INSTANCE_ID_FILE", default=str(VAR_DIR / "instance-id")))

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

# --- Past activity ----------------------------------------------------------------------------------------------------
# Every change of a subscription is kept for so many days. One point is kept of each older month.
SNAPSHOT_DAYS = reader.number("SNAPSHOT_DAYS", 400)

# --- Privacy ----------------------------------------------------------------------------------------------------------
# People who left are erased after so many days; 0 keeps them.
GONE_PEOPLE_DAYS = reader.number("GONE_PEOPLE_DAYS", 0)
# Readers who may see no names see no department or cost center with fewer people; 0 shows all.
MIN_GROUP_SIZE = reader.number("MIN_GROUP_SIZE", 0)

# --- Sign-in and sessions ---------------------------------------------------------------------------------------------
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
    {
        "NAME": "licensehub.sign_in.passwords.strength.StrengthValidator",
        "OPTIONS": {"words": "licensehub.site.accounts.password_words.of_company"},
    },
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
# A session ends after so many minutes without activity, and after so many hours in any case.
SESSION_IDLE_MINUTES = reader.at_least_one("SESSION_IDLE_MINUTES", 30)
SESSION_HOURS = reader.at_least_one("SESSION_HOURS", 8)
SESSION_COOKIE_AGE = SESSION_HOURS * 60 * 60
# Some acts ask who it is again, if that was confirmed longer ago. The list of these acts:
STEP_UP_MINUTES = reader.at_least_one("STEP_UP_MINUTES", 5)
STEP_UP_ACTS = "licensehub.site.step_up_acts.ACTS"
STEP_UP_PAGES = "licensehub.site.step_up_acts.WITH_PAGES"

# Wrong passwords before a pause, of one account and of one network address. docs/sign-in.md says how they are counted.
SIGN_IN_TRIES = reader.at_least_one("SIGN_IN_TRIES", 5)
SIGN_IN_TRIES_PER_ADDRESS = reader.at_least_one("SIGN_IN_TRIES_PER_ADDRESS", 30)
SIGN_IN_PAUSE_MINUTES = reader.at_least_one("SIGN_IN_PAUSE_MINUTES", 15)
# Passwords that one machine checks at the same time, and people who wait for that, each holding a thread.
PASSWORD_CHECKS = reader.at_least_one("PASSWORD_CHECKS", max(1, (os.cpu_count() or 1) // 2))
PASSWORD_CHECKS_WAITING = PASSWORD_CHECKS + 1
# Roles that need a second factor, separated by commas; `none` for nobody at all.
SECOND_FACTOR_ROLES = words(env.str("SECOND_FACTOR_ROLES", default="Company admin,Approver,Operator"))
# Who may do one of these needs it, too, by whichever role or single permission: decide, connect, send, administer.
SECOND_FACTOR_PERMISSIONS = (
    "subscriptions.decide_reclaimrequest",
    "subscriptions.raise_cap_reclaimrequest",
    "subscriptions.erase_person",
    "integrations.add_connection",
    "integrations.change_connection",
    "integrations.operate_integrationprofile",
    "integrations.stop_all_sending",
    "auth.add_user",
    "auth.change_user",
    "auth.add_group",
    "auth.change_group",
)
MFA_ADAPTER = "licensehub.sign_in.adapters.FactorAdapter"
MFA_FORMS = {"authenticate": "licensehub.sign_in.factors.forms.FactorForm"}
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_ALLOW_UNVERIFIED_EMAIL = True
ACCOUNT_ADAPTER = "licensehub.sign_in.adapters.AccountAdapter"
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_PREVENT_ENUMERATION = False
ACCOUNT_REAUTHENTICATION_TIMEOUT = STEP_UP_MINUTES * 60
# axes counts wrong codes, as it counts wrong passwords, in the database. allauth would count in each process.
ACCOUNT_RATE_LIMITS = False
MFA_RATE_LIMITS = False

# Single sign-on. Without an address there is none.
SSO_NAME = env.str("SSO_NAME", default="single sign-on").strip()
SSO_OIDC_URL = env.str("SSO_OIDC_URL", default="").strip()
SSO_OIDC_CLIENT_ID = env.str("SSO_OIDC_CLIENT_ID", default="").strip()
SSO_OIDC_SECRET = env.str("SSO_OIDC_SECRET", default="").strip()
SSO_OIDC_SCOPES = words(env.str("SSO_OIDC_SCOPES", default="openid,profile,email"))
SSO_SAML_URL = env.str("SSO_SAML_URL", default="").strip()
SSO_SAML_ENTITY_ID = env.str("SSO_SAML_ENTITY_ID", default="").strip()
SSO_SAML_CERTIFICATE = reader.text_or_file("SSO_SAML_CERTIFICATE")
SSO_SAML_SECURITY = {
    "strict": True,
    "want_assertion_signed": True,
    "reject_idp_initiated_sso": True,
    # Names without a dot are common inside of a company.
    "allow_single_label_domains": True,
}
SSO_ROLES_CLAIM = env.str("SSO_ROLES_CLAIM", default="groups").strip()
# Group of the provider -> roles here.
SSO_ROLES = reader.mapping("SSO_ROLES")
# Whether the provider's sign-on counts as the second factor.
SSO_IS_ENOUGH = reader.switch("SSO_IS_ENOUGH", False)
# off: nobody but BREAK_GLASS_ACCOUNTS signs in with a password or a passkey.
LOCAL_ACCOUNTS = reader.switch("LOCAL_ACCOUNTS", True)
BREAK_GLASS_ACCOUNTS = words(env.str("BREAK_GLASS_ACCOUNTS", default=""))
SOCIALACCOUNT_ADAPTER = "licensehub.site.accounts.sso.SiteSocialAdapter"
SOCIALACCOUNT_LOGIN_ON_GET = True
SOCIALACCOUNT_EMAIL_VERIFICATION = "none"
SOCIALACCOUNT_EMAIL_AUTHENTICATION = False
SOCIALACCOUNT_STORE_TOKENS = False
SOCIALACCOUNT_PROVIDERS = {
    "openid_connect": {
        "OAUTH_PKCE_ENABLED": True,
        "SCOPE": SSO_OIDC_SCOPES,
        "APPS": [
            {
                "provider_id": "oidc",
                "name": SSO_NAME,
                "client_id": SSO_OIDC_CLIENT_ID,
                "secret": SSO_OIDC_SECRET,
                "settings": {"server_url": SSO_OIDC_URL},
            }
        ]
        if SSO_OIDC_URL
        else [],
    },
    "saml": {
        "APPS": [
            {
                "provider_id": "saml",
                "client_id": "saml",
                "name": SSO_NAME,
                "settings": {
                    "idp": {
                        "entity_id": SSO_SAML_ENTITY_ID,
                        "sso_url": SSO_SAML_URL,
                        "x509cert": SSO_SAML_CERTIFICATE,
                    },
                    "advanced": SSO_SAML_SECURITY,
                },
            }
        ]
        if SSO_SAML_URL
        else [],
    },
}
AXES_HANDLER = "licensehub.sign_in.passwords.guessing.Guessing"
AXES_LOCKOUT_PARAMETERS = ["username", "ip_address"]
# Never reached: the handler has a limit for accounts and one for addresses.
AXES_FAILURE_LIMIT = 1_000_000_000
AXES_COOLOFF_TIME = timedelta(minutes=SIGN_IN_PAUSE_MINUTES)
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_RESET_ON_SUCCESS = True
AXES_CLIENT_IP_CALLABLE = "licensehub.sign_in.addresses.counted_address"
AXES_USERNAME_CALLABLE = "licensehub.sign_in.passwords.guessing.counted_name"
AXES_LOCKOUT_CALLABLE = "licensehub.sign_in.passwords.guessing.lockout_page"
AXES_DISABLE_ACCESS_LOG = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False

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
EMAIL_BACKEND = _mail["EMAIL_BACKEND"]
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
# Each person reads pages in their own: see licensehub.site.middleware.time_zone.
TIME_ZONE = reader.time_zone("TIME_ZONE", "UTC")
USE_TZ = True
USE_I18N = True

# --- Static files -----------------------------------------------------------------------------------------------------
STATIC_URL = "static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "licensehub" / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# --- Logging ----------------------------------------------------------------------------------------------------------
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"no_links": {"()": "licensehub.logging_filters.RedactLinks"}},
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["no_links"]}},
    "root": {"handlers": ["console"], "level": reader.log_level("LOG_LEVEL", "INFO")},
    # At DEBUG, urllib3 writes addresses with their query, and httplib writes headers.
    # axes writes a line for each wrong password; the audit has them.
    "loggers": {"urllib3": {"level": "WARNING"}, "celery.beat": {"level": "WARNING"}, "axes": {"level": "ERROR"}},
}
