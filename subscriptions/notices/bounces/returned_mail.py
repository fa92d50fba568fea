"""A mail that came back after the mail server had taken it. Silence after such a mail is no answer."""

from __future__ import annotations

import contextlib

from django.contrib.auth.models import User
from django.db import transaction

from integrations.connectors.contract import english
from licensehub.audit.actions import Action
from licensehub.audit.log import Actor, record
from licensehub.database.clock import database_now
from subscriptions.accounts.scope import refuse_outside
from subscriptions.candidates import locks
from subscriptions.candidates.actions import refuse_own_candidate
from subscriptions.errors import NotActionable
from subscriptions.models import Notice, NoticeState, Reclaim, ReclaimState, RemovalCandidate, RequestedRemoval
from subscriptions.notices.no_contact import drop_unreached
from subscriptions.reclaims.outcomes import mark_unsent
from subscriptions.reclaims.recheck import unreached

HANDED_OVER = (NoticeState.SENT, NoticeState.IN_DOUBT)


def came_back(notice: Notice, *, reason: str, actor: Actor) -> bool:
    """Note that this mail came back, and stop the decision that counts the person's silence as an answer.

    `actor` is the user who enters it; None for a report in the mailbox. It takes the lock of the profile's row, as the
    intent of a send does, so that the later one sees the earlier one. Returns False if it was noted before.
    """
    removals = RequestedRemoval.objects.select_related("request", "candidate__subscription")
    person = removals.get(pk=notice.removal_id)
    with transaction.atomic():
        locks.lock_profile(person.request.profile_id)
        locks.lock_candidate(person.candidate_id)
        handed_over = Notice.objects.filter(pk=notice.pk, state__in=HANDED_OVER)
        if handed_over.update(state=NoticeState.BOUNCED, bounced_at=database_now(), problem=reason) != 1:
            return False
        data = {"kind": notice.kind, "request": person.request.number, "reason": reason}
        record(Action.NOTICE_BOUNCED, actor=actor, target=person.candidate, data=data)
        person.refresh_from_db(fields=["answer"])
        if not person.answer:  # a person who answered has read one of our mails
            _stop(person, reason)
    return True


def last_handed_over(candidate: RemovalCandidate) -> Notice | None:
    """The last mail to this person that a mail server took, or may have taken."""
    taken = Notice.objects.filter(removal__candidate=candidate, state__in=HANDED_OVER)
    return taken.order_by("-pk").first()


def enter(candidate: RemovalCandidate, *, reason: str, actor: User) -> None:
    """A user notes that the last mail came back. Raises NotActionable when there is none, or it is noted already.

    Raises ConcernsYou for the user's own seat: with this note the person would leave the request.
    """
    refuse_outside(actor, candidate.profile_id)
    refuse_own_candidate(candidate, actor=actor)
    notice = last_handed_over(candidate)
    if notice is None or not came_back(notice, reason=reason or english("Entered by hand."), actor=actor):
        raise NotActionable(
            english("No mail to {candidate} was handed over, or it is noted already that it came back.").format(
                candidate=candidate
            )
        )


def _stop(person: RequestedRemoval, reason: str) -> None:
    """Take the person out of an undecided request, or end a reclaim that is not sent. A sent one stays as it is."""
    item = Reclaim.objects.select_related("profile", "subscription", "removal__request", "removal__candidate")
    reclaim = item.filter(removal=person).first()
    if reclaim is None:
        drop_unreached(person, english("No contact: the mail came back: {reason}.").format(reason=reason.rstrip(".")))
    elif reclaim.state == ReclaimState.QUEUED:
        with contextlib.suppress(NotActionable):  # it was claimed in this moment
            mark_unsent(reclaim, unreached())
    # A claimed reclaim can no longer commit its send, and ends at the next recheck.
