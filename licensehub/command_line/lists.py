"""The lists that can be shown and exported, with their columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from licensehub.command_line.output import Column, field


def of(*names: str) -> tuple[Column, ...]:
    """`state.label as State`: a value by its path, and its heading."""
    pairs = (name.partition(" as ") for name in names)
    return tuple((heading or path.capitalize().replace("_", " "), field(path)) for path, _as, heading in pairs)


# The name of the list is that of the call of the client.
LISTS: Final[Mapping[str, tuple[Column, ...]]] = {
    "profiles": of("id", "name", "vendor", "organization_name as Organization", "state.label as State", "reclaims"),
    "connections": of("id", "profile_name as Profile", "label as Connection", "state.label as State", "fingerprint"),
    "protections": of("id", "profile", "kind", "value", "state", "reason", "owner", "ends_at as End"),
    "candidates": of("id", "profile", "name", "email", "state.label as State", "why", "since"),
    "requests": of(
        *("id", "number", "profile", "direction", "state.label as State", "people", "requested_by", "requested_at"),
        *("decided_by", "reason"),
    ),
    "people": of("id", "name", "email", "external_id as Vendor id", "answer.label as Answer", "drop_reason as Dropped"),
    "history": of(
        *("id", "profile", "direction", "state.label as State", "name", "email", "requested_by", "decided_by"),
        *("finished_at", "outcome"),
    ),
    "runs": of("id", "number", "profile", "state.label as State", "started_at", "read", "new", "gone", "problem"),
    "subscriptions": of(
        *("id", "profile", "name", "email", "department", "license.label as License", "idle_since"),
        *("verdict.label as Verdict", "verdict.reason as Why"),
    ),
    "webhooks": of("id", "name", "format", "host", "state.label as State", "delivered_at", "error as What is wrong"),
    "audit": of("sequence", "at", "actor", "action.code as Action", "target"),
    "users": of("id", "username", "name", "state", "roles", "profiles", "last_sign_in"),
    "roles": of("id", "name", "rights"),
    "rights_changes": of("id", "kind.label as Change", "account", "asked_by", "asked_at", "state.label as State"),
}
