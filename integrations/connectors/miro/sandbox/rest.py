"""The part of Miro's REST API about an organization, its people and its teams.

https://developers.miro.com/reference/enterprise-get-organization-members and its neighbors
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from integrations.connectors.miro.sandbox.behavior.limits import Limits
from integrations.connectors.miro.sandbox.state.seed import LICENSES, ROLES, Member, Team
from integrations.connectors.miro.sandbox.state.world import World

from .messages import Answer, Json, Refusal, Request, invalid_parameter, rest_error, too_many

TEAM_ROLES = ("member", "admin", "non_team", "team_guest")
PREBUILT = {"User Admin", "Content Admin", "Security Admin"}
MAX_EMAILS, MAX_LIMIT = 10, 100

Endpoint = Callable[..., Any]


class Route(NamedTuple):
    pattern: re.Pattern[str]
    endpoint: Endpoint
    scope: str
    level: int


class Access(NamedTuple):
    """The scopes of a token, and its team."""

    scopes: list[str]
    team_id: str
    expired: bool = False


class Rest:
    def __init__(self, world: World) -> None:
        self._world = world
        self._limits = Limits()
        org = r"^/v2/orgs/(?P<org>[^/]+)"
        self._routes = (
            Route(re.compile(r"^/v1/oauth-token$"), self._token, "", 1),
            Route(re.compile(f"{org}$"), self._organization, "organizations:read", 3),
            Route(re.compile(f"{org}/members$"), self._members, "organizations:read", 3),
            Route(re.compile(f"{org}/members/(?P<member>[^/]+)$"), self._member, "organizations:read", 3),
            Route(re.compile(f"{org}/teams$"), self._teams, "organizations:teams:read", 1),
            Route(re.compile(f"{org}/teams/(?P<team>[^/]+)/members$"), self._team, "organizations:teams:read", 2),
            Route(re.compile(r"^/v2/audit/logs$"), self._audit, "auditlogs:read", 2),
        )

    def answer(self, request: Request) -> Answer:
        try:
            return self._answer(request)
        except Refusal as refusal:
            return refusal.answer

    def _answer(self, request: Request) -> Answer:
        route, names = self._route(request.path)
        if request.method != "GET":
            refusal = rest_error(405, "methodNotAllowed", f"{request.method} is not supported here")
            refusal.answer.headers["Allow"] = "GET"
            raise refusal
        access = self._authenticate(request)
        headers = self._spend(route.level)
        # The audit log is always that of the token's organization; the path does not name it.
        implied = self._world.organization_id if route.scope else None
        self._authorize(access, route.scope, names.pop("org", implied))
        try:
            return Answer(200, route.endpoint(request, **names), headers)
        except Refusal as refusal:
            refusal.answer.headers.update(headers)
            raise

    def _route(self, path: str) -> tuple[Route, dict[str, str]]:
        for route in self._routes:
            match = route.pattern.match(path)
            if match:
                return route, match.groupdict()
        raise rest_error(404, "notFound", "Resource not found")

    def _authenticate(self, request: Request) -> Access:
        if not request.token:
            raise rest_error(401, "tokenNotProvided", "No authorization token was provided")
        access = self._access(request.token) if self._world.toggles.token_valid else None
        if access and not access.expired:
            return access
        code = self._world.toggles.expired_token_code if access else "tokenNotFound"
        context_call = request.path == "/v1/oauth-token"
        status = self._world.toggles.dead_token_status if context_call else 401
        raise rest_error(status, code, "The access token is unknown or no longer valid")

    def _access(self, token: str) -> Access | None:
        """The scopes and the team of a token; None when it is unknown. The initial token never expires."""
        teams = self._world.install_teams()
        if token == self._world.secrets["access_token"]:
            return Access(self._world.toggles.scopes, next(iter(teams)))
        family = self._world.grants.by_access(token)
        if family is None:
            return None
        ends_at = family.access_ends_at
        return Access(family.scopes, family.team_id, ends_at is not None and ends_at < self._world.now().timestamp())

    def _spend(self, level: int) -> dict[str, str]:
        if not self._world.toggles.rate_limits:
            return {}
        spent = self._limits.rest(level, self._world.now())
        if spent.refused:
            refusal = too_many("rest")
            refusal.answer.headers.update(spent.headers())
            raise refusal
        return spent.headers()

    def _authorize(self, access: Access, scope: str, organization: str | None) -> None:
        toggles = self._world.toggles
        if scope and scope not in access.scopes:
            raise rest_error(403, toggles.forbidden_code, f"Required scopes: {scope}")
        if organization and toggles.installer_role != "admin":
            raise rest_error(403, toggles.forbidden_code, "The user is not a company admin")
        own = self._world.install_teams()[access.team_id]["kind"] == "organization"
        if organization not in (None, self._world.organization_id) or (organization and not own):
            if toggles.unknown_organization == 403:
                raise rest_error(403, toggles.forbidden_code, "No access to this organization")
            raise rest_error(404, "notFound", "Organization not found")

    # --- Endpoints ---------------------------------------------------------------------------------------------------
    def _token(self, request: Request) -> Json:
        access = self._authenticate(request)
        team, installer = self._world.install_teams()[access.team_id], self._world.installer()
        person = {"type": "user", "name": installer.display_name, "id": installer.id}
        context: Json = {
            "type": "access_token",
            "team": {"type": "team", "name": team["name"], "id": access.team_id},
            "createdBy": person,
            "user": person,
            "scopes": list(access.scopes),
        }
        if team["organization"]:
            context["organization"] = {key: team["organization"][key] for key in ("type", "name", "id")}
        return context

    def _organization(self, request: Request) -> Json:
        return dict(self._world.organization())

    def _member(self, request: Request, member: str) -> Json:
        if member not in self._world.members:
            raise rest_error(404, "notFound", "Organization member not found")
        return self._member_json(self._world.members[member])

    def _members(self, request: Request) -> Json | list[Json]:
        """Two formats: a page, or, for e-mail addresses, a bare array that ignores all other filters."""
        if request.query.get("emails"):
            return self._by_emails(request.query["emails"])
        role = _choice(request, "role", ROLES)
        license_name = _choice(request, "license", LICENSES)
        active = _choice(request, "active", ("true", "false"))
        found = [
            (member.id, member)
            for member in self._world.after(_cursor(request))
            if role in (None, member.role)
            and license_name in (None, self._world.shown_license(member))
            and active in (None, str(member.active).lower())
        ]
        return self._page(request, found, self._member_json)

    def _by_emails(self, text: str) -> list[Json]:
        addresses = {address.strip() for address in text.split(",") if address.strip()}
        if len(text.split(",")) > MAX_EMAILS:
            raise invalid_parameter("emails", f"At most {MAX_EMAILS} e-mail addresses")
        return [self._member_json(member) for member in self._world.by_email(addresses)]

    def _teams(self, request: Request) -> Json:
        name, cursor = request.query.get("name", "").lower(), _cursor(request)
        found = [
            (team.id, team)
            for team in self._world.teams.values()
            if team.id > cursor.zfill(19) and name in team.name.lower()
        ]
        return self._page(request, found, _team_json)

    def _team(self, request: Request, team: str) -> Json:
        if team not in self._world.teams:
            raise rest_error(404, "notFound", "Team not found")
        wanted, cursor = _choice(request, "role", TEAM_ROLES), _cursor(request)
        roles = self._world.teams[team].roles
        found = [
            (key, {"id": key, "teamId": team, "role": role, "type": "team-member"})
            for key, role in sorted(roles.items())
            if key > cursor.zfill(19) and wanted in (None, role)
        ]
        return self._page(request, found, dict)

    def _audit(self, request: Request) -> Json:
        found = self._world.audit.page(request, self._world.now(), limit=_limit(request) + 1)
        return self._page(request, [(event["id"], event) for event in found], dict)

    # --- Shapes ------------------------------------------------------------------------------------------------------
    def _page(self, request: Request, found: list[tuple[str, Any]], shape: Callable[[Any], Json]) -> Json:
        limit = _limit(request)
        data = [shape(item) for _, item in found[:limit]]
        page: Json = {"limit": limit, "size": len(data), "data": data, "type": "cursor-list"}
        end = self._world.toggles.end_of_list
        if len(found) > limit or (end == "trailing_empty_page" and data):
            page["cursor"] = found[len(data) - 1][0]
        elif end != "absent":
            page["cursor"] = None if end is None else ""
        return page

    def _member_json(self, member: Member) -> Json:
        shape: Json = {
            "id": member.id,
            "active": member.active,
            "email": member.email,
            "license": self._world.shown_license(member),
            "role": member.role,
            "type": "organization-member",
        }
        activity = self._world.shown_activity(member)
        if activity or self._world.toggles.never_active != "absent":
            shape["lastActivityAt"] = activity or self._world.toggles.never_active
        if member.license_assigned_at:
            shape["licenseAssignedAt"] = member.license_assigned_at
        if member.admin_roles:
            shape["adminRoles"] = [_admin_role(role) for role in member.admin_roles]
        return shape


def _admin_role(role: Any) -> Any:
    """Anything that is no name is sent as it stands, as a server with a fault might do."""
    return {"type": "prebuilt" if role in PREBUILT else "custom", "name": role} if isinstance(role, str) else role


def _team_json(team: Team) -> Json:
    return {"id": team.id, "name": team.name, "type": "team"}


def _choice(request: Request, name: str, allowed: tuple[str, ...]) -> str | None:
    value = request.query.get(name)
    if value is not None and value not in allowed:
        raise invalid_parameter(name, f"One of {', '.join(allowed)}")
    return value


def _cursor(request: Request) -> str:
    cursor = request.query.get("cursor", "")
    if cursor and not (cursor.isascii() and cursor.isdigit()):
        raise invalid_parameter("cursor", "Not a cursor of this list")
    return cursor


def _limit(request: Request) -> int:
    text = request.query.get("limit", str(MAX_LIMIT))
    limit = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    if not 1 <= limit <= MAX_LIMIT:
        raise invalid_parameter("limit", f"From 1 to {MAX_LIMIT}")
    return limit
