"""Try a profile's connections with real, harmless calls, and note on each whether it works."""

from __future__ import annotations

from collections.abc import Iterable

from integrations import connections
from integrations.connectors.contract import ConfigError, Finding
from integrations.models import IntegrationProfile


def validate_connections(profile: IntegrationProfile) -> list[Finding]:
    """The connector's findings. Raises ConfigError when the stored credentials cannot even be read."""
    try:
        findings = connections.connector_for(profile).validate()
    except ConfigError as error:
        connections.mark_failed(profile, error)
        raise
    for slot in profile.connector.slots:
        _note(profile, slot.name, [finding for finding in findings if finding.slot == slot.name])
    return findings


def _note(profile: IntegrationProfile, slot: str, findings: Iterable[Finding]) -> None:
    levels = {finding.level for finding in findings}
    failed = [finding for finding in findings if finding.level == "error"]
    if failed:
        words = " ".join(part for part in (failed[0].title + ".", failed[0].detail, failed[0].next_step) if part)
        connections.mark_failed(profile, ConfigError(words, slot=slot))
    elif "ok" in levels:
        connections.mark_working(profile, slot)
