"""Validates a profile's connections with real calls that change nothing, and stores the result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from datetime import timedelta
from typing import Final

from django.db.models import Q

from integrations.connections import connection_state
from integrations.connectors.contract import LATER, ConfigError, Finding, english
from integrations.connectors.network import current_network
from integrations.credentials import credential_store
from integrations.models import Connection, ConnectionState, IntegrationProfile
from licensehub.audit.actions import Action
from licensehub.audit.log import Actor
from licensehub.audit.models import AuditEvent
from licensehub.database.clock import database_now

# A connection that failed is validated every hour for so long, and then every night only. After so many recoveries
# within a week, too, it is validated every night only.
HOURLY_FOR: Final = timedelta(days=3)
MAX_RECOVERIES: Final = 3
RECOVERIES_WITHIN: Final = timedelta(days=7)


def validate_connections(profile: IntegrationProfile, *, actor: Actor) -> list[Finding]:
    """Returns the connector's findings. Raises ConfigError when the stored credentials cannot be read."""
    try:
        found = _keep_refusals(profile, credential_store.connector_for(profile).validate())
        findings = [*found, *_network_findings()]
    except ConfigError as error:
        connection_state.mark_failed(profile, error)
        raise
    IntegrationProfile.objects.filter(pk=profile.pk).update(
        findings=[asdict(finding) for finding in findings],
        validated_at=database_now(),
        validated_by=actor,
    )
    for slot in profile.connector.slots:
        _note(profile, slot.name, [finding for finding in findings if finding.slot == slot.name])
    return findings


def profiles_to_validate_again() -> list[IntegrationProfile]:
    """The profiles in use with a connection that failed, or got no answer, and for some days at most.

    A vendor, or a proxy before it, may refuse for minutes, and nobody should have to look for that. A connection may
    also be dead for days, or recover by itself again and again, e.g. since only writes are refused. A person or the
    validation of the night takes care of it then.
    """
    now = database_now()
    rows = Connection.objects.filter(profile__in=IntegrationProfile.objects.published_or_paused())
    error = Q(state=ConnectionState.ERROR, state_changed_at__gt=now - HOURLY_FOR)
    failed = rows.filter(error | Q(unanswered_since__gt=now - HOURLY_FOR))
    lately = AuditEvent.objects.filter(action=Action.CONNECTION_RECOVERED, at__gt=now - RECOVERIES_WITHIN)
    recovered = Counter(lately.filter(target_id__in=failed.values("pk")).values_list("target_id", flat=True))
    chosen = failed.exclude(pk__in=[pk for pk, times in recovered.items() if times >= MAX_RECOVERIES])
    return list(IntegrationProfile.objects.filter(pk__in=chosen.values("profile")).order_by("pk"))


def _keep_refusals(profile: IntegrationProfile, findings: list[Finding]) -> list[Finding]:
    """Keep the reason why the vendor refused the last token: without a token, a check finds only that it is missing."""
    rows = Connection.objects.filter(profile=profile).select_related("profile")
    missing = {row.slot for row in rows if row.slot_definition.oauth and not row.granted}
    refused = {
        row["slot"]: Finding(**{**row, "steps": tuple(row["steps"])})
        for row in profile.findings
        if row["level"] == "error" and row["slot"] in missing and row["code"]
    }
    return [refused.get(finding.slot, finding) if finding.level == "error" else finding for finding in findings]


def _network_findings() -> list[Finding]:
    """The proxy and the certificates in the settings. The connector's calls have just used them."""
    network = current_network()
    found = []
    if network.proxy:
        found.append(
            Finding(
                level="ok",
                title="Proxy",
                detail=english("Calls go through {proxy_label}.").format(proxy_label=network.proxy_label),
            )
        )
    if network.ca_bundle:
        detail = english("The certificate authorities in VENDOR_CA_BUNDLE are trusted beside the public ones.")
        found.append(Finding(level="ok", title="Certificates", detail=detail))
    return found


def is_fit(findings: Iterable[Finding]) -> bool:
    """Whether something may be sent: there is no error, and no check was left out because the vendor did not answer."""
    return all(finding.level != "error" and finding.code != LATER for finding in findings)


def _note(profile: IntegrationProfile, slot: str, findings: list[Finding]) -> None:
    failed = [finding for finding in findings if finding.level == "error"]
    if failed:
        message = " ".join(part for part in (failed[0].title + ".", failed[0].detail, failed[0].next_step) if part)
        connection_state.mark_failed(profile, ConfigError(message, slot=slot))
    elif any(finding.code == LATER for finding in findings):
        connection_state.mark_unanswered(profile, slot)
    elif any(finding.level == "ok" for finding in findings):
        connection_state.mark_working(profile, slot)
