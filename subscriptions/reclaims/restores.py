"""Restore people who were reclaimed: one person at once, several after the approval of a second person.

A restore is a request with the other direction. Each person in it refers to the reclaim that it takes back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Case, Count, Exists, Max, OuterRef, Q, QuerySet, Value, When
from django.db.models.fields.json import KeyTextTransform
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.connectors.registry import vendor_texts
from integrations.models import IntegrationProfile
from integrations.scopes.visibility import seen_by
from licensehub.audit.log import record
from licensehub.database.clock import database_now
from licensehub.ui.formatting import number
from subscriptions.accounts.own_seat import refuse_own_seat, seats_of
from subscriptions.accounts.scope import refuse_outside
from subscriptions.bulk_sql import FEW, planned_for
from subscriptions.candidates import locks
from subscriptions.candidates.request_digest import approval_of, first_digests, people_of
from subscriptions.errors import NotActionable, Refused
from subscriptions.models import (
    Direction,
    DownloadRun,
    Reclaim,
    ReclaimRequest,
    ReclaimState,
    RequestedRemoval,
    RequestState,
    Subscription,
)
from subscriptions.models.reclaims.reclaim import VERIFIED
from subscriptions.reclaims import switches
from subscriptions.reclaims.direction import RESTORE
from subscriptions.reclaims.enqueue import enqueue
from subscriptions.reclaims.outcomes import RESTORED_COOLDOWN
from subscriptions.reclaims.switches import Operation
from subscriptions.schedules.working_days import end_of_window

DAY: Final = timedelta(hours=24)


def after_each_restore() -> tuple[str, str]:
    """A sentence about the things that LicenseHub does after each restore, at any vendor."""
    left_alone = _("LicenseHub leaves the person alone for {days} days: no older approval, and no new candidate.")
    return (
        _("License and role are read right after it, and compared with those before the reclaim."),
        left_alone.format(days=RESTORED_COOLDOWN.days),
    )


def notes(profile: IntegrationProfile) -> dict[str, tuple[str, ...]]:
    """The texts that are shown before a restore, and on its record."""
    texts = profile.texts
    return {"comes_back": (*texts.comes_back, *after_each_restore()), "cannot_come_back": texts.cannot_come_back}


# --- Is a license free? -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FreeLicenses:
    """The free licenses of one type, by the last download and the changes of LicenseHub since.

    `bought` is None if the vendor does not show the number. `needed` is the number that a restore asks for.
    """

    license: str
    held: int
    bought: int | None
    needed: int

    @property
    def free(self) -> int | None:
        return None if self.bought is None else max(0, self.bought - self.held)

    @property
    def suffices(self) -> bool:
        return self.free is None or self.free >= self.needed


def free_licenses(profile: IntegrationProfile, needed: Mapping[str, int]) -> list[FreeLicenses]:
    """The free licenses of each type that a restore needs (type -> people)."""
    run = DownloadRun.objects.complete().filter(profile=profile).first()
    bought = run.purchased if run else {}
    rows = Subscription.objects.filter(profile=profile, license__in=list(needed)).held().order_by()
    held = dict(rows.values_list("license").annotate(n=Count("pk")))
    return [FreeLicenses(word, held.get(word, 0), bought.get(word), count) for word, count in sorted(needed.items())]


def needed_by(reclaims: QuerySet[Reclaim]) -> dict[str, int]:
    """License type -> the number of people who had it before these reclaims."""
    # A new query: the annotations of the list would be grouped by, too.
    rows = Reclaim.objects.filter(pk__in=reclaims.order_by().values("pk")).order_by()
    return dict(rows.values_list(KeyTextTransform("license", "removal__evidence")).annotate(n=Count("pk")))


# --- May this be restored? --------------------------------------------------------------------------------------------


def _others() -> QuerySet[Reclaim]:
    return Reclaim.objects.filter(subscription=OuterRef("subscription"))


def why_not(*, few: bool = True) -> Case:
    """An expression for rows of Reclaim: why it cannot be restored, in a sentence; empty where it can.

    With `few`, the later reclaims of each row are looked up one by one. Without, all of them are read once, since a
    plan could read the whole table for each row.
    """
    under_way = _others().filter(Reclaim.UNDER_WAY)
    open_requests = RequestedRemoval.objects.not_dropped().filter(request__state=RequestState.OPEN)
    requested = open_requests.filter(restores=OuterRef("pk"))
    # An IN with a list: a subquery with a join would be planned for each row.
    restored = Reclaim.objects.filter(state=ReclaimState.DONE, removal__restores__isnull=False)
    later: Exists | Q = Exists(_others().filter(pk__gt=OuterRef("pk"), state=ReclaimState.DONE))
    if not few:
        done = Reclaim.objects.filter(state=ReclaimState.DONE).order_by().values("subscription")
        later = ~Q(pk__in=done.annotate(last=Max("pk")).values("last"))
    # Not a join: the list would keep the join in each of its queries, also in those that read keys only.
    active = Subscription.objects.filter(pk=OuterRef("subscription"), active=True)
    clauses: tuple[tuple[Any, str], ...] = (
        (
            ~VERIFIED,
            _("Only a verified reclaim can be restored. As far as LicenseHub knows, this one took no seat away."),
        ),
        (
            Q(pk__in=restored.values("removal__restores")),
            _("This reclaim is restored already. Somebody has deactivated the person since."),
        ),
        (Exists(under_way), _("A reclaim or restore of this person is under way already.")),
        (Exists(requested), _("A request to restore this person waits for its approval already.")),
        (later, _("This seat was reclaimed again later. Restore the later reclaim.")),
        (
            Exists(active),
            _("This person is active at {vendor} already, so there is nothing to restore.").format(
                vendor=vendor_texts().vendor
            ),
        ),
    )
    return Case(*(When(clause, then=Value(sentence)) for clause, sentence in clauses), default=Value(""))


def why_not_restore(reclaim: Reclaim) -> str:
    """Return why it cannot be restored now; empty when it can."""
    return str(Reclaim.objects.filter(pk=reclaim.pk).values_list(why_not(), flat=True).get())


def why_not_alone(actor: User) -> str:
    """Return why this account cannot restore one more person without a second person; empty when it can.

    Else somebody with a stolen session or token could restore one person after the other.
    """
    most, since = settings.LONE_RESTORES_PER_DAY, database_now() - DAY
    with seen_by(None):
        alone = ReclaimRequest.objects.filter(
            direction=Direction.REACTIVATE, decided_by=None, valid_until__isnull=False
        )
        if alone.filter(requested_by=actor, requested_at__gt=since).count() < most:
            return ""
    return ngettext(
        "One account restores at most {count} person in 24 hours without a second person. Choose “Request restore” in "
        "History: then another person approves it.",
        "One account restores at most {count} people in 24 hours without a second person. Choose “Request restore” in "
        "History: then another person approves it.",
        most,
    ).format(count=number(most))


def restorable(reclaims: QuerySet[Reclaim], *, few: bool = True) -> QuerySet[Reclaim]:
    return reclaims.alias(why_not=why_not(few=few)).filter(why_not="")


# --- The actions ------------------------------------------------------------------------------------------------------


def restore(reclaim: Reclaim, *, actor: User, reason: str) -> Reclaim:
    """Restore this one person: the request is approved when it is made, signed and queued. Returns the queued item.

    Raises Refused or NotActionable; then nothing was changed.
    """
    refuse_outside(actor, reclaim.profile_id)
    with transaction.atomic():
        profile = locks.lock_profile(reclaim.profile_id)
        # Two at the same time, also of two profiles, count one after the other.
        User.objects.select_for_update(no_key=True).get(pk=actor.pk)
        if sentence := why_not_restore(reclaim):
            raise NotActionable(sentence)
        if sentence := why_not_alone(actor):
            raise Refused(sentence)
        now = database_now()
        values = {
            "state": RequestState.APPROVED,
            "decided_at": now,
            "valid_until": now + settings.APPROVAL_VALIDITY,
        }
        rows = Reclaim.objects.filter(pk=reclaim.pk)
        request = _create(profile, rows, actor=actor, reason=reason, now=now, **values)
        enqueue(request, list(people_of(request)), actor=actor, now=now)
    return Reclaim.objects.get(removal__request=request)


def request_restore(reclaims: QuerySet[Reclaim], *, actor: User, reason: str) -> ReclaimRequest:
    """Request the restore of these reclaims, as far as they can be restored. All are of one profile.

    Another person decides. Raises NotActionable when none can be restored, Refused when the profile or the person does
    not allow it.
    """
    profile = _one_profile(reclaims)
    with transaction.atomic():
        locks.lock_profile(profile.pk)
        count = reclaims.count()
        with planned_for(count):
            chosen = list(restorable(reclaims, few=count <= FEW).order_by("pk").values_list("pk", flat=True))
        if not chosen:
            raise NotActionable(_("None of these reclaims can be restored any more. Nothing was changed."))
        profile.refresh_from_db()
        rows = Reclaim.objects.filter(pk__in=chosen)
        return _create(profile, rows, actor=actor, reason=reason, now=database_now(), state=RequestState.OPEN)


def _one_profile(reclaims: QuerySet[Reclaim]) -> IntegrationProfile:
    profiles = list(IntegrationProfile.objects.filter(pk__in=reclaims.order_by().values("profile"))[:2])
    if len(profiles) > 1:
        raise Refused(_("These reclaims belong to several profiles. Request each profile by itself."))
    if not profiles:
        raise NotActionable(_("Nobody is selected, so there is nothing to restore."))
    return profiles[0]


def _create(
    profile: IntegrationProfile, reclaims: QuerySet[Reclaim], *, actor: User, reason: str, now: datetime, **values: Any
) -> ReclaimRequest:
    """Make the request with its people, each with the evidence of the reclaim that it takes back."""
    refuse_outside(actor, profile.pk)
    if not reason.strip():
        raise Refused(_("Say in a few words why this is restored: an auditor will want to know."))
    switches.refuse(profile, Operation.RESTORE)
    with planned_for(reclaims.count()):
        rows = list(reclaims.select_related("removal").order_by("pk"))
    request = ReclaimRequest.objects.create(
        profile=profile,
        direction=Direction.REACTIVATE,
        requested_by=actor,
        requested_at=now,
        reason=reason.strip(),
        expires_at=end_of_window(now),
        cap=len(rows),
        **values,
    )
    people = RequestedRemoval.objects.bulk_create(
        RequestedRemoval(
            request=request, candidate_id=row.removal.candidate_id, evidence=row.removal.evidence, restores=row
        )
        for row in rows
    )
    refuse_own_seat(seats_of(request.removals.all()), actor=actor, profile=profile)
    data = {"people": len(people), "reason": reason.strip(), **first_digests(request), **approval_of(request)}
    record(RESTORE.requested, actor=actor, target=request, data=data)
    return request
