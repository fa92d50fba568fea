"""Steps that the tests of restores share."""

from __future__ import annotations

from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.models import Reclaim
from subscriptions.reclaims.engine import reclaim_due
from tests.support.fixtures import World

REASON = "Back from parental leave"


def reclaimed(world: World, alice, bob, count: int) -> list[Reclaim]:
    """So many people whose seat was taken, by the way that everybody goes."""
    world.first_download()
    request = request_reclaim(world.candidates(count), actor=alice)
    decide.approve(request, actor=bob)
    assert reclaim_due(world.profile).reclaimed == count
    return list(Reclaim.objects.filter(removal__request=request).order_by("pk"))


def id_of(item: Reclaim) -> str:
    return item.subscription.external_id


def activated_by_us(world: World) -> list[str]:
    """Ids in the order of the effective transitions inactive -> active that came in by SCIM."""
    steps = world.miro.truth()["transitions"]
    return [step["id"] for step in steps if step["by"] == "scim" and step["to"] and not step["from"]]


def activations(world: World) -> int:
    """Return how many PATCHes came in after the deactivation."""
    return sum(request["method"] == "PATCH" for request in world.miro.requests()) - 1
