"""Accept or discard a quarantined download: two people may accept it, one may discard it.

Why a run was quarantined is decided in `validation`, or by an answer that the connector refused.

Accepting takes a reason and a second person, since it may mark many people as gone. Only a run that was read to its
end, for the right organization, can be accepted, and only while no newer download is complete.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db import transaction
from django.utils.translation import gettext as _

from licensehub.audit.actions import Action
from licensehub.audit.log import record
from licensehub.database.clock import database_now
from licensehub.ui.formatting import inside
from subscriptions.accounts.origins import TIED_FOR, tied_to
from subscriptions.accounts.own_seat import NO_ADDRESS, accounts_of
from subscriptions.accounts.scope import refuse_outside
from subscriptions.downloads import follow_up
from subscriptions.downloads.facts.merge import Merged, leaving, preview_merge
from subscriptions.downloads.run import StagingLost, write_facts
from subscriptions.errors import NotActionable, Refused
from subscriptions.models import DownloadedMember, DownloadRun, RunState
from subscriptions.reclaims import switches
from subscriptions.reclaims.switches import Operation

MIN_REASON_LENGTH = 10


@dataclass(frozen=True, slots=True)
class AcceptanceEffect:
    """The effect of accepting. `names` are some of the people who would be marked as gone."""

    counts: Merged
    names: list[str]


def effect_of(run: DownloadRun, *, names: int = 20) -> AcceptanceEffect:
    return AcceptanceEffect(counts=preview_merge(run), names=[str(person) for person in leaving(run, count=names)])


def why_not_acceptable(run: DownloadRun) -> str:
    """Return why the run cannot be accepted; empty when it can."""
    if run.state != RunState.QUARANTINED:
        return _("{run} is {state}.").format(run=run, state=inside(run.get_state_display()))
    if not run.acceptable:
        if DownloadRun.objects.with_facts().filter(profile=run.profile, pk__gt=run.pk).exists():
            return _("A newer download is complete, so this one is not needed any more.")
        return _("It was not read to its end, or not for the right organization, so nothing of it can be used.")
    return switches.refusal(run.profile, Operation.PROPOSE)


def why_not_confirm(run: DownloadRun, user: User) -> str:
    """Return why this person cannot confirm; empty when they can."""
    if run.proposed_by is None:
        return _("Nobody has proposed to accept it yet.")
    if not user.email.strip():
        return str(NO_ADDRESS)
    if run.proposed_by_id in accounts_of(user, run.profile):
        return _("You proposed it, so another person must confirm it.")
    if user.pk in tied_to(accounts_of(run.proposed_by, run.profile)):
        sentence = _(
            "Your account is tied to the account of the person who proposed this: in the last {days} days, one of the "
            "two made or changed the other. Another person must confirm it."
        )
        return sentence.format(days=TIED_FOR.days)
    return why_not_acceptable(run)


def propose(run: DownloadRun, *, reason: str, actor: User) -> None:
    """The first of two steps. Raises Refused, and NotActionable when another user was first."""
    refuse_outside(actor, run.profile_id)
    if why_not := why_not_acceptable(run):
        raise Refused(_("{run} cannot be accepted. {why_not}").format(run=run, why_not=why_not))
    if not actor.email.strip():
        raise Refused(NO_ADDRESS)
    if len(reason.strip()) < MIN_REASON_LENGTH:
        raise Refused(_("Say in a sentence why this download can be believed, for the person who confirms it."))
    with transaction.atomic():
        rows = DownloadRun.objects.filter(pk=run.pk, state=RunState.QUARANTINED, acceptable=True, proposed_by=None)
        if rows.update(proposed_by=actor, proposed_at=database_now(), proposal_reason=reason.strip()) != 1:
            raise NotActionable(
                _("Somebody has proposed to accept {run} already, or it changed. Reload its page.").format(run=run)
            )
        record(Action.DOWNLOAD_PROPOSED, actor=actor, target=run, data={"reason": reason.strip()})


def accept(run: DownloadRun, *, actor: User) -> None:
    """The second step: the run's members become the facts, as of its own time. Raises Refused or NotActionable.

    The next task, or the sweep, does its follow-up.
    """
    refuse_outside(actor, run.profile_id)
    if why_not := why_not_confirm(run, actor):
        raise Refused(_("{run} cannot be accepted by you now. {why_not}").format(run=run, why_not=why_not))
    with transaction.atomic():
        rows = DownloadRun.objects.filter(
            pk=run.pk,
            state=RunState.QUARANTINED,
            acceptable=True,
            proposed_by__isnull=False,
            # Not over a join: the guard must stay in the UPDATE itself, see ADR 15.
            profile__in=switches.profiles_allowing(Operation.PROPOSE),
        ).exclude(proposed_by__in=accounts_of(actor, run.profile))
        now = database_now()
        values = {"token": uuid.uuid4(), "lease_until": now, **follow_up.first_values()}
        if rows.update(decided_by=actor, decided_at=now, **values) != 1:
            raise NotActionable(
                _("{run} was decided by somebody else, or has changed. Reload its page.").format(run=run)
            )
        try:
            counts = write_facts(run, now=run.finished_at or run.started_at)
        except StagingLost as error:
            raise Refused(error.message) from error
        data = {"proposed_by": run.proposed_by.get_username() if run.proposed_by else "", **counts}
        record(Action.DOWNLOAD_ACCEPTED, actor=actor, target=run, data=data)
    run.refresh_from_db()


def discard(run: DownloadRun, *, actor: User) -> None:
    """Discard its members. The facts of the last complete download stay."""
    refuse_outside(actor, run.profile_id)
    with transaction.atomic():
        rows = DownloadRun.objects.filter(pk=run.pk, state=RunState.QUARANTINED)
        values = {"decided_by": actor, "decided_at": database_now(), "acceptable": False}
        if rows.update(state=RunState.DISCARDED, **values) != 1:
            raise NotActionable(
                _("{run} was decided by somebody else, or has changed. Reload its page.").format(run=run)
            )
        DownloadedMember.objects.filter(run=run).delete()
        record(Action.DOWNLOAD_DISCARDED, actor=actor, target=run, data={"problem": run.problem})
