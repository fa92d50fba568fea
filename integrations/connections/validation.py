"""Validates a profile's connections with real calls that change nothing, and stores the result."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

from integrations.connections import connection_state
from integrations.connectors.contract import LATER, ConfigError, Finding, english
from integrations.connectors.network import current_network
from integrations.credentials import credential_store
from integrations.models import Connection, IntegrationProfile
from licensehub.audit.log import Actor
from licensehub.database.clock import database_now
from licensehub.ui.formatting import name_of


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
        validated_by=name_of(actor)[:150] if actor else "",
    )
    for slot in profile.connector.slots:
        _note(profile, slot.name, [finding for finding in findings if finding.slot == slot.name])
    return findings


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
    elif any(finding.level == "ok" for finding in findings) and is_fit(findings):
        connection_state.mark_working(profile, slot)
