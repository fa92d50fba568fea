"""The rights of the runtime roles of PostgreSQL, table by table: what `manage.py grant_roles` grants.

The owner of the tables runs migrations and nothing else. `web`, `worker` and `beat` get the rights below, and no other:
no DDL, no TRUNCATE, no DELETE where the application deletes nothing, and UPDATE only for the columns that the
application changes. So a hole in a page cannot rewrite the audit, and a worker cannot make an account.

A right on a table of our own is declared here by hand. A test tries each forbidden statement as each role, and runs the
whole job as them. docs/database-roles.md explains how to set it up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from django.apps import apps
from django.conf import settings
from django.db import models

MIGRATIONS: Final = "django_migrations"
ALL: Final = "*"


class Role(StrEnum):
    WEB = "web"
    WORKER = "worker"
    BEAT = "beat"

    @property
    def user(self) -> str:
        """Its user in the database."""
        return str(getattr(settings, f"DATABASE_{self.name}_USER"))


@dataclass(frozen=True, slots=True)
class Rights:
    """The rights on one table beside SELECT. `changes` are the columns of UPDATE; ALL without those in `fixed`."""

    insert: bool = False
    changes: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    delete: bool = False
    select: bool = True

    def columns(self, model: type[models.Model]) -> frozenset[str]:
        """The columns that may change. Raises LookupError for a name that the table does not have."""
        known = {field.column for field in model._meta.local_concrete_fields if field.column}
        if unknown := ({*self.changes, *self.fixed} - {ALL}) - known:
            raise LookupError(f"{model._meta.db_table} has no column {', '.join(sorted(unknown))}.")
        if ALL not in self.changes:
            return frozenset(self.changes)
        return frozenset(known - {*self.fixed, model._meta.pk.column or ""})


def _all_but(*fixed: str, delete: bool = False, insert: bool = True) -> Rights:
    return Rights(insert=insert, changes=(ALL,), fixed=fixed, delete=delete)


def _changes(*columns: str, delete: bool = False, insert: bool = True) -> Rights:
    return Rights(insert=insert, changes=columns, delete=delete)


NOTHING: Final = Rights(select=False)
READ: Final = Rights()
ADD: Final = Rights(insert=True)
# Add and remove: rows that are derived from others, and made again.
ADD_AND_REMOVE: Final = Rights(insert=True, delete=True)
EVERYTHING: Final = _all_but(delete=True)

# Facts and lists that are derived from downloads.
_FACTS: Final = ("profile_id", "external_id", "first_run_id")
_RUN: Final = ("profile_id", "slot", "started_by", "started_by_user_id", "started_at")
_ITEM: Final = ("profile_id", "subscription_id", "removal_id", "direction", "license", "queued_at", "signature")
_REQUEST: Final = ("direction", "profile_id", "requested_by_id", "requested_at", "reason", "repeats_id")
_PERSON: Final = ("request_id", "candidate_id", "evidence", "restores_id")
_CANDIDATE: Final = ("profile_id", "subscription_id", "created_at")
# Only the step of a download that writes the texts of the lists changes them.
_COPIES: Final = ("person_text", "person_department", "person_cost_center")
_PROTECTION: Final = ("external_id", "ended_by_id", "ended_at", "covered", "lost_at")
_PACK: Final = (
    *("state", "token", "lease_until", "tries", "problem"),
    *("name", "digest", "as_of", "size", "ends_at"),
)
_DELIVERY: Final = ("webhook_id", "event_id", "event", "profile_id", "occurred_at", "content")
_HOOK: Final = (
    *("state", "state_changed_at", "failing_since", "failures", "next_try_at", "delivered_at", "error"),
    "ciphertext",
)
_TOKENS: Final = (
    *("ciphertext", "state", "state_changed_at", "error", "unanswered_since", "learned"),
    *("expires_at", "refresh_at", "refresh_lease", "refresh_lease_until"),
)
_FOUND: Final = (
    *("organization_name", "plan", "validated_at", "validated_by_id", "findings", "activity_doubted_at"),
    *("download_due_at", "download_due_by_id", "reconcile_due_by_id", "held_at", "held_why"),
    *("lost_answers", "lost_answers_held_at", "lost_answers_held_until"),
)

# Table -> the rights of web and of worker.
TABLES: Final[Mapping[str, tuple[Rights, Rights]]] = {
    # The audit only grows. Its chain has one head, which each event moves.
    "audit_auditevent": (ADD, ADD),
    "audit_chainhead": (_changes("sequence", "hash", insert=False), _changes("sequence", "hash", insert=False)),
    "audit_storedanchor": (_changes("time_stamp"), _changes("time_stamp")),
    "audit_destination": (_all_but(), _all_but()),
    # Accounts are the pages'. The worker lets a change of an account take effect that has waited long enough.
    "auth_user": (_all_but(), _changes("email", "password", "is_superuser", insert=False)),
    "subscriptions_rightschange": (_all_but("account_id", "kind", "asked_by_id", "asked_at"),) * 2,
    "subscriptions_decidingright": (_all_but(), _all_but()),
    "auth_group": (_changes("name", delete=True), READ),
    "auth_user_groups": (ADD_AND_REMOVE, READ),
    "auth_user_user_permissions": (ADD_AND_REMOVE, READ),
    "auth_group_permissions": (ADD_AND_REMOVE, READ),
    # The worker narrows or widens it where a change has waited long enough.
    "integrations_accountscope": (ADD_AND_REMOVE, ADD_AND_REMOVE),
    "integrations_accountscope_profiles": (ADD_AND_REMOVE, ADD_AND_REMOVE),
    "auth_permission": (READ, READ),
    "django_content_type": (READ, READ),
    "django_session": (EVERYTHING, NOTHING),
    "sign_in_accountsession": (_all_but("user_id", "started_at", delete=True), NOTHING),
    # A worker ends the sessions of an account without reading any: it counts on.
    "sign_in_sessiongeneration": (_changes("number"), _changes("number")),
    "sign_in_signincount": (_all_but(delete=True), NOTHING),
    "sign_in_serviceaccount": (_changes("holders"), READ),
    # What a token may do never changes. Its role is cleared when the role is deleted.
    # A worker notes the mails about it.
    "sign_in_apitoken": (
        _changes("used_at", "used_from", "ended_at", "ended_by_id", "role_id"),
        _changes("told_at", "warned_days", insert=False),
    ),
    # The answers of a day of calls with an Idempotency-Key.
    "api_idempotentcall": (_changes("status", "body", delete=True), NOTHING),
    "django_admin_log": (ADD, NOTHING),
    # The providers of single sign-on are in the settings.
    "socialaccount_socialapp": (READ, NOTHING),
    "ui_listcolumns": (EVERYTHING, READ),
    "ui_savedview": (EVERYTHING, READ),
    # Connections: a worker refreshes tokens and finds errors; nothing else of them.
    "integrations_integrationprofile": (_all_but("kind"), _changes(*_FOUND, insert=False)),
    "integrations_sendingcontrol": (_all_but(insert=False), _changes("held_at", "held_why", insert=False)),
    "integrations_installation": (_all_but(insert=False), _all_but(insert=False)),
    "integrations_installationfinding": (EVERYTHING, EVERYTHING),
    # Only a worker says how the installation is, so that who controls a web process can hide nothing.
    "integrations_heartbeat": (READ, EVERYTHING),
    "integrations_taskrun": (READ, ADD_AND_REMOVE),
    "integrations_checkresult": (READ, EVERYTHING),
    "integrations_mailtrial": (ADD, _changes("ended_at", "problem", insert=False)),
    "integrations_connection": (_all_but("profile_id", "slot"), _changes(*_TOKENS, insert=False)),
    "integrations_connectattempt": (_changes("used_at", delete=True), READ),
    # A page makes webhooks; a worker notes how they work. Either writes what is to be sent.
    "integrations_webhook": (_all_but("format", "created_by_id", delete=True), _changes(*_HOOK, insert=False)),
    "integrations_webhook_profiles": (ADD_AND_REMOVE, READ),
    "integrations_webhookdelivery": (_all_but(*_DELIVERY, delete=True),) * 2,
    # Downloads, and what is made of them. A page accepts a download, and looks up single people.
    "subscriptions_downloadrun": (_all_but(*_RUN), _all_but(*_RUN)),
    "subscriptions_downloadedmember": (EVERYTHING, EVERYTHING),
    "subscriptions_downloadedperson": (EVERYTHING, EVERYTHING),
    "subscriptions_soleteamadmin": (EVERYTHING, EVERYTHING),
    "subscriptions_subscription": (_all_but(*_FACTS), _all_but(*_FACTS)),
    "subscriptions_searchtext": (EVERYTHING, EVERYTHING),
    "subscriptions_evaluation": (EVERYTHING, EVERYTHING),
    # Only the owner erases: `manage.py erase_people`.
    "subscriptions_erasure": (_changes("problem"), _changes("problem")),
    # A page asks for a pack, a worker makes it, and either removes its file.
    "subscriptions_evidencepack": (_changes("state", "problem"), _changes(*_PACK, insert=False)),
    "subscriptions_evidencepackpart": (Rights(delete=True), ADD_AND_REMOVE),
    "subscriptions_activitysnapshot": (_all_but("subscription_id", "run_id", delete=True),) * 2,
    "subscriptions_rechecksnapshot": (ADD, ADD_AND_REMOVE),
    "subscriptions_bucket": (EVERYTHING, EVERYTHING),
    "subscriptions_pastbucket": (EVERYTHING, EVERYTHING),
    "subscriptions_countdue": (EVERYTHING, EVERYTHING),
    "subscriptions_verifiedseats": (EVERYTHING, EVERYTHING),
    "subscriptions_candidateseats": (READ, ADD_AND_REMOVE),
    # Decisions. What was asked, of whom and on which evidence never changes.
    "subscriptions_removalcandidate": (_all_but(*_CANDIDATE, *_COPIES), _all_but(*_CANDIDATE)),
    "subscriptions_reclaimrequest": (_all_but(*_REQUEST), _all_but(*_REQUEST)),
    "subscriptions_requestedremoval": (_all_but(*_PERSON), _all_but(*_PERSON)),
    "subscriptions_reclaim": (_all_but(*_ITEM), _all_but(*_ITEM)),
    # A worker moves those of an archived profile to the new profile of its organization.
    "subscriptions_protection": (_changes(*_PROTECTION), _changes(*_PROTECTION, "profile_id", insert=False)),
    "subscriptions_reclaimrule": (
        _all_but("profile_id"),
        _changes("evaluation_due_at", "evaluation_lease_until", "evaluated_at", insert=False),
    ),
    "subscriptions_licensethreshold": (ADD_AND_REMOVE, READ),
    # Mails and pages for people.
    "subscriptions_notice": (_all_but("removal_id", "kind"), _all_but("removal_id", "kind")),
    "subscriptions_notification": (_changes("ended_at", "raised_at"),) * 2,
    "subscriptions_notificationmail": (_all_but("user_id", "digest_on", "created_at"),) * 2,
    "subscriptions_notificationrecipient": (_changes("mail_id", delete=True),) * 2,
    "subscriptions_notificationchoice": (EVERYTHING, READ),
    "subscriptions_deputy": (_changes("ended_at"), READ),
    # Settings and figures.
    "subscriptions_accountsettings": (_all_but(), READ),
    "subscriptions_accountperson": (EVERYTHING, _all_but()),
    "subscriptions_company": (_all_but(), READ),
    "subscriptions_reportsettings": (_all_but(), READ),
    "subscriptions_price": (_changes("withdrawn_at", "withdrawn_by_id", "withdrawn_reason"), READ),
    "subscriptions_contract": (_all_but(), READ),
    "subscriptions_seatfloor": (_all_but("profile_id", delete=True), READ),
    "subscriptions_monthlyreport": (READ, ADD),
    "subscriptions_reconciliation": (_all_but(), _all_but()),
}
# Tables of libraries that are not named above: sign-in and schedules are the pages', and a worker reads schedules.
LIBRARY: Final = (EVERYTHING, NOTHING)
SCHEDULES: Final = (EVERYTHING, READ)
# Beat reads schedules, notes when a task ran last, and keeps its heartbeat. It sees no other table.
BEAT: Final[Mapping[str, Rights]] = {
    "django_celery_beat_periodictask": _changes("last_run_at", "total_run_count", insert=False),
    "django_celery_beat_periodictasks": READ,
    "django_celery_beat_crontabschedule": READ,
    "django_celery_beat_intervalschedule": READ,
    "django_celery_beat_clockedschedule": READ,
    "integrations_heartbeat": _changes("host", "version", "queues", "facts", "seen_at", delete=True),
}
# Pages and workers check whether the tables fit the code.
SEE_MIGRATIONS: Final = (Role.WEB, Role.WORKER)
# A download, and pages of its facts, make temporary tables.
MAKE_TEMPORARY_TABLES: Final = (Role.WEB, Role.WORKER)
OURS: Final = ("audit", "ui", "integrations", "subscriptions", "licensehub", "sign_in", "api")


def tables() -> dict[str, type[models.Model]]:
    """All tables of the database, each with its model."""
    found = [model for model in apps.get_models(include_auto_created=True) if not model._meta.proxy]
    # A migration makes some tables by itself, and some models read a part of another one's table.
    found.sort(key=lambda model: model._meta.managed)
    return {model._meta.db_table: model for model in found}


def rights_on(table: str, model: type[models.Model], role: Role) -> Rights:
    """The declared rights. Raises LookupError for a table of ours that is not declared."""
    if role == Role.BEAT:
        return BEAT.get(table, NOTHING)
    place = 0 if role == Role.WEB else 1
    if table in TABLES:
        return TABLES[table][place]
    if model._meta.app_label in OURS:
        raise LookupError(f"{table} is not declared in licensehub/database/roles.py.")
    return (SCHEDULES if model._meta.app_label == "django_celery_beat" else LIBRARY)[place]


def declared(role: Role) -> dict[str, Rights]:
    """Table -> the rights of the role."""
    return {table: rights_on(table, model, role) for table, model in sorted(tables().items())}


def statements(role: Role) -> Iterator[str]:
    """The statements that leave exactly the declared rights, and take away all others. Names are our own."""
    user, known = f'"{role.user}"', tables()
    for kind in ("TABLES", "SEQUENCES", "ROUTINES"):
        yield f"REVOKE ALL ON ALL {kind} IN SCHEMA public FROM {user}"
    yield f"REVOKE ALL ON SCHEMA public FROM {user}"
    yield f"GRANT USAGE ON SCHEMA public TO {user}"
    if role in SEE_MIGRATIONS:
        yield f"GRANT SELECT ON {MIGRATIONS} TO {user}"
    for table, rights in declared(role).items():
        granted = [word for word, has in (("SELECT", rights.select), ("INSERT", rights.insert)) if has]
        granted += ["DELETE"] if rights.delete else []
        if columns := rights.columns(known[table]):
            named = ", ".join(f'"{column}"' for column in sorted(columns))
            granted.append(f"UPDATE ({named})")
        if granted:
            yield f'GRANT {", ".join(granted)} ON "{table}" TO {user}'
