"""The messages after an action on a request, for a reclaim and for a restore."""

from __future__ import annotations

from subscriptions.models import Direction, ReclaimRequest

APPROVED = {
    Direction.DEACTIVATE: "{request} is approved: {seats} will be reclaimed. History shows each seat.",
    Direction.REACTIVATE: "{request} is approved: {seats} will be restored. History shows each seat.",
}
REJECTED = {
    Direction.DEACTIVATE: "{request} is rejected. {seats} will not be reclaimed, nor requested during the cool-down.",
    Direction.REACTIVATE: "{request} is rejected. {seats} will not be restored.",
}
WITHDRAWN = {
    Direction.DEACTIVATE: "{request} is withdrawn. Its people are Ready again.",
    Direction.REACTIVATE: "{request} is withdrawn. Its people stay deactivated.",
}
DROPPED = {
    Direction.DEACTIVATE: "{person} is dropped from {request}: the seat stays.",
    Direction.REACTIVATE: "{person} is dropped from {request}: the seat stays reclaimed.",
}


def message_for(messages: dict[Direction, str], request: ReclaimRequest, **values: object) -> str:
    return messages[Direction(request.direction)].format(request=request, **values)
