"""The acts for which a person confirms who they are: to decide, to connect, to raise caps, to grant rights, and more.

A new act of this kind is a line here. `tests/licensehub/site/test_step_up_acts.py` has the list of all addresses that
take a POST, so a new address needs a decision.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final


def always(arguments: Mapping[str, Any]) -> bool:
    return True


def when(name: str, *values: str) -> Callable[[Mapping[str, Any]], bool]:
    """Only where this part of the path has one of these values."""
    return lambda arguments: arguments.get(name) in values


# Acts that begin with a page to read.
WITH_PAGES: Final = frozenset(
    {
        "mfa_activate_totp",
        "mfa_deactivate_totp",
        "mfa_add_webauthn",
        "mfa_remove_webauthn",
        "mfa_view_recovery_codes",
        "mfa_generate_recovery_codes",
        "sso_link",
    }
)

# Acts that a confirmation of some minutes ago does not cover: what they make works for months, and elsewhere.
EACH_TIME: Final = frozenset({"api_tokens"})

ACTS: Final[Mapping[str, Callable[[Mapping[str, Any]], bool]]] = {
    # Decide.
    "admin:subscriptions_reclaimrequest_approve": always,
    "admin:subscriptions_downloadrun_decide": when("name", "accept"),
    # Raise caps: of one request, and in the rule.
    "admin:subscriptions_reclaimrequest_raise_cap": always,
    "admin:subscriptions_reclaimrule_change": always,
    # Connect.
    "admin:integrations_connection_credentials": always,
    "admin:integrations_connection_connect": always,
    # Send to another address outside, or with another secret.
    "admin:integrations_webhook_add": always,
    "admin:integrations_webhook_edit": always,
    "admin:integrations_webhook_secret": always,
    # Confirm a backup, and let sending begin.
    "admin:integrations_sendingcontrol_action": when("action", "release", "allow"),
    "admin:integrations_integrationprofile_release": always,
    # Grant rights: roles, passwords, and who an account is.
    "admin:auth_user_add": always,
    "admin:auth_user_change": always,
    "admin:auth_user_password_change": always,
    "admin:auth_user_invite": always,
    "admin:auth_user_person": always,
    "admin:subscriptions_rightschange_confirm": always,
    "admin:auth_group_add": always,
    "admin:auth_group_change": always,
    # Give a program the rights of an account, or take them away again.
    "api_tokens": always,
    "end_api_token": always,
    "all_api_tokens": always,
    # Erase what is held on a person.
    "admin:subscriptions_subscription_erase": always,
    # Take away a long evidence pack, which has lain ready for hours.
    "admin:audit_auditevent_pack_file": always,
    # Ways into the own account. Their pages ask, too, since they show secrets.
    "mfa_activate_totp": always,
    "mfa_deactivate_totp": always,
    "mfa_add_webauthn": always,
    "mfa_remove_webauthn": always,
    "mfa_view_recovery_codes": always,
    "mfa_generate_recovery_codes": always,
    "sso_link": always,
    "sso_unlink": always,
}
