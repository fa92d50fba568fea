"""The authors of a request of the schedule. Its row names no requester.

The rule decides who is in it. So those who wrote the rule are its requesters, and other persons decide.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from integrations.models import IntegrationProfile
from licensehub.audit.actions import Action
from licensehub.audit.models import AuditEvent
from subscriptions.accounts.origins import TIED_FOR
from subscriptions.models import FileRequests, ReclaimRequest, ReclaimRule


class RuleChange(NamedTuple):
    at: datetime
    by: int | None
    # It let the schedule file requests.
    automatic: bool


def rule_changes_of(profile: IntegrationProfile) -> list[RuleChange]:
    """All changes of the profile's rule, the oldest first. One query."""
    rules = ReclaimRule.objects.filter(profile=profile).values("pk")
    events = AuditEvent.objects.filter(target_type=ReclaimRule._meta.label_lower, target_id__in=rules)
    events = events.filter(action__in=[Action.RULE_CREATED.value, Action.RULE_CHANGED.value]).order_by("sequence")
    return [RuleChange(event.at, event.actor_id, _lets_file(event)) for event in events]


def parties_of(request: ReclaimRequest, changes: Iterable[RuleChange] | None = None) -> set[int]:
    """The ids of the requester and of the user who raised the cap; and, of a request of the schedule, of its authors.

    The reviewers of its people (`deciders.reviewers_of`) have a part, too. `changes`: those of its profile, if known.
    """
    found = {request.requested_by_id, request.cap_raised_by_id}
    return {pk for pk in found if pk is not None} | authors_of(request, changes)


def authors_of(request: ReclaimRequest, changes: Iterable[RuleChange] | None = None) -> set[int]:
    """The users who let the schedule file this request, and who changed the rule in the 30 days before."""
    if request.requested_by_id is not None:
        return set()
    known = rule_changes_of(request.profile) if changes is None else changes
    before = [change for change in known if change.at <= request.requested_at]
    switched = [change.by for change in before if change.automatic][-1:]
    lately = [change.by for change in before if change.at >= request.requested_at - TIED_FOR]
    return {pk for pk in [*switched, *lately] if pk is not None}


def _lets_file(event: AuditEvent) -> bool:
    if not event.data:  # its text was erased
        return True
    if event.action == Action.RULE_CREATED:
        return bool(event.data.get("terms", {}).get("file_requests") == FileRequests.AUTOMATIC)
    return bool(event.data["changed"].get("file_requests", {}).get("to") == FileRequests.AUTOMATIC)
