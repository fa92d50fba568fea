"""The message after a rule was saved: its effect, and the steps that are needed before it proposes."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.admin.findings import OPERATE
from integrations.models import IntegrationProfile
from licensehub.ui.formatting import number
from licensehub.ui.names import names_of
from subscriptions import tasks
from subscriptions.accounts.rights import people_with
from subscriptions.admin.profiles.actions import DOWNLOAD
from subscriptions.admin.rules.protections.protect import no_longer_candidates
from subscriptions.apply_rule import apply_rule, facts_to_propose
from subscriptions.eligibility.people_counts import is_large
from subscriptions.models import ReclaimRule
from subscriptions.rules.evaluation import RuleEffect


def needs_download(profile: IntegrationProfile, request: HttpRequest) -> dict[str, Any] | None:
    """Return why new candidates wait for a newer download, and who can start one. None if they do not wait for one."""
    facts = facts_to_propose(profile)
    if not facts.newer:
        return None
    others = names_of(people_with(OPERATE))
    return {
        "why": facts.why_not,
        "button": DOWNLOAD.on(profile) if request.user.has_perm(OPERATE) else None,
        "ask": _("Ask {others} to start a download.").format(others=others)
        if others
        else _("No account may start one. Ask a company admin."),
    }


def apply_and_report(profile: IntegrationProfile) -> str:
    """Evaluate everybody now, and propose; for many people in a task, so that the page does not wait."""
    if not ReclaimRule.objects.filter(profile=profile, evaluation_due_at__isnull=False).exists():
        return _("The rule is saved. It decides about the same people as before.")
    effect = None if is_large(profile) else apply_rule(profile)
    if effect is None:
        tasks.enqueue_task(tasks.evaluate_again, profile.pk)
        return _("The rule is saved. Everybody is being evaluated; until then, pages say that the verdicts are older.")
    return effect_message(effect, facts_to_propose(profile).why_not)


def effect_message(effect: RuleEffect, why_not: str) -> str:
    """`18 of 384 subscriptions changed their verdict; 85 are inactive now. 18 new candidates are ready to request.`"""
    said = ngettext(
        "{changed} of {subscriptions} subscriptions changed their verdict; {inactive} is inactive now.",
        "{changed} of {subscriptions} subscriptions changed their verdict; {inactive} are inactive now.",
        effect.inactive,
    ).format(
        changed=number(effect.changed), subscriptions=number(effect.subscriptions), inactive=number(effect.inactive)
    )
    proposed = ngettext(
        "{} new candidate is ready to request.", "{} new candidates are ready to request.", effect.proposed
    ).format(number(effect.proposed))
    later = _("New candidates appear after the next complete download.")
    sentences = (
        said,
        no_longer_candidates(effect.withdrawn),
        proposed if effect.proposed else "",
        f"{later} {why_not}" if why_not else "",
    )
    return " ".join(filter(None, sentences))
