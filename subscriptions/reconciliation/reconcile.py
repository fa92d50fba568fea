"""Every night: does the vendor show what the ledger says, and does the ledger explain what the vendor's own log says?

Nothing is changed by it but facts, as a tiny download of the people it looked up would. What differs is written down
with its next step, and a person acts.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from integrations import connection_state, credential_store
from integrations.connectors.contract import ConfigError, Connector, ConnectorError, Member
from integrations.models import IntegrationProfile, ProfileState
from licensehub.audit.actions import Action
from licensehub.audit.log import Actor, record
from subscriptions.eligibility.evaluate import evaluate_rows
from subscriptions.eligibility.terms import current_terms
from subscriptions.errors import Refused
from subscriptions.models import Reclaim, ReclaimState, Reconciliation, Subscription
from subscriptions.reclaims.recheck import write_facts
from subscriptions.reconciliation.differences import Difference, Kind, in_ledger
from subscriptions.reconciliation.vendor_log import Log, in_log, read_log, with_doer

# Vendors keep their own log as long; what was done before is history.
LEDGER = timedelta(days=90)
# One that was killed is not waited for any longer.
MAX_RUNTIME = timedelta(minutes=10)
# The vendor answers for so many people in one request: ten by their e-mail addresses, a hundred of all members.
PER_LOOK_UP, PER_PAGE = 10, 100

ALIVE = (ProfileState.PUBLISHED, ProfileState.PAUSED)


def profiles_to_reconcile() -> list[int]:
    return sorted(IntegrationProfile.objects.filter(state__in=ALIVE).values_list("pk", flat=True))


def reconcile_profile(profile: IntegrationProfile, *, actor: Actor) -> Reconciliation:
    """Reconcile now. Raises Refused while another reconciliation of the profile is running.

    What could not be asked is told in `problem`; findings of what was asked stand all the same.
    """
    row = _begin(profile)
    try:
        _compare(profile, row)
    except ConnectorError as error:
        row.problem = error.message
        if isinstance(error, ConfigError):
            connection_state.mark_failed(profile, error)
    _finish(row, actor=actor)
    return row


def _compare(profile: IntegrationProfile, row: Reconciliation) -> None:
    """Fills the row in as far as it comes. Raises ConnectorError."""
    connector = credential_store.connector_for(profile)
    found = _against_members(profile, row, connector)
    row.findings = [difference.as_json() for difference in found]
    log = read_log(connector, since=_log_since(profile, row), until=row.started_at)
    row.events, row.audit_log_checked, row.problem = log.events, log.checked, log.problem
    found = [with_doer(difference, log) for difference in found]
    told = {difference.external_id for difference in found}
    found += [difference for difference in _against_log(profile, log) if difference.external_id not in told]
    found += _still_open(profile, row, found)
    row.findings = [difference.as_json() for difference in found]


def _begin(profile: IntegrationProfile) -> Reconciliation:
    """The profile's row is locked, so that of many clicks one begins."""
    with transaction.atomic():
        IntegrationProfile.objects.select_for_update().get(pk=profile.pk)
        if running(profile):
            raise Refused("A reconciliation is running already. Its result appears here when it is done.")
        return Reconciliation.objects.create(profile=profile)


def latest() -> QuerySet[Reconciliation]:
    """The last one of each profile in use that told anything: one that failed at once hides nothing."""
    told = Reconciliation.objects.filter(profile__in=IntegrationProfile.objects.in_use(), finished_at__isnull=False)
    told = told.filter(Q(problem="") | ~Q(findings=[]))
    last = told.filter(profile=OuterRef("profile")).order_by("-started_at", "-pk").values("pk")[:1]
    return told.filter(pk=Subquery(last))


def open_differences() -> int:
    return sum(len(findings) for findings in latest().values_list("findings", flat=True))


def running(profile: IntegrationProfile) -> bool:
    lately = timezone.now() - MAX_RUNTIME
    return Reconciliation.objects.filter(profile=profile, finished_at=None, started_at__gt=lately).exists()


def _finish(row: Reconciliation, *, actor: Actor) -> None:
    row.finished_at = timezone.now()
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
    """What the ledger said both before and after the vendor was asked, so that nothing under way looks like more."""
    before = last_sends(profile, row.started_at)
    members = _look_up(profile, before.values(), connector)
    row.people = len(before)
    write_facts(profile, members.values())
    looked_up = Subscription.objects.filter(pk__in=before)
    evaluate_rows(looked_up, current_terms(profile.pk))
    after = last_sends(profile, row.started_at)
    settled = [item for key, item in after.items() if key in before and _same(before[key], item)]
    return in_ledger(settled, members)


def last_sends(profile: IntegrationProfile, now: datetime) -> dict[int, Reclaim]:
    """Subscription id -> its last item, where that is settled, in the span that is compared."""
    rows = Reclaim.objects.filter(profile=profile).select_related("subscription", "removal__candidate")
    last: dict[int, Reclaim] = {}
    for item in rows.filter(queued_at__gt=now - LEDGER).order_by("queued_at", "pk"):
        last[item.subscription_id] = item
    return {key: item for key, item in last.items() if item.finished_at and item.state in SETTLED}


SETTLED = (ReclaimState.DONE, ReclaimState.SKIPPED, ReclaimState.FAILED, ReclaimState.IN_DOUBT)


def _same(before: Reclaim, after: Reclaim) -> bool:
    return (before.pk, before.state, before.finished_at) == (after.pk, after.state, after.finished_at)


def _look_up(profile: IntegrationProfile, items: Iterable[Reclaim], connector: Connector) -> dict[str, Member]:
    """External id -> member, in the way that takes fewer requests. Whoever is not there is left out."""
    people = {item.subscription.external_id: item.subscription.email for item in items}
    if not people:
        return {}
    everybody = Subscription.objects.filter(profile=profile, gone_at=None).count()
    if len(people) / PER_LOOK_UP <= everybody / PER_PAGE:
        found: Iterable[Member] = connector.people(people)
    else:
        found = (member for page in connector.members() for member in page.members)
    return {member.external_id: member for member in found if member.external_id in people}


# --- Against the vendor's own log -------------------------------------------------------------------------------------


def _log_since(profile: IntegrationProfile, row: Reconciliation) -> datetime:
    """From the last reconciliation that read it, a little before; on the first time, of the last day."""
    read = Reconciliation.objects.filter(profile=profile, audit_log_checked=True, problem="").exclude(pk=row.pk)
    last = read.order_by("-started_at").first()
    since = last.started_at - OVERLAP if last else row.started_at - FIRST
    return max(since, row.started_at - LEDGER)


# Logs come late; what was done just before the last reconciliation is looked for again.
OVERLAP = timedelta(hours=1)
FIRST = timedelta(days=1)
STRANGE = timedelta(days=30)


def _against_log(profile: IntegrationProfile, log: Log) -> list[Difference]:
    if not log.checked:
        return []
    rows = Reclaim.objects.filter(profile=profile, sending_at__gt=log.since - LEDGER)
    return in_log(profile, list(rows.select_related("subscription").order_by("sending_at", "pk")), log)


def _still_open(profile: IntegrationProfile, row: Reconciliation, found: list[Difference]) -> list[Difference]:
    """A strange deactivation is in one night's log only, and stays a difference while the person is inactive."""
    last = Reconciliation.objects.filter(profile=profile, finished_at__isnull=False).exclude(pk=row.pk).first()
    told = {difference.external_id for difference in found}
    former = [Difference.of_json(finding) for finding in last.findings] if last else []
    strange = [one for one in former if one.kind == Kind.UNEXPLAINED and one.external_id not in told]
    inactive = Subscription.objects.filter(profile=profile, gone_at=None, active=False)
    still = set(
        inactive.filter(external_id__in=[one.external_id for one in strange]).values_list("external_id", flat=True)
    )
    recent = row.started_at - STRANGE
    return [one for one in strange if one.external_id in still and one.at and one.at > recent]
