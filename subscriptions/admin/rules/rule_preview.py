"""The preview of a rule: the effect of the terms in the form, before anything is saved.

The numbers come from the buckets of the last download, which is fast enough to follow a dragged threshold: see
`subscriptions.eligibility.preview`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from django.core.exceptions import ValidationError
from django.db.models import Field
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from licensehub.ui.formatting import ago, day, day_and_time, number
from subscriptions.admin.rules.past import past_of
from subscriptions.admin.rules.rule_form import ReclaimRuleForm, threshold_field
from subscriptions.admin.widgets.charts import histogram_of_preview
from subscriptions.eligibility.buckets import LastCount, last_count
from subscriptions.eligibility.people_counts import COUNTED_LIVE, PeopleCounts, last_counts
from subscriptions.eligibility.preview import new_candidates, preview_rule
from subscriptions.eligibility.terms import COLUMNS, Terms
from subscriptions.models import ReclaimRule, Verdict
from subscriptions.money.beside import yearly_cost
from subscriptions.money.prices import PriceList

# The number of new candidates that are named at once, and the number that can be named at all.
NAMED_FIRST, MAX_NAMED = 5, 100
LICENSE_FIELD = re.compile(r"license_thresholds-(\d{1,4})-license")


def preview(rule: ReclaimRule, entries: QueryDict, *, names: bool) -> dict[str, Any]:
    """The context of the template: `verdicts` are numbers of people. Without entries, the saved rule counts.

    `names`: whether the reader may see the people who would be new.
    """
    saved = Terms.of(rule)
    wanted = entered(saved, rule, entries)
    last = last_count(rule.profile)
    before = by_saved_rule(rule, saved, last)
    after = before if wanted == saved else preview_rule(rule.profile, wanted, last)
    drawn = None
    if after.groups:
        drawn = histogram_of_preview(after, wanted.threshold, saved=before, saved_threshold=saved.threshold)
    return {
        "verdicts": after.verdicts,
        "saved_verdicts": before.verdicts,
        "counted_at": "" if after.live else f"{day_and_time(after.at)} ({ago(after.at)})",
        "unsaved": wanted != saved,
        "newly": _newly(rule, wanted, after) if names and wanted != saved else None,
        "difference": difference(before.verdicts, after.verdicts, saved, wanted),
        "histogram": drawn,
        "threshold": wanted.threshold,
        "cost": _cost(rule, after),
        "past": past_of(rule.profile, wanted),
    }


def _cost(rule: ReclaimRule, found: PeopleCounts) -> str:
    """The cost of the inactive people's seats for a year; empty without a price."""
    seats = Counter[tuple[int, str]]()
    for group in found.groups:
        if group.verdict == Verdict.CANDIDATE:
            seats[rule.profile_id, group.license] += group.people
    return yearly_cost(seats, prices=PriceList([rule.profile]))


def _newly(rule: ReclaimRule, wanted: Terms, after: PeopleCounts) -> dict[str, Any] | None:
    """The people who would be new: the first ones, and the others behind *Show more*. None in a large profile."""
    if sum(group.people for group in after.groups) > COUNTED_LIVE:
        return None
    rows = [
        {
            "name": row.display_name,
            "pk": row.pk,
            "last_activity": f"{day(row.last_activity_at)}, {ago(row.last_activity_at)}"
            if row.last_activity_at
            else _("Never active"),
        }
        for row in new_candidates(rule.profile, wanted, rule.evaluated_at or after.at)[: MAX_NAMED + 1]
    ]
    return {
        "first": rows[:NAMED_FIRST],
        "others": rows[NAMED_FIRST:MAX_NAMED],
        "cut": MAX_NAMED if len(rows) > MAX_NAMED else 0,
    }


def by_saved_rule(rule: ReclaimRule, saved: Terms, last: LastCount | None = None) -> PeopleCounts:
    """The verdicts by the saved rule. While LicenseHub still writes them after a change, they are computed."""
    return preview_rule(rule.profile, saved, last) if rule.evaluation_due_at else last_counts(rule.profile, last)


def entered(saved: Terms, rule: ReclaimRule, entries: QueryDict) -> Terms:
    """The terms in the form. For an empty or wrong field the saved value counts; saving shows the errors."""
    if not entries:
        return saved
    form = ReclaimRuleForm(entries, instance=rule)
    values = {name: _entry(form, column, getattr(saved, name)) for name, column in COLUMNS.items()}
    if "license_thresholds-TOTAL_FORMS" in entries:
        values["by_license"] = _by_license(entries)
    return replace(saved, **values)


def _entry(form: ReclaimRuleForm, column: str, saved: Any) -> Any:
    field = form.fields[column]
    try:
        value = field.clean(form[column].data)
        # A model form leaves the validators of the model to the instance, which is not validated here.
        cast("Field[Any, Any]", ReclaimRule._meta.get_field(column)).run_validators(value)
    except ValidationError:
        return saved
    if value is None or value == "":
        return saved
    return tuple(value) if isinstance(value, list) else value


def _by_license(entries: QueryDict) -> dict[str, int]:
    found = {}
    for name, license in entries.items():
        row = LICENSE_FIELD.fullmatch(name)
        if row is None or entries.get(f"license_thresholds-{row[1]}-DELETE"):
            continue
        try:
            days = threshold_field().clean(entries.get(f"license_thresholds-{row[1]}-last_activity_threshold", ""))
        except ValidationError:
            continue
        if license:
            found[str(license)] = days
    return found


def difference(before: Mapping[str, int], after: Mapping[str, int], saved: Terms, wanted: Terms) -> str:
    """`37 more people would be candidates: 596 at 60 days, 633 at 45 days.`"""
    was, will = before.get(Verdict.CANDIDATE, 0), after.get(Verdict.CANDIDATE, 0)
    if wanted == saved:
        text = ngettext("{} seat is inactive by the saved rule.", "{} seats are inactive by the saved rule.", will)
        return text.format(number(will))
    if was == will:
        return ngettext(
            "Nothing would change: {} seat is inactive, as by the saved rule.",
            "Nothing would change: {} seats are inactive, as by the saved rule.",
            will,
        ).format(number(will))
    return _who(abs(will - was), more=will > was).format(
        count=number(abs(will - was)),
        was=number(was),
        then=saved.threshold,
        will=number(will),
        now=wanted.threshold,
    )


def _who(count: int, *, more: bool) -> str:
    if more:
        return ngettext(
            "{count} more person would be a candidate: {was} at {then} days, {will} at {now} days.",
            "{count} more people would be candidates: {was} at {then} days, {will} at {now} days.",
            count,
        )
    return ngettext(
        "{count} fewer person would be a candidate: {was} at {then} days, {will} at {now} days.",
        "{count} fewer people would be candidates: {was} at {then} days, {will} at {now} days.",
        count,
    )
