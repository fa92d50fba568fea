"""Events of the audit that an act of today still relies on. Their texts are not erased until that has ended.

They may name a person who has left, and be about somebody of the same name, or about a request whose reason mentions
the person. Without its text, such an event would stop the approval or the send for all others in it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from integrations.connectors.contract import english
from licensehub.audit.actions import Action
from licensehub.audit.models import AuditEvent
from licensehub.database.clock import database_now
from licensehub.sign_in.factors import credentials
from subscriptions.models import (
    ChangeState,
    Reclaim,
    ReclaimRequest,
    RemovalCandidate,
    RequestedRemoval,
    RequestState,
)
from subscriptions.models.reclaims.request import WAITING
from subscriptions.reclaims.signed.state import OF_PERSON
from subscriptions.reclaims.signed.switches import SIGNED_SWITCHES

CHUNK = 2000
OF_RIGHTS = (
    *(Action.RIGHTS_ASKED, Action.RIGHTS_ANNOUNCED, Action.RIGHTS_TOOK_EFFECT, Action.RIGHTS_ENDED),
    *credentials.TELLING,
)

BY_REQUEST = english(
    "Event {sequence} of the audit names this person, or a namesake, and {request} still needs it. Try "
    "again when that request is at its end."
)
BY_CANDIDATE = english(
    "Event {sequence} of the audit names this person, or a namesake, and an open candidate still needs "
    "it. Try again when the candidate is closed."
)
BY_SWITCH = english(
    "Event {sequence} of the audit names this person, and says how a switch that stops sending is set. Set the switch "
    "again, with a reason that names nobody, and then try again."
)
BY_RELEASE = english(
    "Event {sequence} of the audit names this person, and makes older approvals void. Try again when nothing is queued."
)
BY_RIGHT = english(
    "Event {sequence} of the audit names this person, and is about the right of {account} to decide, which is in "
    "effect or waits. Try again when this right has ended."
)


def needed_requests() -> QuerySet[ReclaimRequest]:
    """Requests that are not at their end: they wait, have unfinished items, or their rejection can be taken back."""
    unfinished = Reclaim.objects.unfinished().order_by().values("removal__request")
    rejected = Q(state=RequestState.REJECTED, expires_at__gt=database_now())
    return ReclaimRequest.objects.filter(Q(state__in=WAITING) | Q(pk__in=unfinished) | rejected)


def why_needed(sequences: Sequence[int]) -> str:
    """Return why the text of one of these events stays for now, in one sentence; empty when all may be erased."""
    needed = _Needed.now()
    for start in range(0, len(sequences), CHUNK):
        events = AuditEvent.objects.filter(pk__in=sequences[start : start + CHUNK]).order_by("sequence")
        if sentence := next(filter(None, map(needed.why, events)), ""):
            return sentence
    return ""


@dataclass(frozen=True, slots=True)
class _Needed:
    """Ids of rows, by label: the number of the request that needs their events; and the sequences of switches."""

    requests: dict[tuple[str, int], str]
    open_candidates: set[int]
    switches: set[int]
    release: int | None
    accounts: dict[int, str]

    @classmethod
    def now(cls) -> _Needed:
        numbers = {row.pk: row.number for row in needed_requests()}
        people = RequestedRemoval.objects.filter(request__in=list(numbers)).order_by()
        requests = {(ReclaimRequest._meta.label_lower, pk): number for pk, number in numbers.items()}
        for pk, candidate, item, request in people.values_list("pk", "candidate", "reclaim", "request"):
            rows = ((RequestedRemoval, pk), (RemovalCandidate, candidate), (Reclaim, item))
            requests |= {(model._meta.label_lower, one): numbers[request] for model, one in rows if one is not None}
        deciding = Q(deciding_right__isnull=False, deciding_right__ended_at=None)
        accounts = User.objects.filter(deciding | Q(rights_changes__state=ChangeState.WAITING))
        return cls(
            requests,
            set(RemovalCandidate.objects.open().values_list("pk", flat=True)),
            set(_of_switches()),
            _newest_release(),
            dict(accounts.values_list("pk", "username")),
        )

    def why(self, event: AuditEvent) -> str:
        number = event.sequence
        if request := self.requests.get((event.target_type, event.target_id)):
            return _(BY_REQUEST).format(sequence=number, request=request)
        if event.action in OF_PERSON and event.target_id in self.open_candidates:
            return _(BY_CANDIDATE).format(sequence=number)
        if number in self.switches:
            return _(BY_SWITCH).format(sequence=number)
        if number == self.release:
            return _(BY_RELEASE).format(sequence=number)
        if event.action in OF_RIGHTS and event.target_id in self.accounts:
            return _(BY_RIGHT).format(sequence=number, account=self.accounts[event.target_id])
        return ""


def _of_switches() -> Iterator[int]:
    """The newest event of each switch says whether it is on. One without its text may be about any detail."""
    for switch in SIGNED_SWITCHES:
        needed: dict[int, list[int]] = defaultdict(list)
        events = AuditEvent.objects.filter(target_type=switch.model._meta.label_lower, action__in=list(switch.events))
        for target, sequence, data in events.order_by("sequence").values_list("target_id", "sequence", "data"):
            if not switch.detail or switch.detail in data:
                needed[target].clear()
            needed[target].append(sequence)
        yield from chain.from_iterable(needed.values())


def _newest_release() -> int | None:
    if not Reclaim.objects.unfinished().exists():
        return None
    released = AuditEvent.objects.filter(action=Action.SENDING_RELEASED, data__renew=True).order_by("-sequence")
    return released.values_list("sequence", flat=True).first()
