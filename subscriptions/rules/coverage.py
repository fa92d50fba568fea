"""Count the people that each protection covers, at each run. If one covers nobody any more, a user must look.

When a company changes its domain, all protections of the former one cover nobody from one night to the next. So the run
reports it, and LicenseHub files no request by itself until a user has looked: see `Protection.lost_at`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from integrations.models import IntegrationProfile
from licensehub.audit.actions import Action
from licensehub.audit.log import record_many
from licensehub.database.clock import database_now
from subscriptions.accounts.scope import refuse_outside
from subscriptions.errors import NotActionable
from subscriptions.models import Protection
from subscriptions.models.protection import count_people

# People without a seat count, too: a protected person who is deactivated may come back.
IN_ORGANIZATION = Q(gone_at=None)


def count_covered(protections: Iterable[Protection]) -> None:
    """Write how many people each of these covers now."""
    _write(count_people(protections, IN_ORGANIZATION))


def note_coverage(profile: IntegrationProfile) -> int:
    """Write how many people each protection in force covers now. Call it in each run, after the verdicts.

    Protections that covered somebody at the last count and cover nobody now are marked, with an audit event. Returns
    how many were marked.
    """
    known = list(Protection.objects.in_force().of(profile.pk))
    counts = count_people(known, IN_ORGANIZATION)
    emptied = [one.pk for one in known if one.covered and not counts[one.pk]]
    same = [one.pk for one in known if one.covered == counts[one.pk] and one.lost_at is None]
    with transaction.atomic():
        _write({pk: count for pk, count in counts.items() if pk not in {*emptied, *same}})
        return _mark_lost(emptied, database_now())


def _write(counts: dict[int, int]) -> None:
    ids: dict[int, list[int]] = defaultdict(list)
    for pk, count in counts.items():
        ids[count].append(pk)
    for count, found in ids.items():
        Protection.objects.filter(pk__in=found).update(covered=count, lost_at=None)


def _mark_lost(ids: list[int], now: datetime) -> int:
    rows = Protection.objects.in_force().filter(pk__in=ids, lost_at=None)
    lost = list(rows.select_for_update(of=("self",)).select_related("profile"))
    marked = rows.filter(pk__in=[one.pk for one in lost]).update(lost_at=now)
    if marked != len(lost):
        raise NotActionable(_(_("Somebody has just changed these protections. The next download looks again.")))
    targets = [(one, {"covered": one.covered}) for one in lost]
    record_many(Action.PROTECTION_LOST, actor=None, targets=targets)
    return marked


def accept_loss(protections: Iterable[Protection], *, actor: User) -> int:
    """A user confirms that these cover nobody any more, and leaves them as they are. Returns how many.

    Raises NotActionable when none of them waits for a confirmation.
    """
    with transaction.atomic():
        rows = Protection.objects.lost().filter(pk__in=[one.pk for one in protections])
        seen = list(rows.select_for_update(of=("self",)).select_related("profile"))
        for profile_id in {one.profile_id for one in seen}:
            refuse_outside(actor, profile_id)
        values = {"covered": 0, "lost_at": None}
        updated = Protection.objects.lost().filter(pk__in=[one.pk for one in seen]).update(**values)
        if not seen or updated != len(seen):
            raise NotActionable(_(_("These protections were ended or seen already. Nothing was changed.")))
        targets = [(one, {"covered": one.covered}) for one in seen]
        record_many(Action.PROTECTION_LOSS_SEEN, actor=actor, targets=targets)
    return updated
