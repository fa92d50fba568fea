"""A toggle for each behavior that Miro does not document, or documents in two ways, so that tests cover all."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from integrations.connectors.miro.sandbox.messages import SandboxError

CHOICES: dict[str, tuple[Any, ...]] = {
    "end_of_list": ("", None, "absent", "trailing_empty_page"),
    "never_active": ("absent", None, ""),
    "forbidden_code": ("insufficientPermissions", "forbiddenAccess"),
    "dead_token_status": (400, 401),
    "patch_value": ("both", "string", "boolean", "object"),
    "display_name": ("shown", "absent", "parts"),
    "manager_form": ("object", "text", "id", "list"),
    "restore_without_seat": ("other_license", "refuse", "overbook"),
    "company_admin_deactivation": ("refuse", "allow"),
    "team_admin_deactivation": ("refuse", "allow"),
    "deactivated_license": ("kept", "freed"),
    "unknown_organization": (404, 403),
    "expired_token_code": ("tokenNotFound", "tokenExpired"),
    "installer_role": ("admin", "member"),
}
SCOPES = ["auditlogs:read", "boards:read", "identity:read", "organizations:read", "organizations:teams:read"]


@dataclass(slots=True)
class Toggles:
    end_of_list: str | None = ""  # the cursor of the last page
    never_active: str | None = "absent"  # lastActivityAt of a person who was never active
    forbidden_code: str = "insufficientPermissions"
    frozen_feed_days: int = 0  # the activity dates are those of so many days ago
    frozen_feed_domain: str = ""  # only the dates of people at this domain; empty for all
    retry_after: bool = False  # whether a 429 has this header; Miro documents only X-RateLimit-Reset
    dead_token_status: int = 400  # of /v1/oauth-token, as the published OpenAPI file has it
    patch_value: str = "both"  # the form of `active` in a PATCH: a type, or an object without a path
    display_name: str = "shown"  # of a SCIM user; with "parts", name.formatted is missing, too
    manager_form: str = "object"  # the type of `manager` of a SCIM user
    restore_without_seat: str = "other_license"  # the effect of an activation when all Full licenses are taken
    company_admin_deactivation: str = "refuse"
    team_admin_deactivation: str = "refuse"  # of the last active admin of a team
    deactivated_license: str = "kept"  # freed: a deactivated person shows the license `free`
    unknown_organization: int = 404  # a valid token asks for an organization that is not its own
    rate_limits: bool = True
    scim_enabled: bool = True
    scopes: list[str] = field(default_factory=lambda: list(SCOPES))  # ticked in the app; the optional ones, too
    token_valid: bool = True
    scim_token_valid: bool = True
    foreign_scim: bool = False  # the SCIM token belongs to another organization
    latency_ms: int = 0
    redirect_uris: list[str] = field(default_factory=list)  # registered with the app; none: any of this machine
    app_expires: bool = True  # tokens expire and are refreshed; cannot be changed for a real app
    expired_token_code: str = "tokenNotFound"  # noqa: S105 - an error code
    installer_role: str = "admin"  # of the person who installs the app
    date_skew_seconds: int = 0  # how far the Date header is from this machine's clock
    patch_supported: bool = True  # as ServiceProviderConfig announces it
    full_licenses_purchased: int | None = None  # None: a round number above the seats in use

    def change(self, changes: dict[str, Any]) -> None:
        """All or nothing."""
        checked = {name: _checked(self, name, value) for name, value in changes.items()}
        for name, value in checked.items():
            setattr(self, name, value)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def _checked(toggles: Toggles, name: str, value: Any) -> Any:
    if name not in {item.name for item in fields(Toggles)}:
        raise SandboxError(f"There is no toggle {name!r}.")
    if name in CHOICES:
        value = None if value == "null" else value
        if value not in CHOICES[name]:
            raise SandboxError(f"The toggle {name} is one of {', '.join(map(repr, CHOICES[name]))}, not {value!r}.")
        return value
    if name == "full_licenses_purchased" and (value is None or type(value) is int):
        return value
    kind: type[Any] = int if name == "full_licenses_purchased" else type(getattr(toggles, name))
    if type(value) is not kind or not all(isinstance(item, str) for item in (value if kind is list else ())):
        raise SandboxError(f"The toggle {name} takes a {kind.__name__}, not {value!r}.")
    return value
