"""The fields that auditors read, for each kind of row, and the events that have their values.

`SIGNED_TABLES` is the whole list. A field that no event says is not compared.
"""

from __future__ import annotations

import json
from typing import Any

from django.contrib.auth.models import User
from django.core.serializers.json import DjangoJSONEncoder

from integrations.models import IntegrationProfile, ProfileState, SendingControl
from licensehub.audit.actions import Action
from licensehub.audit.models import AuditEvent
from subscriptions.candidates.request_digest import CARRIES_DIGEST
from subscriptions.evidence.rows.signed_table import Always, ByActor, Says, SignedTable, Values
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


def _digest(event: AuditEvent) -> Values:
    return {"digest": event.data["digest"]}


def _with_digest(says: Says) -> Says:
    return lambda event: {**says(event), **_digest(event)}


_SAID: dict[Action, Says] = {
    Action.REQUEST_OPENED: _asked(Direction.DEACTIVATE),
    Action.RESTORE_REQUESTED: _asked(Direction.REACTIVATE),
    Action.REQUEST_READY: Always(state=RequestState.OPEN.value),
    Action.REQUEST_EMPTY: Always(state=RequestState.EMPTY.value),
    Action.REQUEST_EXPIRED: Always(state=RequestState.EXPIRED.value),
    Action.REQUEST_CANCELED: Always(state=RequestState.CANCELED.value),
    Action.REJECTION_TAKEN_BACK: Always(state=RequestState.OPEN.value, **UNDECIDED),
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
    may_say={
        **dict.fromkeys((Action.PERSON_DROPPED, Action.PERSON_TAKEN_BACK_IN), frozenset({"digest"})),
        **dict.fromkeys((Action.REQUEST_EMPTY, Action.REQUEST_EXPIRED, Action.REQUEST_CANCELED), frozenset({"state"})),
        **dict.fromkeys(
            (Action.REQUEST_APPROVED, Action.REQUEST_REJECTED, Action.REJECTION_TAKEN_BACK),
            frozenset({"state", "digest", *UNDECIDED}),
        ),
        Action.REQUEST_READY: frozenset({"state", "digest"}),
        Action.REQUEST_CAP_RAISED: frozenset({"cap", "cap_raised_by_id", "cap_reason", "digest"}),
    },
    without_text={
        **{action: says for action, says in _SAID.items() if isinstance(says, Always)},
        Action.REQUEST_OPENED: ByActor("requested_by_id", direction=Direction.DEACTIVATE.value),
        Action.RESTORE_REQUESTED: ByActor("requested_by_id", direction=Direction.REACTIVATE.value),
        Action.REQUEST_APPROVED: ByActor("decided_by_id", state=RequestState.APPROVED.value),
        Action.REQUEST_REJECTED: ByActor("decided_by_id", state=RequestState.REJECTED.value),
        Action.REQUEST_CAP_RAISED: ByActor("cap_raised_by_id"),
    },
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
        found[spec.requeued] = Always(state=ReclaimState.QUEUED.value)
        found[spec.sending] = Always(state=ReclaimState.SENDING.value)
        found |= {action: _ended(state) for state, action in spec.endings.items()}
    return found


_OF_AN_END = frozenset({"state", "outcome", "read_back", "http_status", "license_after"})
RECLAIMS = SignedTable(
    Reclaim,
    _reclaim,
    _of_reclaims(),
    begins=frozenset(spec.queued for spec in SPECS.values()),
    may_say={
        **{action: frozenset({"state"}) for spec in SPECS.values() for action in (spec.requeued, spec.sending)},
        **{action: _OF_AN_END for spec in SPECS.values() for action in spec.endings.values()},
    },
    without_text={
        **{spec.queued: Always(direction=direction, state="queued") for direction, spec in SPECS.items()},
        **{end: Always(state=state.value) for spec in SPECS.values() for state, end in spec.endings.items()},
    },
)


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
        Action.PROTECTION_ENDED: ByActor("ended_by_id", ended=True),
    },
    begins=frozenset({Action.PROTECTION_CREATED}),
    may_say={
        Action.PROTECTION_BOUND: frozenset({"external_id"}),
        Action.PROTECTION_ENDED: frozenset({"ended", "ended_by_id"}),
    },
    without_text={
        Action.PROTECTION_CREATED: ByActor("created_by_id", ended=False, ended_by_id=None),
    },
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
        Action.PROFILE_PUBLISHED: Always(state=ProfileState.PUBLISHED.value),
        Action.PROFILE_PAUSED: Always(state=ProfileState.PAUSED.value),
        Action.PROFILE_RESUMED: Always(state=ProfileState.PUBLISHED.value),
        Action.PROFILE_ARCHIVED: Always(state=ProfileState.ARCHIVED.value),
        Action.SENDING_STOPPED: Always(sending_stopped=True),
        Action.SENDING_ALLOWED: Always(sending_stopped=False),
        Action.PROFILE_HELD: Always(held=True),
        Action.PROFILE_HOLD_RELEASED: Always(held=False),
    },
    begins=frozenset({Action.PROFILE_CREATED}),
    may_say={
        Action.PROFILE_CHANGED: frozenset({"name", "reclaim_enabled"}),
        **dict.fromkeys(
            (Action.PROFILE_PUBLISHED, Action.PROFILE_PAUSED, Action.PROFILE_RESUMED, Action.PROFILE_ARCHIVED),
            frozenset({"state"}),
        ),
        **dict.fromkeys((Action.SENDING_STOPPED, Action.SENDING_ALLOWED), frozenset({"sending_stopped"})),
        **dict.fromkeys((Action.PROFILE_HELD, Action.PROFILE_HOLD_RELEASED), frozenset({"held"})),
    },
)
CONTROL = SignedTable(
    SendingControl,
    lambda row: {"stopped": row.stopped, "reason": row.reason, "held": row.held_at is not None},
    {
        Action.ALL_SENDING_STOPPED: lambda event: {"stopped": True, "reason": event.data["reason"]},
        Action.ALL_SENDING_ALLOWED: Always(stopped=False, reason=""),
        Action.SENDING_HELD: Always(held=True),
        Action.SENDING_RELEASED: Always(held=False),
    },
    may_say={
        **dict.fromkeys((Action.ALL_SENDING_STOPPED, Action.ALL_SENDING_ALLOWED), frozenset({"stopped", "reason"})),
        **dict.fromkeys((Action.SENDING_HELD, Action.SENDING_RELEASED), frozenset({"held"})),
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
        "profiles": _profiles(row),
    }


def _profiles(row: User) -> list[int] | None:
    """The ids of the profiles for which the roles hold; None for all."""
    scope = getattr(row, "profile_scope", None)
    return None if scope is None else sorted(one.pk for one in scope.profiles.all())


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
        Action.ACCOUNT_BY_SIGN_ON: _account,
        Action.ACCOUNT_CONFIRMED: _account,
        Action.USER_ROLES_CHANGED: lambda event: {"roles": sorted(event.data["after"])},
        Action.ROLES_BY_SIGN_ON: lambda event: {"roles": sorted(event.data["after"])},
        Action.RIGHTS_TOOK_EFFECT: _took_effect,
        Action.SCOPE_CHANGED: lambda event: {"profiles": event.data["profiles"]},
    },
    prefetch=("groups", "profile_scope__profiles"),
    may_say={
        **dict.fromkeys((Action.USER_ROLES_CHANGED, Action.ROLES_BY_SIGN_ON), frozenset({"roles"})),
        Action.SCOPE_CHANGED: frozenset({"profiles"}),
        **dict.fromkeys((Action.ACCOUNT_BY_SIGN_ON, Action.ACCOUNT_CONFIRMED), frozenset({"email"})),
        Action.RIGHTS_TOOK_EFFECT: frozenset({"email", "superuser"}),
    },
)

RIGHTS = SignedTable(
    DecidingRight,
    lambda right: {"in_effect": right.ended_at is None},
    {
        # The address or the password of an account took effect: that says nothing about this row.
        Action.RIGHTS_TOOK_EFFECT: lambda event: {"in_effect": True} if event.data["kind"] == ChangeKind.GRANT else {},
        Action.RIGHTS_ENDED: Always(in_effect=False),
    },
    begins=frozenset({Action.RIGHTS_TOOK_EFFECT}),
    about=User,
)

SIGNED_TABLES = (REQUESTS, RECLAIMS, RULES, PROTECTIONS, PROFILES, CONTROL, USERS, RIGHTS)
