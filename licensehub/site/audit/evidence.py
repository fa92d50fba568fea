"""The page *Evidence*: what is proved, since when it is only plausible, and what was changed.

The last verification is read from its event of the audit, and only if LicenseHub signed it. Other parts of the page
belong to other packages: each adds a line to SECTIONS, and a check of more than the chain to CHECKS.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from licensehub.audit.actions import Action
from licensehub.audit.chain.offline_verifier import Report
from licensehub.audit.chain.signature import is_believed
from licensehub.audit.chain.verify import verify
from licensehub.audit.log import Row, record_rows
from licensehub.audit.models import AuditEvent, ChainHead
from licensehub.site.audit.anchors_card import anchors_card
from licensehub.translations.stored import translated
from licensehub.ui.formatting import ago, day_and_time, number
from licensehub.ui.names import named
from subscriptions.admin.evidence.chosen_pack import pack_card
from subscriptions.evidence.rows.comparison import check_rows

# About ten seconds. The server ends a page after thirty.
MAX_EVENTS = 400_000
# The event of a verification lists so many findings.
MAX_FINDINGS = 50


@dataclass(frozen=True, slots=True)
class Section:
    """A card of the page: its template, and what the template reads. An empty context leaves the card out."""

    template: str
    context: Callable[[HttpRequest], dict[str, Any]]
    # Beside the others, in the narrow column.
    aside: bool = False


# In the order of the page, after the chain.
SECTIONS = [
    Section("admin/audit/auditevent/anchors.html", anchors_card),
    Section("admin/audit/auditevent/pack.html", pack_card, aside=True),
]
# Each returns a sentence in English for everything that does not fit, and how many things it has checked.
CHECKS: list[Callable[[], tuple[list[str], int]]] = [check_rows]


def verify_history(user: User) -> bool:
    """Verify the audit and the rows beside it, and record the result. False: there are too many events for a page."""
    if ChainHead.objects.filter(sequence__gt=MAX_EVENTS).exists():
        return False
    started = time.monotonic()
    report = verify()
    found, checked = [one.sentence for one in report.findings], 0
    for check in CHECKS:
        sentences, count = check()
        found, checked = found + sentences, checked + count
    data = {**_as_data(report), "rows": checked, "seconds": round(time.monotonic() - started, 1)}
    data |= {"findings": found[:MAX_FINDINGS], "found": len(found), "broken": len(report.findings)}
    with transaction.atomic():
        rows = [Row(ChainHead._meta.label_lower, 1, f"#{report.last}", data)]
        record_rows(Action.AUDIT_VERIFIED, actor=user, rows=rows)
    return True


def _as_data(report: Report) -> dict[str, Any]:
    proved = report.proved
    return {
        "events": report.events,
        "last": report.last,
        "anchors": report.anchors,
        "proved_to": proved.sequence if proved else 0,
        "proved_at": proved.at.isoformat() if proved and proved.at else "",
        "proved_by": proved.source if proved else "",
    }


def evidence_context(request: HttpRequest) -> dict[str, Any]:
    last = _last_verification()
    return {
        "title": _("Evidence"),
        "verified": last,
        **(_result(last) if last else {}),
        "sections": [found for section in SECTIONS if not section.aside and (found := _shown(section, request))],
        "aside": [found for section in SECTIONS if section.aside and (found := _shown(section, request))],
    }


def _shown(section: Section, request: HttpRequest) -> dict[str, Any]:
    context = section.context(request)
    return {"template": section.template, **context} if context else {}


def _last_verification() -> Any:
    """The event of the last verification with the name of its person, if it can be believed."""
    event = AuditEvent.objects.filter(action=Action.AUDIT_VERIFIED).order_by("-sequence").first()
    if event is None or not is_believed(event):
        return None
    named([event])
    return event


def _result(event: Any) -> dict[str, Any]:
    data = event.data
    more = data["found"] - len(data["findings"])
    return {
        "said": _(
            "Verified {when} by {who}, in {seconds} s. Events: {events}, anchors: {anchors}, other rows: {rows}."
        ).format(
            when=ago(event.at),
            who=event.who,
            seconds=number(data["seconds"], digits=1),
            events=number(data["events"]),
            anchors=number(data["anchors"]),
            rows=number(data["rows"]),
        ),
        "findings": [translated(sentence) for sentence in data["findings"]],
        "heading": ngettext(
            "{count} thing is not as LicenseHub wrote it",
            "{count} things are not as LicenseHub wrote them",
            data["found"],
        ).format(count=number(data["found"])),
        "more": ngettext("And {count} more.", "And {count} more.", more).format(count=number(more)) if more else "",
        "chain": _chain(data),
    }


def _chain(data: dict[str, Any]) -> dict[str, Any]:
    """The numbers of the bar: of the verified events, those that an anchor knows, and the others.

    `newer` events came after the verification, without its own event. Nobody has looked at them.
    """
    proved, last = data["proved_to"], data["last"]
    since = max(last - proved, 0)
    newer = max(ChainHead.objects.get(pk=1).sequence - last - 1, 0)
    if proved:
        plausible = ngettext("{count} plausible since", "{count} plausible since", since)
    else:  # there is no anchor since which
        plausible = ngettext("{count} plausible", "{count} plausible", since)
    words = ngettext("{count} not proved", "{count} not proved", since) if data["broken"] else plausible
    at = datetime.fromisoformat(data["proved_at"]) if data["proved_at"] else None
    return {
        "unbroken": not data["broken"],
        "at": at,
        "proved": number(proved),
        "proved_words": ngettext("{count} event proved", "{count} events proved", proved).format(count=number(proved)),
        "until": _("up to {moment}, by an anchor in {source}").format(
            moment=day_and_time(at), source=translated(data["proved_by"])
        ),
        "since_words": words.format(count=number(since)) if since or not proved else "",
        "newer": ngettext(
            "{count} newer event is not verified yet.", "{count} newer events are not verified yet.", newer
        ).format(count=number(newer))
        if newer
        else "",
        "share": round(100 * proved / last) if last else 0,
    }
