"""The organization as it is now: people, teams, clock, toggles, and its past changes. A Store keeps all of it."""

from __future__ import annotations

import bisect
import threading
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from integrations.connectors.miro.sandbox.behavior.toggles import Toggles
from integrations.connectors.miro.sandbox.messages import Json, SandboxError
from integrations.connectors.miro.sandbox.oauth.grants import Grants
from integrations.connectors.miro.sandbox.state.audit import AuditLog, Doer, openings, provisioner, user
from integrations.connectors.miro.sandbox.state.seed import (
    ADMIN,
    INTERNAL,
    LICENSES,
    ROLES,
    USER,
    Member,
    Population,
    Team,
    app_secrets,
    iso,
    populate,
    unfit_teams,
)
from integrations.connectors.miro.sandbox.state.store import Store

CHANGEABLE = {
    "last_activity_at", "license_assigned_at", "active", "license", "role", "email", "display_name", "admin_roles",
    "given", "family", "scim",
}  # fmt: skip


class World:
    """Every method takes `lock`. Hold it around calls that belong together."""

    def __init__(self, store: Store, *, members: int, seed: int, now: datetime | None = None) -> None:
        self.lock = threading.RLock()
        # Called with each transition, under the lock.
        self.on_transition: Callable[[Json], None] = lambda transition: None
        self._store = store
        meta = store.all("meta")
        if "secrets" not in meta:
            self._create(members, seed, now or datetime.now(UTC))
            meta = store.all("meta")
        self._load(meta)

    def _create(self, count: int, seed: int, now: datetime) -> None:
        made = populate(count, seed, now)
        stranger = populate(5, seed + 1_000_003, now)
        with self._store.transaction():
            self._save_population(made)
            self._store.put("meta", "foreign", [asdict(member) for member in stranger.members])
            self._store.put("meta", "secrets", made.secrets)

    def _save_population(self, made: Population) -> None:
        self._store.put_many("members", [(member.id, asdict(member)) for member in made.members])
        self._store.put_many("teams", [(team.id, asdict(team)) for team in made.teams])
        self._store.put("meta", "organization", made.organization)
        self._keep_events(openings(made.organization, made.members))

    def _load(self, meta: Json) -> None:
        self.secrets: dict[str, str] = {**app_secrets(meta["organization"]["id"]), **meta["secrets"]}
        self.grants = Grants(meta.get("oauth"))
        self._organization: Json = meta["organization"]
        self.toggles = Toggles(**meta.get("toggles", {}))
        self._offset = timedelta(seconds=meta.get("offset", 0))
        self.foreign = [Member(**doc) for doc in meta["foreign"]]
        self.members = {key: Member(**doc) for key, doc in self._store.all("members").items()}
        self.ids = sorted(self.members)
        self.teams = {key: Team(**doc) for key, doc in sorted(self._store.all("teams").items())}
        self.transitions: list[Json] = list(self._store.all("transitions").values())
        self.audit = AuditLog(self._organization, self._store.all("events").values())
        self.requests: list[Json] = list(self._store.all("requests").values())

    # --- Reading ---------------------------------------------------------------------------------------------------
    def now(self) -> datetime:
        return datetime.now(UTC) + self._offset

    @property
    def organization_id(self) -> str:
        return str(self._organization["id"])

    def organization(self) -> Json:
        bought = self.toggles.full_licenses_purchased
        return self._organization if bought is None else {**self._organization, "fullLicensesPurchased": bought}

    def free_full_licenses(self) -> int:
        with self.lock:
            taken = sum(member.active and member.license == "full" for member in self.members.values())
            return int(self.organization()["fullLicensesPurchased"]) - taken

    def after(self, cursor: str) -> list[Member]:
        """Members whose id is greater than the cursor, in the order of ids."""
        with self.lock:
            return [self.members[key] for key in self.ids[bisect.bisect_right(self.ids, cursor.zfill(19)) :]]

    def by_email(self, addresses: set[str]) -> list[Member]:
        """The members with these addresses, without regard to case."""
        wanted = {address.lower() for address in addresses}
        with self.lock:
            return [member for member in self.after("") if member.email.lower() in wanted]

    def installer(self) -> Member:
        """The person who installs the app: a company admin as required, or an ordinary member if the toggle says so."""
        role = ADMIN if self.toggles.installer_role == "admin" else USER
        with self.lock:
            everybody = self.after("")
            return next((member for member in everybody if member.role == role), everybody[0])

    def install_teams(self) -> dict[str, Json]:
        """Teams for the app to be installed on: id -> name, kind, about, organization (None for a Developer team)."""
        ours = self.organization()
        teams = {
            team.id: {"name": team.name, "kind": "organization", "about": ours["name"], "organization": ours}
            for team in self.teams.values()
        }
        return teams | unfit_teams(ours)

    def save_grants(self) -> None:
        with self.lock:
            self._store.put("meta", "oauth", self.grants.as_json())

    def shown_license(self, member: Member) -> str:
        freed = self.toggles.deactivated_license == "freed" and not member.active
        return "free" if freed else member.license

    def shown_activity(self, member: Member) -> str | None:
        """The last activity as REST shows it: a date before the feed stopped, if it has stopped."""
        days, domain = self.toggles.frozen_feed_days, self.toggles.frozen_feed_domain
        if not (member.last_activity_at and days) or not member.email.lower().endswith(domain and f"@{domain}"):
            return member.last_activity_at
        # Earlier dates are not stored, so each person gets one of the ten days before.
        stopped = self.now() - timedelta(days=days, hours=int(member.id) % 240)
        return min(member.last_activity_at, iso(stopped))

    def teams_without_other_admin(self, member_id: str) -> list[Team]:
        """Teams whose last active admin this person is."""
        return [team for team in self.teams.values() if self._sole_admin(team) == {member_id}]

    def _sole_admin(self, team: Team) -> set[str]:
        return {key for key, role in team.roles.items() if role == "admin" and self.members[key].active}

    def directory(self) -> list[Member]:
        """The people that SCIM manages: company admins and members, no guests."""
        people = self.foreign if self.toggles.foreign_scim else self.after("")
        return [member for member in people if member.role in INTERNAL]

    def in_directory(self, member_id: str) -> Member | None:
        if self.toggles.foreign_scim:
            return next((member for member in self.directory() if member.id == member_id), None)
        member = self.members.get(member_id)
        return member if member and member.role in INTERNAL else None

    # --- Changing --------------------------------------------------------------------------------------------------
    def change(self, member: Member, changes: Json, *, by: str, request: int | None = None) -> None:
        """Write a person. A change of `active` is a transition, written in the same transaction."""
        with self.lock:
            if member.id not in self.members:  # a person of the other organization; nothing is stored
                _assign(member, changes)
                return
            before = {name: getattr(member, name) for name in (*changes, "active")}
            _assign(member, changes)
            with self._store.transaction():
                self._store.put("members", member.id, asdict(member))
                self._keep_events(self._events_of(member, before, by))
                if member.active != before["active"]:
                    self._transition(member, by, request)

    def _events_of(self, member: Member, before: Json, by: str) -> list[Json]:
        """The audit log events of a change."""
        events = self.audit.changed(member, before, self.now(), by=self._doer(by))
        opened = member.last_activity_at
        if opened and opened != before.get("last_activity_at", opened):
            events.append(self.audit.opened(member, _parse(opened)))
        return events

    def _doer(self, by: str) -> Doer:
        """SCIM, or the company admin for changes by hand."""
        return provisioner(self._organization) if by == "scim" else user(self.installer())

    def _keep_events(self, events: list[Json]) -> None:
        self._store.put_many("events", [(event["id"], event) for event in events])

    def _transition(self, member: Member, by: str, request: int | None) -> None:
        entry: Json = {
            "n": len(self.transitions) + 1,
            "id": member.id,
            "email": member.email,
            "from": not member.active,
            "to": member.active,
            "at": iso(self.now()),
            "by": by,
            "request": request,
        }
        self.transitions.append(entry)
        self._store.put("transitions", entry["n"], entry)
        self.on_transition(entry)

    def change_by_hand(self, member_id: str, changes: Json) -> Member:
        """A change that a person or an admin makes in Miro itself."""
        with self.lock:
            member = self.members[member_id]
            if changes.get("removed"):
                self._remove(member)
                return member
            if changes.get("made_again"):
                return self._make_again(member)
            checked = {key: self._by_hand(key, value) for key, value in changes.items() if key != "removed"}
            self.change(member, checked, by="human")
            return member

    def _by_hand(self, key: str, value: Any) -> Any:
        if key not in CHANGEABLE:
            raise SandboxError(f"{key!r} of a member cannot be changed.")
        if key.endswith("_at"):
            if value is None:
                return None
            return iso(self.now() if value == "now" else _parse(value))
        if key == "active" and not isinstance(value, bool):
            raise SandboxError("active is true or false.")
        if key in ("admin_roles", "scim") and not isinstance(value, list if key == "admin_roles" else dict):
            raise SandboxError("admin_roles is a list, and scim an object.")
        if key in ("email", "display_name") and not isinstance(value, str):
            raise SandboxError(f"{key} is a text.")
        known = {"license": LICENSES, "role": ROLES}.get(key)
        if known and value not in known:
            raise SandboxError(f"{value!r} is not a {key} of Miro.")
        return value

    def _remove(self, member: Member) -> None:
        event = self.audit.removed(member, self.now(), by=self._doer("human"))
        del self.members[member.id]
        self.ids.remove(member.id)
        with self._store.transaction():
            self._store.delete("members", member.id)
            self._keep_events([event])
            for team in self.teams.values():
                if team.roles.pop(member.id, None):
                    self._store.put("teams", team.id, asdict(team))

    def _make_again(self, member: Member) -> Member:
        """Delete the account and make another one for the same person: all facts but the id are the same."""
        again = replace(member, id=str(int(self.ids[-1]) + 1).zfill(19))
        self._remove(member)
        self.members[again.id] = again
        self.ids.append(again.id)
        self._store.put("members", again.id, asdict(again))
        return again

    def set_toggles(self, changes: Json) -> Json:
        with self.lock:
            self.toggles.change(changes)
            self._store.put("meta", "toggles", self.toggles.as_json())
            return self.toggles.as_json()

    def set_clock(self, *, offset_seconds: float | None = None, now: str | None = None) -> datetime:
        with self.lock:
            if now is not None:
                offset_seconds = (_parse(now) - datetime.now(UTC)).total_seconds()
            self._offset = timedelta(seconds=offset_seconds or 0)
            self._store.put("meta", "offset", offset_seconds or 0)
            return self.now()

    # --- The journal of requests -------------------------------------------------------------------------------------
    def begin_request(self, entry: Json) -> Json:
        with self.lock:
            entry["n"] = self.requests[-1]["n"] + 1 if self.requests else 1
            entry["at"] = iso(self.now())
            entry["received"] = datetime.now(UTC).isoformat(timespec="microseconds")
            self.requests.append(entry)
            self._store.put("requests", entry["n"], entry)
            return entry

    def end_request(self, entry: Json, **result: Any) -> None:
        with self.lock:
            entry.update(result)
            self._store.put("requests", entry["n"], entry)

    def truth(self) -> Json:
        with self.lock:
            return {
                "organization_id": self.organization_id,
                "members": len(self.members),
                "inactive": [key for key in self.ids if not self.members[key].active],
                "transitions": list(self.transitions),
                "requests": len(self.requests),
            }

    def close(self) -> None:
        with self.lock:
            self._store.close()


def _assign(member: Member, changes: Json) -> None:
    allowed = {item.name for item in fields(Member)}
    for key, value in changes.items():
        if key not in allowed:
            raise SandboxError(f"A member has no {key!r}.")
        setattr(member, key, value)


def _parse(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError) as error:
        raise SandboxError(f"{text!r} is no ISO 8601 date and time.") from error
    return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
