"""The table of every address of LicenseHub, by role and method: who is meant to get through.

`C` Company admin, `M` License manager, `A` Approver, `U` Auditor, `O` Operator, `S` superuser, `N` an account without a
role, `_` nobody is signed in. A letter means that the role gets through: to the page, or to an answer of the act, e.g.
that it is too late. Everybody else gets a 403, a 405, or the sign-in.
"""

from __future__ import annotations

ROLES = {
    "C": "Company admin",
    "M": "License manager",
    "A": "Approver",
    "U": "Auditor",
    "O": "Operator",
    "S": "superuser",
    "N": "",
    "_": None,
}
SIGNED_IN, EVERYBODY, NOBODY = "CMAUOSN", "CMAUOSN_", ""

# Lists -> who reads the list, its exports and one row of it, and stores views of it.
LISTS = {
    "audit_auditevent": "CUS",
    "auth_group": "S",
    "auth_user": "CUS",
    "integrations_connection": "CUOS",
    "integrations_integrationprofile": "CMAUOS",
    "subscriptions_downloadrun": "CMAUOS",
    "subscriptions_persontoreview": "CMAUS",
    "subscriptions_price": "CMAUS",
    "subscriptions_protection": "CMAUS",
    "subscriptions_reclaim": "CMAUS",
    "subscriptions_reclaimrequest": "CMAUS",
    "subscriptions_reclaimrule": "CMAUS",
    "subscriptions_reconciliation": "CMAUS",
    "subscriptions_removalcandidate": "CMAUS",
    "subscriptions_rightschange": "CAUS",
    "subscriptions_subscription": "CMAUS",
}
READ = ("changelist", "counts", "export", "export_shown", "views", "columns", "history", "change")
# Nobody adds, changes or deletes in Django's forms, unless the table says so.
CLOSED = ("add", "delete")

# Address, who gets through by GET, and by POST; `.` is nobody, `*` everybody who is signed in, `**` everybody.
ACTS = """
/                                                       **        **
favicon.ico                                             **        **
my_license                                              **        **
company_logo                                            **        .
welcome                                                 **        **
mfa_index                                               **        **
mfa_list_webauthn                                       **        **
socialaccount_connections                               **        **
account_reauthenticate                                  **        **
mfa_reauthenticate                                      **        **
mfa_reauthenticate_webauthn                             **        **
find                                                    *         *
search                                                  *         *
index                                                   *         *
go_on                                                   *         *
login                                                   **        **
logout                                                  _         **
password_change                                         *         *
password_change_done                                    *         .
autocomplete                                            .         .
jsi18n                                                  *         .
view_on_site                                            *         *
integrations_connection_callback                        *         *
integrations_connection_credentials                     .         COS
integrations_connection_connect                         .         COS
integrations_connection_disconnect                      .         COS
integrations_webhook_changelist                         CUS       CUS
integrations_webhook_add                                CS        CS
integrations_webhook_change                             CUS       CUS
integrations_webhook_edit                               CS        CS
integrations_webhook_secret                             .         CS
integrations_webhook_live                               CUS       CUS
integrations_webhook_replay_period                      .         CS
integrations_webhook_action test                        .         CS
integrations_webhook_action on                          .         CS
integrations_webhook_action off                         .         CS
integrations_webhook_action delete                      .         CS
integrations_webhook_delivery                           CUS       CUS
integrations_webhook_replay                             .         CS
subscriptions_rightschange_confirm                      CAUS      CAUS
subscriptions_rightschange_refuse                       CAUS      CAUS
subscriptions_rightschange_withdraw                     CAUS      CAUS
subscriptions_reclaimrequest_approve                    A         A
subscriptions_reclaimrequest_reject                     A         A
subscriptions_reclaimrequest_raise_cap                  A         A
subscriptions_reclaimrequest_withdraw                   A         A
subscriptions_reclaimrequest_drop                       A         A
subscriptions_reclaimrequest_take_back                  A         A
subscriptions_reclaimrequest_take_back_in               A         A
subscriptions_reclaimrequest_progress                   CMAUS     CMAUS
subscriptions_reclaimrequest_dry_run                    CMAS      CMAS
subscriptions_reclaimrequest_evidence_pack              .         CUS
subscriptions_reclaimrequest_people                     CMAUS     CMAUS
subscriptions_removalcandidate_resume                   CMS       CMS
subscriptions_removalcandidate_leave                    CMS       CMS
subscriptions_removalcandidate_came_back                CMS       CMS
subscriptions_removalcandidate_send_again               CMS       CMS
subscriptions_company_changelist                        CMAUS     CS
subscriptions_company_preview                           .         CMAUS
subscriptions_downloadrun_progress                      CMAUOS    CMAUOS
subscriptions_downloadrun_live                          CMAUOS    CMAUOS
subscriptions_downloadrun_decide propose                .         COS
subscriptions_downloadrun_decide accept                 .         COS
subscriptions_downloadrun_decide discard                .         COS
subscriptions_contract_changelist                       CMAUS     CMAUS
subscriptions_contract_edit                             CS        CS
subscriptions_contract_floors                           .         CS
subscriptions_contract_export                           CMAUS     CMAUS
subscriptions_savings                                   CMAUS     CMAUS
subscriptions_savings_export                            CMAUS     CMAUS
subscriptions_price_withdraw                            .         CS
subscriptions_price_add                                 CS        CS
subscriptions_notificationchoice_changelist             *         *
subscriptions_notificationchoice_save                   .         *
subscriptions_notificationchoice_time_zone              .         *
subscriptions_notificationchoice_language               .         *
subscriptions_notificationchoice_deputy                 .         *
subscriptions_notificationchoice_end_deputy             .         *
integrations_integrationprofile_action publish          .         COS
integrations_integrationprofile_action pause            .         COS
integrations_integrationprofile_action unpause          .         COS
integrations_integrationprofile_action stop             .         COS
integrations_integrationprofile_action allow            .         COS
integrations_integrationprofile_action reclaim_on       .         COS
integrations_integrationprofile_action download         .         COS
integrations_integrationprofile_action reclaim          .         COS
integrations_integrationprofile_release                .         COS
integrations_integrationprofile_validate                .         COS
integrations_integrationprofile_dry_run                 COS       COS
integrations_integrationprofile_due                     CMAUOS    CMAUOS
integrations_integrationprofile_archive                 COS       COS
integrations_integrationprofile_schedule download       CMAUOS    COS
integrations_integrationprofile_schedule reclaim        CMAUOS    COS
integrations_integrationprofile_add                     COS       COS
integrations_integrationprofile_change                  CMAUOS    COS
subscriptions_reclaim_vendor_log                        CMAUS     .
subscriptions_reclaim_live                              CMAUS     CMAUS
subscriptions_reclaim_restore                           CMS       CMS
subscriptions_reconciliation_reconcile                  .         CMOS
subscriptions_reconciliation_live                       CMAUS     CMAUS
integrations_checkresult_changelist                     COS       COS
integrations_checkresult_live                           COS       COS
integrations_checkresult_doctor                         .         COS
integrations_checkresult_mail                           .         COS
integrations_sendingcontrol_changelist                  CMAUOS    CMAUOS
integrations_sendingcontrol_action stop                 .         COS
integrations_sendingcontrol_action allow                .         COS
integrations_sendingcontrol_action release              .         COS
subscriptions_monthlyreport_changelist                  CMAUS     CS
subscriptions_monthlyreport_export                      CMAUS     CMAUS
subscriptions_subscription_evidence_pack                .         CUS
subscriptions_subscription_personal_data               .         CS
subscriptions_subscription_erase                       .         CS
subscriptions_subscription_request                      .         CMS
subscriptions_persontoreview_keep                       CMS       CMS
subscriptions_persontoreview_candidates                 CMS       CMS
subscriptions_persontoreview_ask                        CMS       CMS
subscriptions_persontoreview_protect                    CMS       CMS
subscriptions_persontoreview_look_up                    CMS       CMS
subscriptions_persontoreview_change                     CMAUS     CMAUS
subscriptions_protection_protect                        CMS       CMS
subscriptions_protection_protect_many                   CMS       CMS
subscriptions_protection_accept_loss                    CMS       CMS
subscriptions_protection_end                            CMS       CMS
subscriptions_protection_add                            CMS       CMS
subscriptions_reclaimrule_preview                       CMAUS     CMAUS
subscriptions_reclaimrule_change                        CMAUS     CMS
audit_auditevent_evidence                              CUS       CUS
audit_auditevent_evidence_pack                         .         CUS
audit_auditevent_pack                                  CUS       CUS
audit_auditevent_pack_live                             CUS       CUS
audit_auditevent_pack_file                             CUS       CUS
audit_auditevent_verifier                              CUS       CUS
audit_auditevent_verify                                 .         CUS
auth_group_add                                          S         S
auth_group_change                                       S         S
auth_user_person                                        CS        CS
auth_user_invite                                        .         CS
auth_user_password_change                               CS        CS
auth_user_add                                           CS        CS
auth_user_change                                        CUS       CS
^admin/(?:audit|auth|integrations|subscriptions)/$      **        **
all_api_tokens                                          CS        CS
app_list                                                **        **
admin/(?P<url>.*)$                                      *         *
"""

# Pages of the own account: whoever is signed in reaches their own, and nobody else gets there. Not by role.
OWN = (
    *("api_tokens", "end_api_token"),
    *("security", "end_sessions", "factors", "sso_link", "sso_unlink"),
    *("mfa_activate_totp", "mfa_deactivate_totp", "mfa_view_recovery_codes", "mfa_generate_recovery_codes"),
    *("mfa_add_webauthn", "mfa_remove_webauthn"),
)
# The sign-in itself, which has no role yet: `tests/licensehub/sign_in` and `tests/attacks` ask it.
SIGN_IN = (
    *("account_login", "account_inactive", "sign_in_cancel", "mfa_authenticate", "mfa_login_webauthn"),
    *("openid_connect_login", "openid_connect_callback"),
    *("saml_login", "saml_acs", "saml_finish_acs", "saml_metadata", "saml_sls"),
    *("socialaccount_login_cancelled", "socialaccount_login_error", "socialaccount_signup"),
)

# What concerns the whole company is closed to accounts whose roles hold for some profiles only. Everything else is open
# to them, with the rows of their profiles only.
COMPANY = (
    *("audit_auditevent", "auth_user", "auth_group", "subscriptions_rightschange"),
    *("subscriptions_company", "subscriptions_monthlyreport", "integrations_sendingcontrol_action"),
    *("subscriptions_subscription_personal_data", "subscriptions_subscription_erase"),
    *("integrations_integrationprofile_add", "integrations_checkresult"),
)

# Evidence packs have the rows and events of these profiles: `tests/attacks/audit/test_scoped_packs.py`.
OPEN = ("audit_auditevent_evidence", "audit_auditevent_pack")


def acts() -> dict[str, tuple[str, str]]:
    """Address -> the roles that get through by GET and by POST."""
    words = {".": NOBODY, "*": SIGNED_IN, "**": EVERYBODY}
    lines = [line.rsplit(maxsplit=2) for line in ACTS.strip().splitlines()]
    return {name.strip(): (words.get(get, get), words.get(post, post)) for name, get, post in lines}


def meant(name: str, table: dict[str, tuple[str, str]]) -> tuple[str, str] | None:
    """The roles that get through by GET and by POST; None for an address that nobody has decided about."""
    if name in table:
        return table[name]
    if name in OWN:
        return SIGNED_IN, SIGNED_IN
    if name.startswith("api:"):  # a session says nobody there; `tests/licensehub/api` asks by role of the token
        letters = EVERYBODY if name in ("api:openapi-json", "api:api-root") else NOBODY  # the document, and a 404
        return letters, letters
    if name in SIGN_IN:
        return EVERYBODY, EVERYBODY
    if name.endswith("/<path:object_id>/"):  # Django's redirect to the page of the row, which then asks
        return SIGNED_IN, SIGNED_IN
    of_list, _, view = name.rpartition("_")
    if of_list.endswith(("export", "save")):
        of_list, view = of_list.rpartition("_")[0], f"{of_list.rpartition('_')[2]}_{view}"
    if of_list not in LISTS:
        return None
    readers = LISTS[of_list]
    if view == "change":
        return readers, NOBODY
    if view == "save_view":
        return NOBODY, readers
    if view in CLOSED:
        return NOBODY, NOBODY
    return (readers, readers) if view in READ else None
