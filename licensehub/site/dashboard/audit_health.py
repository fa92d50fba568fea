"""The words of the strip at the top of the overview about the copies of the audit outside."""

from __future__ import annotations

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext

from licensehub.audit.findings import AuditFinding, Problem, audit_findings
from licensehub.audit.models import StoredAnchor
from licensehub.site.dashboard.health import Health
from licensehub.ui.formatting import ago

# In the middle of a line.
DESTINATIONS = {
    "anchor.file": gettext_lazy("anchor file"),
    "anchor.mail": gettext_lazy("mail"),
    "anchor.https": gettext_lazy("HTTPS endpoint"),
    "anchor.bucket": gettext_lazy("bucket"),
    "anchor.time_stamp": gettext_lazy("time stamp authority"),
    "anchor.database": gettext_lazy("database"),
    "stream.file": gettext_lazy("file"),
    "stream.stdout": gettext_lazy("standard output"),
    "stream.syslog": gettext_lazy("syslog"),
    "stream.https": gettext_lazy("HTTPS endpoint"),
}


def audit_health() -> list[Health]:
    """One piece for each finding; one that says that all is well where there is none."""
    link = reverse("admin:audit_auditevent_evidence")
    found = audit_findings()
    if not found and not StoredAnchor.objects.exists():
        return [Health("anchor", pgettext("audit", "Anchors"), pgettext("anchors", "none yet"), "neutral", link)]
    if not found:
        return [Health("anchor", pgettext("audit", "Anchors"), _("all taken"), "ok", link)]
    return [_piece(one, link) for one in found]


def _piece(one: AuditFinding, link: str) -> Health:
    where, since = str(DESTINATIONS.get(one.destination, one.destination)), ago(one.since) if one.since else ""
    sentences = {
        Problem.NO_KEY: _("no key, so none is written"),
        Problem.MISSED: _("missed: events of {ago} have none").format(ago=since),
        Problem.NOT_TAKEN: _("{destination}: not taken, {ago}").format(destination=where, ago=since),
        Problem.CUT: _("{destination}: cut or replaced").format(destination=where),
        Problem.FORGED: _("{destination}: wrong signature").format(destination=where),
        Problem.OTHER_HISTORY: _("{destination}: not in the history of this database").format(destination=where),
        Problem.STREAM_BEHIND: _("{destination}: behind, {ago}").format(destination=where, ago=since),
    }
    is_stream = one.problem == Problem.STREAM_BEHIND
    label = _("Stream to the SIEM") if is_stream else pgettext("audit", "Anchors")
    late = one.problem in (Problem.MISSED, Problem.NOT_TAKEN, Problem.STREAM_BEHIND, Problem.NO_KEY)
    return Health("anchor", label, sentences[one.problem], "warning" if late else "error", link)
