"""What the terms that stand in the form would mean, before anything is saved.

Numbers come from the buckets of the last download, so that they follow a dragged threshold: see
`subscriptions.eligibility.preview`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.http import QueryDict
from django.utils.translation import ngettext

from subscriptions.admin.widgets.charts import histogram
from subscriptions.admin.widgets.counts import seats
from subscriptions.eligibility.clauses import Terms
from subscriptions.eligibility.preview import preview_rule
from subscriptions.models import DownloadRun, NeverActive, ReclaimRule, Verdict

LICENSE_FIELD = re.compile(r"license_thresholds-(\d{1,4})-license")
MAX_DAYS = 3650


def preview(rule: ReclaimRule, entries: QueryDict) -> dict[str, Any]:
    """For the template: `verdicts` are numbers of people; without entries, by the saved rule."""
    saved = Terms.of(rule)
    wanted = entered(saved, entries)
    before, after = preview_rule(rule.profile, saved), preview_rule(rule.profile, wanted)
    run = DownloadRun.objects.complete().filter(profile=rule.profile_id).first()
    return {
        "verdicts": after.verdicts,
        "counted_at": after.at,
        "unsaved": wanted != saved,
        "difference": difference(before.verdicts, after.verdicts, saved, wanted),
        "histogram": histogram(run.stats, wanted.threshold) if run and run.stats else None,
        "threshold": wanted.threshold,
    }


def entered(saved: Terms, entries: QueryDict) -> Terms:
    """The terms in the form. A field that is empty or makes no sense counts as saved; saving tells what is wrong."""
    if not entries:
        return saved
    never = entries.get("never_active", "")
    return replace(
        saved,
        threshold=_days(entries.get("last_activity_threshold", ""), 1, saved.threshold),
        licenses=tuple(entries.getlist("licenses")) or saved.licenses,
        grace=_days(entries.get("new_joiner_grace", ""), 0, saved.grace),
        never_active=never if never in NeverActive.values else saved.never_active,
        by_license=_by_license(entries) if "license_thresholds-TOTAL_FORMS" in entries else saved.by_license,
    )


def _days(entry: str, least: int, saved: int) -> int:
    return int(entry) if entry.isdecimal() and len(entry) < 5 and least <= int(entry) <= MAX_DAYS else saved


def _by_license(entries: QueryDict) -> dict[str, int]:
    found = {}
    for name, license in entries.items():
        row = LICENSE_FIELD.fullmatch(name)
        if row is None or entries.get(f"license_thresholds-{row[1]}-DELETE"):
            continue
        days = _days(entries.get(f"license_thresholds-{row[1]}-last_activity_threshold", ""), 1, 0)
        if license and days:
            found[str(license)] = days
    return found


def difference(before: Mapping[str, int], after: Mapping[str, int], saved: Terms, wanted: Terms) -> str:
    """`37 more people would be candidates: 596 at 60 days, 633 at 45 days.`"""
    was, will = before.get(Verdict.CANDIDATE, 0), after.get(Verdict.CANDIDATE, 0)
    if wanted == saved:
        return f"{_seats(will)} inactive by the saved rule."
    if was == will:
        return f"Nothing would change: {_seats(will)} inactive, as by the saved rule."
    kind, apart = "more" if will > was else "fewer", abs(will - was)
    who = ngettext("{count:,} {kind} person would be a candidate", "{count:,} {kind} people would be candidates", apart)
    change = who.format(count=apart, kind=kind)
    return f"{change}: {was:,} at {saved.threshold} days, {will:,} at {wanted.threshold} days."


def _seats(count: int) -> str:
    return f"{seats(count)} {ngettext('is', 'are', count)}"
