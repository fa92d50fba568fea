"""The audit: its head, its anchors, its streams, and when somebody last verified it."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.db.models import Exists, Min, OuterRef

from integrations.connectors.contract import english
from licensehub.audit.actions import Action
from licensehub.audit.chain.checkpoint import find_mismatch
from licensehub.audit.chain.signature import is_believed
from licensehub.audit.findings import Problem, audit_findings
from licensehub.audit.models import AuditEvent, ChainHead, StoredAnchor
from licensehub.checks.outside import SENTENCES
from licensehub.database.clock import database_now
from licensehub.operations.doctor.findings import Context, Finding, Level, Step, check

FORGERY: Final = (Problem.CUT, Problem.FORGED, Problem.OTHER_HISTORY)
VERIFY_AFTER: Final = timedelta(days=92)


@check("audit")
def head(context: Context) -> Finding:
    """The end of the audit is the one that was kept outside of the database."""
    # One statement: an event that is written meanwhile must not look like a difference.
    event = AuditEvent.objects.filter(sequence=OuterRef("sequence"), hash=OuterRef("hash"))
    later = AuditEvent.objects.filter(sequence__gt=OuterRef("sequence"))
    found = ChainHead.objects.annotate(known=Exists(event), more=Exists(later)).get(pk=1)
    value = f"#{found.sequence}"
    steps = (
        Step(
            english("Stop all sending, and verify the history on the page “Evidence”."), "python manage.py verify_audit"
        ),
        Step(english("Find out who could write to the database: docs/restored-backup.md and docs/evidence.md.")),
    )
    if found.more or (found.sequence and not found.known):
        detail = english("The newest event is not the one that the head of the chain names.")
        return Finding(Level.ACT, english("The audit does not end where it should"), value, detail, steps=steps)
    mismatch = find_mismatch()
    if mismatch and (mismatch.unsure or mismatch.nothing_kept):
        title = english("The end of the audit could not be compared with a copy outside of the database")
        return Finding(Level.NONE, title, value)
    if mismatch:
        return Finding(Level.ACT, english("The audit is shorter than it was"), value, mismatch.sentence, steps=steps)
    return Finding(Level.OK, english("The audit ends where it should"), value)


@check("anchors")
def anchors(context: Context) -> Finding:
    """Each destination has taken the anchors, and the streams."""
    newest = StoredAnchor.objects.order_by("-pk").first()
    value = f"A-{newest.pk:04d}, {newest.at:%Y-%m-%d %H:%M} UTC" if newest else english("none yet")
    found = audit_findings()
    if not found:
        title = english("Each destination has taken everything") if newest else english("There is no anchor yet")
        return Finding(Level.OK if newest else Level.NONE, title, value)
    first = next((one for one in found if one.problem in FORGERY), found[0])
    since = f"{first.since:%Y-%m-%d %H:%M} UTC" if first.since else ""
    sentence = SENTENCES[first.problem].format(destination=first.destination, since=since, detail=first.detail).strip()
    steps = (Step(english("See docs/anchors.md for anchors and docs/siem.md for streams.")),)
    waits = english(
        "Events and anchors that were not taken wait in the database. LicenseHub sends them again by itself."
    )
    if first.problem in FORGERY:
        title = english("A copy of the anchors does not fit")
        return Finding(Level.ACT, title, value, sentence, "", steps, first.since)
    return Finding(
        Level.LOOK, english("A destination has not taken everything"), value, sentence, waits, steps, first.since
    )


@check("verified")
def verified(context: Context) -> Finding:
    """Somebody has verified the history in the last three months."""
    last = AuditEvent.objects.filter(action=Action.AUDIT_VERIFIED).order_by("-sequence").first()
    last = last if last and is_believed(last) else None
    began = last.at if last else AuditEvent.objects.aggregate(at=Min("at"))["at"]
    if last:
        context.memory["at"] = last.at.isoformat()
    value = f"{last.at:%Y-%m-%d}" if last else english("never yet")
    if last and last.data.get("found"):
        steps = (Step(english("Open the page “Evidence”: it lists what does not fit.")),)
        return Finding(Level.ACT, english("The last verification found changes"), value, steps=steps, since=last.at)
    if began and database_now() - began > VERIFY_AFTER:
        steps = (Step(english("Use Verify history on the page “Evidence”.")),)
        return Finding(Level.LOOK, english("The history was not verified for three months"), value, steps=steps)
    if last:
        return Finding(Level.OK, english("The history was verified lately"), value)
    return Finding(Level.NONE, english("The history is less than three months old"), value)
