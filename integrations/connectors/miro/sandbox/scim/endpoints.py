"""Miro's SCIM API: people of the directory, and the write of `active`.

https://developers.miro.com/reference/scim-introduction and RFC 7644
"""

from __future__ import annotations

from typing import Any

from integrations.connectors.miro.sandbox.behavior.limits import Limits
from integrations.connectors.miro.sandbox.messages import (
    SCIM_ROOT,
    SCIM_TYPE,
    Answer,
    Json,
    Refusal,
    Request,
    scim_error,
    too_many,
)
from integrations.connectors.miro.sandbox.scim import filters
from integrations.connectors.miro.sandbox.scim.discovery import (
    CORE,
    ENTERPRISE,
    LIST,
    listing,
    resource_types,
    schemas,
    service_provider_config,
)
from integrations.connectors.miro.sandbox.scim.patch import changes, replacement
from integrations.connectors.miro.sandbox.state.seed import ADMIN, Member
from integrations.connectors.miro.sandbox.state.world import World

DEFAULT_COUNT, MAX_COUNT = 100, 1000
MAX_BODY = 800_000
DISCOVERY = ("ServiceProviderConfig", "ResourceTypes", "Schemas")
USER_TYPES = {"free_restricted": "Free Restricted", "full_trial": "Full (Trial)"}


class Scim:
    def __init__(self, world: World) -> None:
        self._world = world
        self._limits = Limits()
        self.base = SCIM_ROOT  # the server prepends its address

    def answer(self, request: Request) -> Answer:
        try:
            return self._answer(request)
        except Refusal as refusal:
            return refusal.answer

    def _answer(self, request: Request) -> Answer:
        self._authenticate(request)
        parts = request.path.removeprefix(SCIM_ROOT).strip("/").split("/")
        if parts[0] in DISCOVERY:
            _allow(request, "GET")
            return self._ok(self._about(parts))
        if parts[0] != "Users" or len(parts) > 2:
            raise scim_error(404, f"There is nothing at {request.path}")
        _allow(request, *(("GET", "PATCH", "PUT") if len(parts) == 2 else ("GET",)))
        bucket = f"{request.method} {len(parts)}"
        if self._world.toggles.rate_limits and self._limits.scim(bucket, self._world.now()).refused:
            raise too_many("scim")
        if len(parts) == 1:
            return self._ok(self._list(request))
        return self._one(request, self._find(parts[1]))

    def _one(self, request: Request, member: Member) -> Answer:
        if request.method == "GET":
            return self._ok(_project(self.user(member), request.query.get("attributes", "")))
        self._write(request, member)
        answer = self._ok(self.user(member))
        answer.applied = True
        return answer

    def _about(self, parts: list[str]) -> Json:
        if parts == ["ServiceProviderConfig"]:
            return service_provider_config(patch=self._world.toggles.patch_supported)
        known = resource_types(self.base) if parts[0] == "ResourceTypes" else schemas(self.base)
        if len(parts) == 1:
            return listing(list(known.values()))
        if len(parts) == 2 and parts[1] in known:
            return known[parts[1]]
        raise scim_error(404, f"There is nothing at {'/'.join(parts)}")

    @staticmethod
    def _ok(body: Json) -> Answer:
        return Answer(200, body, content_type=SCIM_TYPE)

    def _authenticate(self, request: Request) -> None:
        toggles = self._world.toggles
        if request.token != self._world.secrets["scim_token"] or not toggles.scim_token_valid:
            raise scim_error(401, "The organization cannot be authenticated from the token")
        if not toggles.scim_enabled:
            raise scim_error(403, "SCIM integration is disabled")

    def _find(self, identifier: str) -> Member:
        """SCIM does not know guests, although REST lists them with the same kind of id."""
        member = self._world.in_directory(identifier)
        if member is not None:
            return member
        raise scim_error(404, f"No valid resources: [{{memberId={identifier}, display=null}}]")

    # --- Reading -----------------------------------------------------------------------------------------------------
    def _list(self, request: Request) -> Json:
        start = max(1, _number(request, "startIndex", 1))
        count = max(0, min(MAX_COUNT, _number(request, "count", DEFAULT_COUNT)))
        people: list[Any] = self._world.directory()
        if request.query.get("filter") or request.query.get("sortBy"):
            people = self._select(request, [self.user(member) for member in people])
        chosen = [item if isinstance(item, dict) else self.user(item) for item in people[start - 1 : start - 1 + count]]
        attributes = request.query.get("attributes", "")
        return {
            "schemas": [LIST],
            "totalResults": len(people),
            "itemsPerPage": len(chosen),
            "startIndex": start,
            "Resources": [_project(user, attributes) for user in chosen],
        }

    @staticmethod
    def _select(request: Request, users: list[Json]) -> list[Json]:
        text, sort_by = request.query.get("filter", ""), request.query.get("sortBy", "")
        if text:
            try:
                users = list(filter(filters.parse(text), users))
            except filters.FilterError as error:
                raise scim_error(400, f"The filter cannot be read: {error}", "invalidFilter") from error
        if sort_by:
            backwards = request.query.get("sortOrder", "ascending").lower() == "descending"
            users.sort(key=lambda user: str(filters.values(user, sort_by)).casefold(), reverse=backwards)
        return users

    def user(self, member: Member) -> Json:
        """The full resource, as far as the toggle and the member's own `scim` do not change it."""
        user = self._user(member)
        hidden = {"absent": ("displayName",), "parts": ("displayName", "name.formatted")}.get(
            self._world.toggles.display_name, ()
        )
        user["name"] = {key: value for key, value in user["name"].items() if f"name.{key}" not in hidden}
        user = {**{key: value for key, value in user.items() if key not in hidden}, **member.scim}
        return {key: value for key, value in user.items() if value != "absent"}

    def _user(self, member: Member) -> Json:
        return {
            "schemas": [CORE],
            "id": member.id,
            "meta": {"resourceType": "User", "location": f"{self.base}/Users/{member.id}"},
            "userName": member.email,
            "name": {
                "formatted": member.display_name,
                "familyName": member.family,
                "givenName": member.given,
            },
            "displayName": member.display_name,
            "userType": user_type(self._world.shown_license(member)),
            "active": member.active,
            "emails": [{"value": member.email, "type": "work", "display": member.email, "primary": True}],
            "groups": self._groups(member),
            "roles": _roles(member),
            "preferredLanguage": "en_US",
            ENTERPRISE: self._enterprise(member),
        }

    def _groups(self, member: Member) -> list[Json]:
        teams = self._world.teams.values()
        return [{"value": team.id, "display": team.name} for team in teams if member.id in team.roles]

    def _enterprise(self, member: Member) -> Json:
        known = {
            "department": member.department,
            "costCenter": member.cost_center,
            "division": member.division,
            "employeeNumber": member.employee_number,
            "manager": self._manager(member),
        }
        return {key: value for key, value in known.items() if value}

    def _manager(self, member: Member) -> Any:
        """RFC 7643 has an object; a toggle gives what identity providers write instead."""
        manager = self._world.members.get(member.manager)
        if manager is None:
            return None
        form = self._world.toggles.manager_form
        if form in ("text", "list"):
            return [manager.display_name] if form == "list" else manager.display_name
        if form == "id":
            return manager.id
        return {"value": manager.id, "displayName": manager.display_name}

    # --- Writing -----------------------------------------------------------------------------------------------------
    def _write(self, request: Request, member: Member) -> None:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in {SCIM_TYPE, "application/json"}:
            raise scim_error(415, f"Unsupported media type {kind!r}")
        if len(request.body) > MAX_BODY:
            raise scim_error(413, f"The payload is larger than {MAX_BODY} bytes")
        if request.method == "PATCH":
            wanted = changes(request, member, self._world.toggles.patch_value)
        else:
            wanted = replacement(request, member, self.user(member))
        self._must_be_unique(wanted.get("email", member.email), member)
        if member.active and wanted.get("active") is False:
            self._may_deactivate(member)
        if not member.active and {"email", "license", "role"} & wanted.keys():
            raise scim_error(409, "userName, userType and roles of a deactivated user cannot be changed")
        if not member.active and wanted.get("active"):
            wanted |= self._license_of_activation(member)
        self._world.change(member, wanted, by="scim", request=request.n)

    def _must_be_unique(self, email: str, member: Member) -> None:
        """Refuses with the messages of https://developers.miro.com/docs/errors."""
        if email != member.email and any(other.id != member.id for other in self._world.by_email({email})):
            raise scim_error(400, f"User name '{email}' is invalid: 'not unique'", "invalidValue")

    def _license_of_activation(self, member: Member) -> Json:
        """Miro decides which license it gives. When none of the old kind is free, it is another one, or none."""
        policy = self._world.toggles.restore_without_seat
        if member.license != "full" or self._world.free_full_licenses() > 0 or policy == "overbook":
            return {}
        if policy == "refuse":
            raise scim_error(409, "There are no free licenses left in the organization")
        return {"license": "free_restricted"}

    def _may_deactivate(self, member: Member) -> None:
        toggles = self._world.toggles
        if member.role == ADMIN and toggles.company_admin_deactivation == "refuse":
            raise scim_error(409, f"{member.email} is a company admin; revoke the role before deactivation")
        teams = self._world.teams_without_other_admin(member.id)
        if teams and toggles.team_admin_deactivation == "refuse":
            raise scim_error(409, f"{member.email} is the last admin of the team {teams[0].name!r}")


def user_type(license_name: str) -> str:
    """SCIM's word for a license: https://developers.miro.com/reference/createuser"""
    return USER_TYPES.get(license_name, license_name.capitalize())


def _roles(member: Member) -> list[Json]:
    primary = "ORGANIZATION_INTERNAL_ADMIN" if member.role == ADMIN else "ORGANIZATION_INTERNAL_USER"
    display = "Company Admin" if member.role == ADMIN else "Member"
    extra = [
        {"type": "organization_admin_role", "value": name, "display": name, "primary": False}
        for name in member.admin_roles
    ]
    return [{"type": "organization_user_role", "value": primary, "display": display, "primary": True}, *extra]


def _allow(request: Request, *methods: str) -> None:
    if request.method not in methods:
        refusal = scim_error(405, f"{request.method} is not supported here")
        refusal.answer.headers["Allow"] = ", ".join(methods)
        raise refusal


def _number(request: Request, name: str, default: int) -> int:
    try:
        return int(request.query.get(name, default))
    except ValueError as error:
        raise scim_error(400, f"{name} must be a whole number", "invalidValue") from error


def _project(user: Json, attributes: str) -> Json:
    """Only the requested attributes, and always `id` and `schemas` (RFC 7644, section 3.9)."""
    wanted = [name.strip().lower() for name in attributes.split(",") if name.strip()]
    if not wanted:
        return user
    shown = {}
    for key, value in user.items():
        below = [name.removeprefix(f"{key.lower()}.") for name in wanted if name.startswith(f"{key.lower()}.")]
        if key.lower() in {"id", "schemas", *wanted}:
            shown[key] = value
        elif below:
            shown[key] = [_only(item, below) for item in value] if isinstance(value, list) else _only(value, below)
    return shown


def _only(value: Any, names: list[str]) -> Any:
    return {key: item for key, item in value.items() if key.lower() in names} if isinstance(value, dict) else value
