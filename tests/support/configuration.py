"""Files of configuration: what differs from them, and what applying them did."""

from __future__ import annotations

from typing import Any

from licensehub.configuration.apply import apply
from licensehub.configuration.document import as_yaml, plan_of
from licensehub.configuration.reading import read_text


def applied(found: dict[str, Any], caller: Any, *, prune: bool = False) -> list[str]:
    plan = apply(read_text(as_yaml(found), "x"), caller, prune=prune)
    if plan.mistakes:
        raise plan.mistakes[0]
    return [str(change) for change in plan.changes]


def differences(found: dict[str, Any]) -> list[str]:
    plan = plan_of(read_text(as_yaml(found), "x"), prune=False)
    assert plan.mistakes == []
    return [str(change) for change in plan.changes]
