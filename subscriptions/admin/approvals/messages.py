"""The messages after an action on a request, for a reclaim and for a restore."""

from __future__ import annotations

from subscriptions.models import Direction, ReclaimRequest

APPROVED = {
    Direction.DEACTIVATE: "{request} is approved: {seats} will be reclaimed. History shows each seat.",
    Direction.REACTIVATE: "{request} is approved: {seats} will be restored. History shows each seat.",
}
REJECTED = {
    Direction.DEACTIVATE: "{request} is rejected. {people} {kept}. You can take this back below.",
    Direction.REACTIVATE: "{request} is rejected. {people} stay deactivated. You can take this back below.",
}
TAKEN_BACK = {
    Direction.DEACTIVATE: "The rejection of {request} is taken back: it waits for a decision again, for {people}.",
    Direction.REACTIVATE: "The rejection of {request} is taken back: it waits for a decision again, for {people}.",
}
TAKEN_BACK_IN = {
    Direction.DEACTIVATE: "{person} is in {request} again.",
    Direction.REACTIVATE: "{person} is in {request} again.",
}
WITHDRAWN = {
    Direction.DEACTIVATE: "{request} is withdrawn. Its people are Ready again.",
    Direction.REACTIVATE: "{request} is withdrawn. Its people stay deactivated.",
}
DROPPED = {
    Direction.DEACTIVATE: "{person} is dropped from {request}: {kept}. You can undo this while the request waits.",
    Direction.REACTIVATE: "{person} is dropped from {request}: the seat stays reclaimed.",
}


def message_for(messages: dict[Direction, str], request: ReclaimRequest, **values: object) -> str:
    return messages[Direction(request.direction)].format(request=request, **values)
