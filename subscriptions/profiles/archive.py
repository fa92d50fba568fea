"""Archive a profile, after its name was typed. Its records stay; everything that could still run or send ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.connections import oauth_flow
from integrations.connectors.contract import english
from integrations.credentials.credential_store import forget_credentials
from integrations.models import IntegrationProfile, ProfileState
from licensehub.audit.actions import Action
from licensehub.audit.log import Actor, record, record_many
from licensehub.database.clock import database_now
from licensehub.ui.formatting import number
from subscriptions.accounts.scope import refuse_outside
from subscriptions.candidates import caps
from subscriptions.candidates.locks import lock_candidates
from subscriptions.downloads import follow_up
from subscriptions.downloads.facts import staging
from subscriptions.errors import NotActionable, Refused
from subscriptions.models import (
    CandidateState,
    CloseReason,
    DownloadRun,
    Protection,
    Reclaim,
    ReclaimRequest,
    ReclaimState,
    RemovalCandidate,
    RequestState,
    RunState,
    Subscription,
)
from subscriptions.models.reclaims.request import WAITING
from subscriptions.reclaims.direction import SPECS
from subscriptions.schedules.schedules import remove_schedules

BUSY = (ReclaimState.CLAIMED, ReclaimState.SENDING, ReclaimState.IN_DOUBT)
REASON = english("The integration profile was archived.")


@dataclass(frozen=True, slots=True)
class Consequences:
    """The numbers of candidates, requests and approved people that end with the profile.

    The other numbers are of what a new profile of the same organization gets: protections in force, people in
    cool-down, and the deactivations that count for the cap in 24 hours.
    """

    candidates: int
    requests: int
    approved: int
    protections: int
    cooling_down: int
    deactivated: int


def consequences_of(profile: IntegrationProfile) -> Consequences:
    return Consequences(
        candidates=_candidates(profile).count(),
        requests=_requests(profile).count(),
        approved=_queued(profile).count(),
        protections=Protection.objects.in_force().filter(profile=profile).count(),
        cooling_down=Subscription.objects.filter(profile=profile, cooldown_until__gt=database_now()).count(),
        deactivated=caps.deactivations_of(profile).count(),
    )


def why_not_archive(profile: IntegrationProfile) -> str:
    """Return why the profile cannot be archived now; empty when it can."""
    if profile.is_archived:
        return _("The profile is archived already.")
    if run := DownloadRun.objects.filter(profile=profile, state=RunState.RUNNING).first():
        return _("{run} is running. Wait until it ends.").format(run=run)
    busy = Reclaim.objects.filter(profile=profile, state__in=BUSY).count()
    if busy:
        said = ngettext(
            "{count} seat is being sent or in doubt. Pause the profile, and wait until this has ended.",
            "{count} seats are being sent or in doubt. Pause the profile, and wait until this has ended.",
            busy,
        )
        return said.format(count=number(busy))
    return ""


def archive(profile: IntegrationProfile, *, typed_name: str, actor: Actor) -> str:
    """Archive the profile. Returns a sentence about the revocation of the token.

    Raises Refused when it cannot be archived now, NotActionable when it is archived already.
    """
    refuse_outside(actor, profile.pk)
    if typed_name.strip() != profile.name:
        raise Refused(
            _("Type the name of the profile, “{profile}”, exactly. Nothing was archived.").format(profile=profile)
        )
    if why_not := why_not_archive(profile):
        raise Refused(_("“{profile}” cannot be archived now. {why_not}").format(profile=profile, why_not=why_not))
    tokens = oauth_flow.tokens_to_revoke(profile)
    with transaction.atomic():
        # First: after it, no claim of this profile can commit a send, and no download can begin.
        rows = IntegrationProfile.objects.filter(pk=profile.pk).exclude(state=ProfileState.ARCHIVED)
        values = {
            "state": ProfileState.ARCHIVED,
            "archived_at": database_now(),
            "download_due_at": None,
            "download_due_by": None,
        }
        if rows.update(**values) != 1:
            raise NotActionable(_("“{profile}” is archived already.").format(profile=profile))
        # Checked again after the guarded UPDATE. A reason that is found now rolls the whole transaction back.
        if why_not := why_not_archive(IntegrationProfile(pk=profile.pk, state=ProfileState.PAUSED)):
            raise Refused(_("“{profile}” cannot be archived now. {why_not}").format(profile=profile, why_not=why_not))
        ended = _end_everything(profile, actor=actor)
        remove_schedules(profile)
        forget_credentials(profile, actor=actor)
        record(Action.PROFILE_ARCHIVED, actor=actor, target=profile, data=ended)
    profile.refresh_from_db()
    return oauth_flow.revoke_all(tokens)


def _end_everything(profile: IntegrationProfile, *, actor: Actor) -> dict[str, int]:
    now = database_now()
    skipped = {"state": ReclaimState.SKIPPED, "finished_at": now, "outcome": REASON, "hold_reason": ""}
    closed = {
        "state": CandidateState.CLOSED_SKIPPED,
        "close_reason": CloseReason.PROFILE_ARCHIVED,
        "state_changed_at": now,
    }
    staging.empty_all(profile)
    follow_up.stop(profile)
    DownloadRun.objects.filter(profile=profile, acceptable=True).update(acceptable=False)
    lock_candidates(_candidates(profile))
    list(_requests(profile).order_by("pk").select_for_update().values_list("pk"))
    approved = 0
    for spec in SPECS.values():
        queued = _queued(profile).filter(direction=spec.direction)
        approved += _end(queued, spec.endings[ReclaimState.SKIPPED], skipped, actor=actor)
    return {
        "approved": approved,
        "requests": _end(_requests(profile), Action.REQUEST_CANCELED, {"state": RequestState.CANCELED}, actor=actor),
        "candidates": _end(_candidates(profile), Action.CANDIDATE_CLOSED, closed, actor=actor),
    }


def _end(rows: QuerySet[Any], action: Action, values: dict[str, object], *, actor: Actor) -> int:
    found = list(rows)
    rows.model.objects.filter(pk__in=[row.pk for row in found]).update(**values)
    record_many(action, actor=actor, targets=[(row, {"reason": REASON}) for row in found])
    return len(found)


def _queued(profile: IntegrationProfile) -> QuerySet[Reclaim]:
    return Reclaim.objects.filter(profile=profile, state=ReclaimState.QUEUED)


def _requests(profile: IntegrationProfile) -> QuerySet[ReclaimRequest]:
    return ReclaimRequest.objects.filter(profile=profile, state__in=WAITING)


def _candidates(profile: IntegrationProfile) -> QuerySet[RemovalCandidate]:
    return RemovalCandidate.objects.open().filter(profile=profile)
