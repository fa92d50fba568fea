"""The messages after an action on a request, for a reclaim and for a restore."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from subscriptions.models import Direction, ReclaimRequest

APPROVED = {
    Direction.DEACTIVATE: _("{request} is approved: {seats} will be reclaimed. History shows each seat."),
    Direction.REACTIVATE: _("{request} is approved: {seats} will be restored. History shows each seat."),
}
REJECTED = {
    Direction.DEACTIVATE: _("{request} is rejected. {kept} You can take this back below."),
    Direction.REACTIVATE: _("{request} is rejected. {people} stay deactivated. You can take this back below."),
}
TAKEN_BACK = {
    Direction.DEACTIVATE: _("The rejection of {request} is taken back: it waits for a decision again, for {people}."),
    Direction.REACTIVATE: _("The rejection of {request} is taken back: it waits for a decision again, for {people}."),
}
TAKEN_BACK_IN = {
    Direction.DEACTIVATE: _("{person} is in {request} again."),
    Direction.REACTIVATE: _("{person} is in {request} again."),
}
WITHDRAWN = {
    Direction.DEACTIVATE: _("{request} is withdrawn. Its people are Ready again."),
    Direction.REACTIVATE: _("{request} is withdrawn. Its people stay deactivated."),
}
DROPPED = {
    Direction.DEACTIVATE: _("{person} is dropped from {request}: {kept}. You can undo this while the request waits."),
    Direction.REACTIVATE: _("{person} is dropped from {request}: the seat stays reclaimed."),
}


def message_for(messages: Mapping[Direction, Promise], request: ReclaimRequest, **values: object) -> str:
    return str(messages[Direction(request.direction)]).format(request=request, **values)
