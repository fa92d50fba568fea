"""The bar above lists and pages while facts or a rule are new, and their verdicts are not written yet."""

from __future__ import annotations

from typing import Any

from django import template
from django.template import RequestContext
from django.urls import reverse

from integrations.models import IntegrationProfile
from licensehub.ui.formatting import day_and_time
from subscriptions.models import DownloadRun, ReclaimRule

register = template.Library()


@register.inclusion_tag("admin/subscriptions/old_verdicts.html", takes_context=True)
def old_verdicts(context: RequestContext, profile: IntegrationProfile | None = None) -> dict[str, Any]:
    """The bar for one profile, or for all. It is empty if no run or rule waits for verdicts."""
    runs = profile.download_runs if profile else DownloadRun.objects.select_related("profile")
    run = runs.with_old_verdicts().only("finished_at", "profile__name").first()
    if run is None:
        return {"rule": _rule_that_waits(profile)}
    before = DownloadRun.objects.complete().filter(profile=run.profile_id, pk__lt=run.pk).first()
    may_open = context["request"].user.has_perm("subscriptions.view_downloadrun")
    return {
        "run": run,
        "link": reverse("admin:subscriptions_downloadrun_change", args=[run.pk]) if may_open else "",
        "facts_of": day_and_time(run.finished_at),
        "verdicts_of": day_and_time(before.evaluated_at or before.finished_at) if before else "",
    }


def _rule_that_waits(profile: IntegrationProfile | None) -> ReclaimRule | None:
    """A rule with a change that is not evaluated yet: that of the profile as it was read for this page, or of any."""
    if profile is None:
        rules = ReclaimRule.objects.filter(profile__in=IntegrationProfile.objects.in_use())
        return rules.exclude(evaluation_due_at=None).select_related("profile").only("profile__name").first()
    rule = getattr(profile, "rule", None)
    return rule if rule and rule.evaluation_due_at and not profile.is_archived else None
