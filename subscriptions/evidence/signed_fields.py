"""The fields that auditors read, for each kind of row, and the events that have their values.

`SIGNED_TABLES` is the whole list. A field that no event says is not compared.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Model, QuerySet

from integrations.models import IntegrationProfile, ProfileState, SendingControl
from licensehub.audit.actions import Action
from licensehub.audit.models import AuditEvent
from subscriptions.candidates.request_digest import CARRIES_DIGEST
from subscriptions.models import (
    ChangeKind,
    DecidingRight,
    Direction,
    Protection,
    Reclaim,
    ReclaimRequest,
    ReclaimRule,
    ReclaimState,
    RequestState,
)
from subscriptions.reclaims.direction import SPECS
from subscriptions.rules.rules import terms_of

Values = dict[str, Any]
Says = Callable[[AuditEvent], Values]


@dataclass(frozen=True, slots=True)
class SignedTable:
    """One kind of row. `says`: what an event says about its subject, by action. `shown`: the row's values, by field.

    `begins`: the actions that make a row; none for rows that may have no event, e.g. accounts of an installation.
    `about`: the subject of the events, which has the id of the row, if it is another model.
    """

    model: type[Model]
    shown: Callable[[Any], Values]
    says: Mapping[Action, Says]
    begins: frozenset[Action] = frozenset()
    prefetch: tuple[str, ...] = ()
    about: type[Model] | None = None

    @property
    def label(self) -> str:
        return self.model._meta.label_lower

    @property
    def subject(self) -> str:
        return (self.about or self.model)._meta.label_lower

    def rows(self) -> QuerySet[Any]:
        rows: QuerySet[Any] = self.model._default_manager.all()
        return rows.prefetch_related(*self.prefetch)


def plain(value: Any) -> Any:
    """The value in the form that an event has it."""
    return json.loads(json.dumps(value, cls=DjangoJSONEncoder))


def _moment(value: Any) -> str | None:
    return value.isoformat() if value else None


# --- Requests ---------------------------------------------------------------------------------------------------------


def _request(row: ReclaimRequest) -> Values:
    columns = ("direction", "state", "requested_by_id", "reason", "cap", "cap_raised_by_id", "cap_reason")
    decision = {"decided_by_id": row.decided_by_id, "comment": row.comment}
    moments = {"decided_at": _moment(row.decided_at), "valid_until": _moment(row.valid_until)}
    # Only a page that has read the people knows their digest.
    digest = {"digest": row.digest_now} if hasattr(row, "digest_now") else {}
    return {name: getattr(row, name) for name in columns} | decision | moments | digest


UNDECIDED = {"decided_by_id": None, "comment": "", "decided_at": None, "valid_until": None}


def _asked(direction: Direction) -> Says:
    def says(event: AuditEvent) -> Values:
        data, approved = event.data, "valid_until" in event.data
        open_as = RequestState.COLLECTING if data.get("asks") else RequestState.OPEN
        head = {
            "direction": direction.value,
            "requested_by_id": event.actor_id,
            "reason": data["reason"],
            "state": (RequestState.APPROVED if approved else open_as).value,
            "cap": data.get("cap", data["people"]),
            "cap_raised_by_id": None,
            "cap_reason": "",
        }
        return head | UNDECIDED | {name: data[name] for name in ("decided_at", "valid_until") if name in data}

    return says


def _decided(state: RequestState) -> Says:
    def says(event: AuditEvent) -> Values:
        data = event.data
        moments = {"decided_at": data["decided_at"], "valid_until": data.get("valid_until")}
        return {"state": state.value, "decided_by_id": event.actor_id, "comment": data["comment"], **moments}

    return says


def _always(**values: Any) -> Says:
    return lambda event: values


def _digest(event: AuditEvent) -> Values:
    return {"digest": event.data["digest"]}


def _with_digest(says: Says) -> Says:
    return lambda event: {**says(event), **_digest(event)}


_SAID: dict[Action, Says] = {
    Action.REQUEST_OPENED: _asked(Direction.DEACTIVATE),
    Action.RESTORE_REQUESTED: _asked(Direction.REACTIVATE),
    Action.REQUEST_READY: _always(state=RequestState.OPEN.value),
    Action.REQUEST_EMPTY: _always(state=RequestState.EMPTY.value),
    Action.REQUEST_EXPIRED: _always(state=RequestState.EXPIRED.value),
    Action.REQUEST_CANCELED: _always(state=RequestState.CANCELED.value),
    Action.REJECTION_TAKEN_BACK: _always(state=RequestState.OPEN.value, **UNDECIDED),
    Action.REQUEST_APPROVED: _decided(RequestState.APPROVED),
    Action.REQUEST_REJECTED: _decided(RequestState.REJECTED),
    Action.REQUEST_CAP_RAISED: lambda event: {
        "cap": event.data["to"],
        "cap_raised_by_id": event.actor_id,
        "cap_reason": event.data["reason"],
    },
}
REQUESTS = SignedTable(
    ReclaimRequest,
    _request,
    {
        **dict.fromkeys((Action.PERSON_DROPPED, Action.PERSON_TAKEN_BACK_IN), _digest),
        **{action: _with_digest(says) if action in CARRIES_DIGEST else says for action, says in _SAID.items()},
    },
    begins=frozenset({Action.REQUEST_OPENED, Action.RESTORE_REQUESTED}),
)


# --- Reclaims and restores --------------------------------------------------------------------------------------------


def _reclaim(row: Reclaim) -> Values:
    # A claim has no event: it changes nothing that is not the worker's own.
    state = ReclaimState.QUEUED.value if row.state == ReclaimState.CLAIMED else row.state
    columns = ("direction", "outcome", "read_back", "http_status", "license_after")
    return {"state": state, "removal_id": row.removal_id} | {name: getattr(row, name) for name in columns}


def _ended(state: ReclaimState) -> Says:
    def says(event: AuditEvent) -> Values:
        data = event.data
        found = {name: data[name] for name in ("read_back", "http_status", "license_after") if name in data}
        # The outcome of an item in doubt may still change: it is read back.
        if "read_back" in data:
            found["outcome"] = data["outcome"]
        elif "reason" in data:
            found["outcome"] = data["reason"]
        return {"state": state.value, **found}

    return says


def _queued(direction: str) -> Says:
    return lambda event: {"direction": direction, "state": "queued", "removal_id": event.data["removal"]}


def _of_reclaims() -> dict[Action, Says]:
    found: dict[Action, Says] = {}
    for direction, spec in SPECS.items():
        found[spec.queued] = _queued(direction)
        found[spec.requeued] = _always(state=ReclaimState.QUEUED.value)
        found[spec.sending] = _always(state=ReclaimState.SENDING.value)
        found |= {action: _ended(state) for state, action in spec.endings.items()}
    return found


RECLAIMS = SignedTable(Reclaim, _reclaim, _of_reclaims(), begins=frozenset(spec.queued for spec in SPECS.values()))


# --- Rules and protections --------------------------------------------------------------------------------------------


RULES = SignedTable(
    ReclaimRule,
    lambda rule: {**plain(terms_of(rule)), "version": rule.version},
    {
        Action.RULE_CREATED: lambda event: {**event.data.get("terms", {}), "version": 1},
        Action.RULE_CHANGED: lambda event: {
            **{name: change["to"] for name, change in event.data["changed"].items()},
            "version": event.data["version"],
        },
    },
    begins=frozenset({Action.RULE_CREATED}),
    prefetch=("license_thresholds",),
)
PROTECTION = ("kind", "value", "external_id", "reason", "owner", "ends_at")


def _protection(row: Protection) -> Values:
    own = {"created_by_id": row.created_by_id, "ended": row.ended_at is not None, "ended_by_id": row.ended_by_id}
    return {**plain({name: getattr(row, name) for name in PROTECTION}), **own}


PROTECTIONS = SignedTable(
    Protection,
    _protection,
    {
        Action.PROTECTION_CREATED: lambda event: {
            **{name: event.data[name] for name in PROTECTION},
            "created_by_id": event.actor_id,
            "ended": False,
            "ended_by_id": None,
        },
        Action.PROTECTION_BOUND: lambda event: {"external_id": event.data["to"]},
        Action.PROTECTION_ENDED: lambda event: {"ended": True, "ended_by_id": event.actor_id},
    },
    begins=frozenset({Action.PROTECTION_CREATED}),
)


# --- Profiles and switches --------------------------------------------------------------------------------------------


def _profile(row: IntegrationProfile) -> Values:
    columns = ("name", "kind", "state", "reclaim_enabled", "sending_stopped")
    return {**{name: getattr(row, name) for name in columns}, "held": row.held_at is not None}


def _changed_profile(event: AuditEvent) -> Values:
    found = {name: event.data[name] for name in ("reclaim_enabled",) if name in event.data}
    return {**found, "name": event.data["name"]["to"]} if "name" in event.data else found


PROFILES = SignedTable(
    IntegrationProfile,
    _profile,
    {
        Action.PROFILE_CREATED: lambda event: {
            "name": event.target_label,
            "kind": event.data["kind"],
            "state": ProfileState.DRAFT.value,
            "reclaim_enabled": True,
            "sending_stopped": False,
            "held": False,
        },
        Action.PROFILE_CHANGED: _changed_profile,
        Action.PROFILE_PUBLISHED: _always(state=ProfileState.PUBLISHED.value),
        Action.PROFILE_PAUSED: _always(state=ProfileState.PAUSED.value),
        Action.PROFILE_RESUMED: _always(state=ProfileState.PUBLISHED.value),
        Action.PROFILE_ARCHIVED: _always(state=ProfileState.ARCHIVED.value),
        Action.SENDING_STOPPED: _always(sending_stopped=True),
        Action.SENDING_ALLOWED: _always(sending_stopped=False),
        Action.PROFILE_HELD: _always(held=True),
        Action.PROFILE_HOLD_RELEASED: _always(held=False),
    },
    begins=frozenset({Action.PROFILE_CREATED}),
)
CONTROL = SignedTable(
    SendingControl,
    lambda row: {"stopped": row.stopped, "reason": row.reason, "held": row.held_at is not None},
    {
        Action.ALL_SENDING_STOPPED: lambda event: {"stopped": True, "reason": event.data["reason"]},
        Action.ALL_SENDING_ALLOWED: _always(stopped=False, reason=""),
        Action.SENDING_HELD: _always(held=True),
        Action.SENDING_RELEASED: _always(held=False),
    },
)


# --- Accounts ---------------------------------------------------------------------------------------------------------


def _user(row: User) -> Values:
    return {
        "username": row.username,
        "email": row.email,
        "active": row.is_active,
        "staff": row.is_staff,
        "superuser": row.is_superuser,
        "roles": sorted(group.name for group in row.groups.all()),
    }


def _account(event: AuditEvent) -> Values:
    """The facts after a change. The event of an older version has some of them beside."""
    data = event.data
    after = data["after"] if isinstance(data.get("after"), dict) else data
    known = ("username", "email", "active", "staff", "superuser", "roles")
    return {name: sorted(after[name]) if name == "roles" else after[name] for name in known if name in after}


def _took_effect(event: AuditEvent) -> Values:
    """A second admin confirmed it, or a day was over."""
    if event.data["kind"] == ChangeKind.ADDRESS:
        return {"email": event.data["after"]}
    return {"superuser": True} if event.data["kind"] == ChangeKind.SUPERUSER else {}


USERS = SignedTable(
    User,
    _user,
    {
        Action.USER_CREATED: _account,
        Action.USER_CHANGED: _account,
        Action.USER_ROLES_CHANGED: lambda event: {"roles": sorted(event.data["after"])},
        Action.ROLES_BY_SIGN_ON: lambda event: {"roles": sorted(event.data["after"])},
        Action.RIGHTS_TOOK_EFFECT: _took_effect,
    },
    prefetch=("groups",),
)

RIGHTS = SignedTable(
    DecidingRight,
    lambda right: {"in_effect": right.ended_at is None},
    {
        # The address or the password of an account took effect: that says nothing about this row.
        Action.RIGHTS_TOOK_EFFECT: lambda event: {"in_effect": True} if event.data["kind"] == ChangeKind.GRANT else {},
        Action.RIGHTS_ENDED: _always(in_effect=False),
    },
    begins=frozenset({Action.RIGHTS_TOOK_EFFECT}),
    about=User,
)

SIGNED_TABLES = (REQUESTS, RECLAIMS, RULES, PROTECTIONS, PROFILES, CONTROL, USERS, RIGHTS)
