"""Change a reclaim rule. `evaluation` then applies it to the verdicts and to candidates that are not yet approved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from licensehub.audit.actions import Action
from licensehub.audit.log import Actor, record
from licensehub.database.clock import database_now
from subscriptions.accounts.scope import refuse_outside
from subscriptions.eligibility.terms import COLUMNS
from subscriptions.errors import NotActionable
from subscriptions.models import LicenseThreshold, ReclaimRule
from subscriptions.rules.evaluation import mark_due

# These fields decide who is a candidate; the others decide what happens next.
TERMS = tuple(COLUMNS.values())
DECIDING = {*TERMS, "by_license"}
ASKING = ("notify_user", "days_to_answer", "keep_means", "file_requests")
CAPS = ("batch_cap_people", "batch_cap_percent", "rolling_cap_percent")
DOUBTS = ("stale_feed_days", "surge_factor", "surge_percent")
FIELDS = (*TERMS, *ASKING, *CAPS, *DOUBTS)


def terms_of(rule: ReclaimRule) -> dict[str, Any]:
    """All terms of the rule, as its events have them."""
    thresholds = {row.license: row.last_activity_threshold for row in rule.license_thresholds.all()}
    return {**{name: getattr(rule, name) for name in FIELDS}, "by_license": thresholds}


def change_rule(
    rule: ReclaimRule, *, actor: Actor, changed: Mapping[str, Any], by_license: Mapping[str, int] | None = None
) -> bool:
    """Set terms of the rule, if it still has `rule.version`; `by_license` replaces all thresholds of license types.

    Returns whether anything differs. Raises ValidationError, and NotActionable when somebody else was faster.
    """
    refuse_outside(actor, rule.profile_id)
    found = ReclaimRule.objects.get(pk=rule.pk)
    thresholds = found.license_thresholds.order_by("license").values_list("license", "last_activity_threshold")
    before = {**{name: getattr(found, name) for name in FIELDS}, "by_license": dict(thresholds)}
    wanted = {**before, **{name: changed[name] for name in FIELDS if name in changed}}
    if by_license is not None:
        wanted["by_license"] = dict(sorted(by_license.items()))
    if wanted == before:
        return False
    _validate(rule, wanted)
    differing = [name for name in wanted if wanted[name] != before[name]]
    with transaction.atomic():
        _write(rule, wanted)
        if not DECIDING.isdisjoint(differing):
            mark_due(rule.profile_id)
        differences = {name: {"from": before[name], "to": wanted[name]} for name in differing}
        data = {"version": rule.version + 1, "changed": differences}
        record(Action.RULE_CHANGED, actor=actor, target=rule, data=data)
    rule.refresh_from_db()
    return True


def _validate(rule: ReclaimRule, wanted: Mapping[str, Any]) -> None:
    draft = ReclaimRule(profile_id=rule.profile_id, **{name: wanted[name] for name in FIELDS})
    draft.clean_fields(exclude=["profile"])
    for license, days in wanted["by_license"].items():
        LicenseThreshold(license=license, last_activity_threshold=days).clean_fields(exclude=["rule"])


def _write(rule: ReclaimRule, wanted: Mapping[str, Any]) -> None:
    """Write only over the version that was read, so that two people who edit the rule never overwrite each other."""
    values = {name: wanted[name] for name in FIELDS}
    written = ReclaimRule.objects.filter(pk=rule.pk, version=rule.version).update(
        **values, version=rule.version + 1, changed_at=database_now()
    )
    if written != 1:
        raise NotActionable(_("Somebody else changed this rule in the meantime. None of your changes was saved yet."))
    rule.license_thresholds.all().delete()
    LicenseThreshold.objects.bulk_create(
        LicenseThreshold(rule=rule, license=license, last_activity_threshold=days)
        for license, days in wanted["by_license"].items()
    )
