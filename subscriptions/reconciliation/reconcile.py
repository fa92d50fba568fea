"""Reconciliation: compare the ledger with the vendor's members every night, and the vendor's own log with the ledger.

It changes only the facts of the people it looks up, as a download of them would. It notes each difference with the
next step, which a person takes.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Func, IntegerField, OuterRef, Q, QuerySet, Subquery, Sum
from django.utils.translation import gettext as _

from integrations.connections import connection_state
from integrations.connectors.contract import ConfigError, Connector, ConnectorError, Member, english
from integrations.credentials import credential_store
from integrations.models import IntegrationProfile
from licensehub import stopping
from licensehub.audit.actions import Action
from licensehub.audit.log import Actor, record
from licensehub.database.clock import database_now
from licensehub.translations.stored import as_evidence
from subscriptions.accounts.scope import refuse_outside
from subscriptions.bulk_sql import large_tables
from subscriptions.eligibility.evaluate import evaluate_rows
from subscriptions.eligibility.terms import current_terms
from subscriptions.errors import Refused
from subscriptions.models import Reclaim, ReclaimState, Reconciliation, Subscription
from subscriptions.models.reclaims.reclaim import UNFINISHED
from subscriptions.reclaims.recheck import write_facts
from subscriptions.reconciliation.differences import Difference, Kind, in_ledger
from subscriptions.reconciliation.vendor_log import VendorLog, in_log, read_log, with_doer

# Older reclaims are not reconciled: vendors keep their own log for about as long.
MAX_AGE = timedelta(days=90)
# A reconciliation that takes longer was killed, and another one may start. It reads at most some thousand pages.
MAX_SECONDS = 900
MAX_RUNTIME = timedelta(seconds=MAX_SECONDS + 120)
# People per request: in a look-up by e-mail address, and on a page of all members.
PEOPLE_PER_LOOK_UP, PEOPLE_PER_PAGE = 10, 100
# Events appear late in a vendor's log, so the end of the previous span is read again.
LOG_OVERLAP = timedelta(hours=1)
# The span of the log that the first reconciliation reads.
FIRST_LOG_SPAN = timedelta(days=1)
# How long an unexplained deactivation stays a difference.
MAX_UNEXPLAINED_AGE = timedelta(days=30)

# Longer than a message in the broker is valid.
NOT_AGAIN_WITHIN = timedelta(hours=2)
STOPPED = english("The worker was stopped before the end. The next worker starts this reconciliation again.")

ENDED = tuple(state for state in ReclaimState if state not in UNFINISHED)


def profiles_to_reconcile() -> list[int]:
    return sorted(IntegrationProfile.objects.published_or_paused().values_list("pk", flat=True))


def reconcile_profile(profile: IntegrationProfile, *, actor: Actor) -> Reconciliation:
    """Reconcile now. Raises Refused while another reconciliation of the profile is running.

    After an error of the vendor, `problem` says what was not read. The findings before it are kept. Raises Stopped if
    the worker was to stop before the end.
    """
    row = _begin(profile)
    try:
        with as_evidence():
            _reconcile(profile, row)
    except stopping.Stopped:
        row.problem = STOPPED
    except ConnectorError as error:
        row.problem = error.message
        if isinstance(error, ConfigError):
            connection_state.mark_failed(profile, error)
    if row.problem and stopping.is_requested():
        row.problem = STOPPED
    _finish(row, actor=actor)
    if row.problem == STOPPED:
        raise stopping.Stopped
    return row


def reconcile_requested(profile: IntegrationProfile) -> None:
    """Reconcile. The actor is the user who asked for it by hand, else nobody. Raises Refused and Stopped as above."""
    actor = take_requester(profile)
    try:
        reconcile_profile(profile, actor=actor)
    except stopping.Stopped:
        if isinstance(actor, User):
            request_by(profile, actor=actor)
        raise


def request_by(profile: IntegrationProfile, *, actor: User) -> None:
    """Note who asks for a reconciliation by hand, before a worker is asked to do it."""
    refuse_outside(actor, profile.pk)
    IntegrationProfile.objects.filter(pk=profile.pk).update(reconcile_due_by=actor)


def profiles_asked_for() -> list[int]:
    """Profiles for which somebody asked for a reconciliation that no worker has begun."""
    asked_for = IntegrationProfile.objects.published_or_paused().filter(reconcile_due_by__isnull=False)
    return sorted(asked_for.values_list("pk", flat=True))


def is_due(profile: IntegrationProfile) -> bool:
    """Whether somebody asked for it, or none was made lately: a message that comes twice starts nothing.

    One that was stopped with its worker begins again.
    """
    lately = Reconciliation.objects.filter(profile=profile, started_at__gt=database_now() - NOT_AGAIN_WITHIN)
    return profile.reconcile_due_by_id is not None or not lately.exclude(problem=STOPPED).exists()


def take_requester(profile: IntegrationProfile) -> Actor:
    """Return who asked for a reconciliation by hand since the last one; None for nobody, e.g. at night."""
    rows = IntegrationProfile.objects.filter(pk=profile.pk).select_related("reconcile_due_by")
    actor = rows.get().reconcile_due_by
    if actor is not None and rows.filter(reconcile_due_by=actor).update(reconcile_due_by=None) != 1:
        return None
    return actor


def _reconcile(profile: IntegrationProfile, row: Reconciliation) -> None:
    """Fill in the row step by step, so that an error leaves the findings before it. Raises ConnectorError."""
    connector = credential_store.connector_for(profile)
    found = _against_members(profile, row, connector)
    row.findings = [difference.as_json() for difference in found]
    log = read_log(connector, since=_log_since(profile, row), until=row.started_at)
    row.events, row.audit_log_checked, row.problem = log.events, log.checked, log.problem
    found = [with_doer(difference, log) for difference in found]
    known = {difference.external_id for difference in found}
    found += [difference for difference in _against_log(profile, log) if difference.external_id not in known]
    found += _still_open(profile, row, found)
    row.findings = [difference.as_json() for difference in found]


def _begin(profile: IntegrationProfile) -> Reconciliation:
    """Lock the profile's row, so that many clicks start one reconciliation."""
    with transaction.atomic():
        IntegrationProfile.objects.select_for_update().get(pk=profile.pk)
        if running(profile):
            raise Refused(_("A reconciliation is running already. Its result appears here when it is done."))
        return Reconciliation.objects.create(profile=profile)


class _Length(Func):
    """How many items an array of JSON has."""

    function = "jsonb_array_length"
    output_field = IntegerField()

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, tuple[str | int, ...]]:
        return self.as_sql(compiler, connection, function="json_array_length", **context)


def with_result() -> QuerySet[Reconciliation]:
    """Those that found something, or that nothing stopped. One that failed at once does not hide an earlier one."""
    return Reconciliation.objects.filter(Q(problem="") | ~Q(findings=[]), finished_at__isnull=False)


def latest() -> QuerySet[Reconciliation]:
    """The last one of each profile in use that has a result."""
    last = with_result().filter(profile=OuterRef("pk")).order_by("-started_at", "-pk").values("pk")[:1]
    return Reconciliation.objects.filter(pk__in=IntegrationProfile.objects.in_use().values(last=Subquery(last)))


def open_differences() -> int:
    """How many differences the last results have. They are counted in the database, since a list of them is long."""
    found: int | None = latest().aggregate(number=Sum(_Length("findings")))["number"]
    return found or 0


def running(profile: IntegrationProfile) -> bool:
    lately = database_now() - MAX_RUNTIME
    return Reconciliation.objects.filter(profile=profile, finished_at=None, started_at__gt=lately).exists()


def _finish(row: Reconciliation, *, actor: Actor) -> None:
    row.finished_at = database_now()
    with transaction.atomic():
        row.save()
        data = {
            "people": row.people,
            "events": row.events,
            "differences": len(row.findings),
            "audit_log_checked": row.audit_log_checked,
            "problem": row.problem,
        }
        record(Action.LEDGER_RECONCILED, actor=actor, target=row, data=data)


# --- Against the vendor's members -------------------------------------------------------------------------------------


def _against_members(profile: IntegrationProfile, row: Reconciliation, connector: Connector) -> list[Difference]:
    """Compare the items that are the same in the ledger before and after the look-up. Others have just changed."""
    before = last_sends(profile, row.started_at)
    members = _look_up(profile, before.values(), connector)
    row.people = len(before)
    write_facts(profile, members.values())
    looked_up = Subscription.objects.filter(pk__in=before)
    evaluate_rows(looked_up, current_terms(profile.pk))
    after = last_sends(profile, row.started_at)
    unchanged = [item for key, item in after.items() if key in before and _same(before[key], item)]
    return in_ledger(unchanged, members)


def last_sends(profile: IntegrationProfile, now: datetime) -> dict[int, Reclaim]:
    """Subscription id -> its last item of the reconciled span, if that item has ended."""
    rows = Reclaim.objects.filter(profile=profile).select_related("subscription", "removal__candidate")
    last: dict[int, Reclaim] = {}
    with large_tables():
        for item in rows.filter(queued_at__gt=now - MAX_AGE).order_by("queued_at", "pk"):
            last[item.subscription_id] = item
    return {key: item for key, item in last.items() if item.finished_at and item.state in ENDED}


def _same(before: Reclaim, after: Reclaim) -> bool:
    return (before.pk, before.state, before.finished_at) == (after.pk, after.state, after.finished_at)


def _look_up(profile: IntegrationProfile, items: Iterable[Reclaim], connector: Connector) -> dict[str, Member]:
    """External id -> member, with as few requests as possible. People that the vendor does not know are left out."""
    people = {item.subscription.external_id: item.subscription.email for item in items}
    if not people:
        return {}
    everybody = Subscription.objects.filter(profile=profile, gone_at=None).count()
    if len(people) / PEOPLE_PER_LOOK_UP <= everybody / PEOPLE_PER_PAGE:
        found: Iterable[Member] = connector.people(people)
    else:
        found = (member for page in connector.members() for member in page.members)
    members: dict[str, Member] = {}
    for member in found:
        stopping.check()
        if member.external_id in people:
            members[member.external_id] = member
    return members


# --- Against the vendor's own log -------------------------------------------------------------------------------------


def _log_since(profile: IntegrationProfile, row: Reconciliation) -> datetime:
    """A little before the last reconciliation that read the log; a day ago when there is none."""
    read = Reconciliation.objects.filter(profile=profile, audit_log_checked=True, problem="").exclude(pk=row.pk)
    last = read.order_by("-started_at").first()
    since = last.started_at - LOG_OVERLAP if last else row.started_at - FIRST_LOG_SPAN
    return max(since, row.started_at - MAX_AGE)


def _against_log(profile: IntegrationProfile, log: VendorLog) -> list[Difference]:
    if not log.checked:
        return []
    rows = Reclaim.objects.filter(profile=profile, sending_at__gt=log.since - MAX_AGE)
    with large_tables():
        sends = list(rows.select_related("subscription").order_by("sending_at", "pk"))
    return in_log(profile, sends, log)


def _still_open(profile: IntegrationProfile, row: Reconciliation, found: list[Difference]) -> list[Difference]:
    """Unexplained deactivations of earlier nights, of people who are still inactive. The log shows them no longer."""
    last = Reconciliation.objects.filter(profile=profile, finished_at__isnull=False).exclude(pk=row.pk).first()
    known = {difference.external_id for difference in found}
    former = [Difference.of_json(finding) for finding in last.findings] if last else []
    unexplained = [one for one in former if one.kind == Kind.UNEXPLAINED and one.external_id not in known]
    inactive = Subscription.objects.filter(profile=profile, gone_at=None, active=False)
    still = set(
        inactive.filter(external_id__in=[one.external_id for one in unexplained]).values_list("external_id", flat=True)
    )
    recent = row.started_at - MAX_UNEXPLAINED_AGE
    return [one for one in unexplained if one.external_id in still and one.at and one.at > recent]
