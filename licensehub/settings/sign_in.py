"""The settings of sign-in, sessions, second factor and single sign-on, with those of axes and allauth."""

from __future__ import annotations

import os
from datetime import timedelta

from licensehub.environment import words
from licensehub.settings.base import env, reader

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
SESSION_ENGINE = "licensehub.sign_in.sessions.store"
# Some acts ask who it is again, if that was confirmed longer ago. The list of these acts:
STEP_UP_MINUTES = reader.at_least_one("STEP_UP_MINUTES", 5)
STEP_UP_ACTS = "licensehub.site.step_up_acts.ACTS"
STEP_UP_PAGES = "licensehub.site.step_up_acts.WITH_PAGES"
STEP_UP_EACH_TIME = "licensehub.site.step_up_acts.EACH_TIME"

# Wrong passwords before a pause, of one account and of one network address. docs/sign-in.md says how they are counted.
SIGN_IN_TRIES = reader.at_least_one("SIGN_IN_TRIES", 5)
SIGN_IN_TRIES_PER_ADDRESS = reader.at_least_one("SIGN_IN_TRIES_PER_ADDRESS", 30)
SIGN_IN_PAUSE_MINUTES = reader.at_least_one("SIGN_IN_PAUSE_MINUTES", 15)
# Passwords that one machine checks at the same time, and people who wait for that, each holding a thread.
PASSWORD_CHECKS = reader.at_least_one("PASSWORD_CHECKS", max(1, (os.cpu_count() or 1) // 2))
PASSWORD_CHECKS_WAITING = PASSWORD_CHECKS + 1
# Roles that need a second factor, separated by commas; `none` for nobody at all.
SECOND_FACTOR_ROLES = words(env.str("SECOND_FACTOR_ROLES", default="Company admin,Approver,Operator"))
# Accounts that may do one of these need it, too, by any role or permission: decide, connect, send, administer.
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
MFA_FORMS = {
    "authenticate": "licensehub.sign_in.factors.forms.FactorForm",
    "authenticate_webauthn": "licensehub.sign_in.factors.passkeys.PasskeyForm",
    "login_webauthn": "licensehub.sign_in.factors.passkeys.PasskeyLoginForm",
}
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
