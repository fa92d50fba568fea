"""Ask people who need review: they become candidates with a reason, in a request that asks them by mail first."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

from django.contrib.auth.models import User
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.models import IntegrationProfile
from licensehub.ui.formatting import number
from licensehub.ui.lists.id_filter import IdIn, IdList
from subscriptions import review
from subscriptions.accounts.scope import refuse_outside
from subscriptions.approvals.splitting import MAX_REQUESTS, Split, request_split
from subscriptions.candidates import caps, locks
from subscriptions.errors import NotActionable, Refused
from subscriptions.models import CandidateState, ReclaimRequest, ReclaimRule, RemovalCandidate, Subscription
from subscriptions.review import Decided

NO_ADDRESS = gettext_lazy("has no e-mail address. Look this person up at the vendor, or ask in another way.")


def why_not_ask(profile: IntegrationProfile) -> str:
    """Return why nobody of this profile can be asked by mail; empty when people can."""
    if ReclaimRule.objects.get(profile=profile).notify_user:
        return ""
    return _("The reclaim rule of “{profile}” does not ask people by mail. Switch that on in the rule first.").format(
        profile=profile
    )


def ask(
    people: Sequence[Subscription], *, reason: str, actor: User, seconds: float = math.inf
) -> tuple[Decided, list[ReclaimRequest]]:
    """Make them candidates with this reason, and request them, so that they are asked first. Returns the requests, too.

    Who keeps the seat by an answer leaves the request. For the others, another person decides. Raises Refused where the
    rule does not ask; then nothing was changed. It stops after about `seconds`.
    """
    review.check_reason(reason)
    by_profile: dict[IntegrationProfile, list[Subscription]] = defaultdict(list)
    for row in people:
        by_profile[row.profile].append(row)
    for profile in by_profile:
        refuse_outside(actor, profile.pk)
        if sentence := why_not_ask(profile):
            raise Refused(sentence)
    decided, made = Decided(), list[ReclaimRequest]()
    for profile, rows in by_profile.items():
        try:
            _ask(profile, rows, decided, made, reason=reason, actor=actor, seconds=seconds / len(by_profile))
        except (Refused, NotActionable) as error:
            decided.refused += [(row, _("was not asked: {error}").format(error=error)) for row in rows]
    return decided, made


def _ask(
    profile: IntegrationProfile,
    rows: list[Subscription],
    decided: Decided,
    made: list[ReclaimRequest],
    *,
    reason: str,
    actor: User,
    seconds: float,
) -> None:
    """All of one profile, or nobody: nobody becomes a candidate without being asked."""
    with transaction.atomic():
        locks.lock_profile(profile.pk)
        most = MAX_REQUESTS * caps.batch_of(profile)
        able = [row for row in rows if row.email]
        passed = review.make_candidates(able[:most], reason=reason, actor=actor, seconds=seconds)
        ids = IdList.of(row.pk for row in passed.done)
        candidates = RemovalCandidate.objects.filter(IdIn("subscription", ids), state=CandidateState.READY)
        requests = request_split(candidates, actor=actor, reason=reason, split=Split.SEVERAL) if ids.number else []
    made += requests
    decided.done += passed.done
    decided.refused += [*passed.refused, *((row, str(NO_ADDRESS)) for row in rows if not row.email)]
    decided.refused += [
        (row, _("was not asked: at most {most} people at once. Ask again.").format(most=number(most)))
        for row in able[most:]
    ]
    decided.not_reached += passed.not_reached
