"""The findings of a validation as one message, and the page and permission of a profile."""

from __future__ import annotations

from django.utils.translation import ngettext

from integrations.connections.validation import is_fit
from integrations.connectors.contract import Finding
from licensehub.ui.admin import WarningMessage
from licensehub.ui.formatting import counts_of, number

# The permission to publish, pause, run, schedule and archive a profile.
OPERATE = "integrations.operate_integrationprofile"
PROFILE_PAGE = "admin:integrations_integrationprofile_change"


def summary_of(findings: list[Finding], *, before: str = "") -> str:
    """The message after a validation: a `WarningMessage` if something is wrong."""
    count = len(findings)
    words = ngettext(
        "{count} check was made with real calls: {results}.",
        "{count} checks were made with real calls: {results}.",
        count,
    ).format(count=number(count), results=counts_of(finding.level for finding in findings))
    return (str if is_fit(findings) else WarningMessage)(f"{before} {words}".strip())
