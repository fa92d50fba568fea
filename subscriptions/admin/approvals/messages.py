"""The messages after an action on a request, for a reclaim and for a restore."""

from __future__ import annotations

from subscriptions.models import Direction, ReclaimRequest

APPROVED = {
    Direction.DEACTIVATE: "{request} is approved: {seats} will be reclaimed. History shows each seat.",
    Direction.REACTIVATE: "{request} is approved: {seats} will be restored. History shows each seat.",
}
REJECTED = {
    Direction.DEACTIVATE: "{request} is rejected. {seats} stay, and cannot be requested again during the cool-down.",
    Direction.REACTIVATE: "{request} is rejected. {seats} stay reclaimed.",
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
