"""A short summary of all changes: enough to check a client without every request and transition."""

from __future__ import annotations

from collections import Counter

from integrations.connectors.miro.sandbox.messages import Json
from integrations.connectors.miro.sandbox.state.world import World


def summary(world: World) -> Json:
    """Ids in the order of their first occurrence.

    `patches`: each one received, as [moment, id, number of the request, whether it was carried out]. The moment is
    of the real clock, to the microsecond, and was taken when the request came in.
    """
    down = Counter(step["id"] for step in world.transitions if step["by"] == "scim" and not step["to"])
    up = {step["id"]: None for step in world.transitions if step["by"] == "human" and step["to"]}
    return {
        "members": len(world.members),
        "inactive": sum(not member.active for member in world.members.values()),
        "deactivated_by_scim": list(down),
        "deactivated_more_than_once": [key for key, times in down.items() if times > 1],
        "most_deactivations": max(down.values(), default=0),
        "activated_by_human": list(up),
        "deactivated_again_after_human": _again(world),
        "patches": [
            [entry["received"], entry["member"], entry["n"], entry["applied"]]
            for entry in world.requests
            if entry["method"] == "PATCH"
        ],
        "requests": len(world.requests),
        "faults": Counter(entry["fault"] for entry in world.requests if entry["fault"]),
    }


def _again(world: World) -> list[str]:
    """People that SCIM deactivated after a human had activated them."""
    rescued: set[str] = set()
    again: dict[str, None] = {}
    for step in world.transitions:
        if step["by"] == "human" and step["to"]:
            rescued.add(step["id"])
        elif step["by"] == "scim" and not step["to"] and step["id"] in rescued:
            again[step["id"]] = None
    return list(again)
