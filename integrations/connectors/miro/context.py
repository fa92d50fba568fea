"""The context of a token (organization, person, scopes), and the reasons not to use it for a profile."""

from __future__ import annotations

from dataclasses import dataclass

from integrations.connectors.contract import Finding, Granted
from integrations.connectors.miro.errors import REST

SCOPE = "organizations:read"
NOT_ENTERPRISE = "not_enterprise"
WRONG_ORGANIZATION = "wrong_organization"
MISSING_SCOPE = "missing_scope"


@dataclass(frozen=True, slots=True)
class TokenContext:
    """The context of a token. Accounts without an Enterprise plan have no organization.

    `skew` is how many seconds Miro's clock is ahead of ours; `credits_left` and `credits` are of this minute. None:
    Miro did not say.
    """

    organization_id: str
    organization_name: str
    team: str
    user: str
    user_id: str
    scopes: frozenset[str]
    skew: float | None = None
    credits_left: int | None = None
    credits: int | None = None


def token_refusals(granted: Granted, *, expected: str) -> list[Finding]:
    """Implements `OAuthApp.refusals`; the worst first."""
    if not granted.organization_id:
        return [developer_team(granted.team, expected=expected)]
    found = []
    if expected and granted.organization_id != expected:
        found.append(_wrong_organization(granted, expected=expected))
    if SCOPE not in granted.scopes:
        found.append(missing_scope())
    return found


def developer_team(team: str, *, expected: str = "") -> Finding:
    """The most frequent mistake: the app is made on a Developer team, and installed there as well.

    https://developers.miro.com/docs/getting-started-with-enterprise-api
    """
    where = f"the team “{team}”" if team else "its team"
    organization = f"the organization {expected}" if expected else "an Enterprise organization"
    return Finding(
        level="error",
        title="The app is installed on a Developer team",
        detail=f"Miro names no organization for the token: {where} is not part of {organization}.",
        next_step="Install it on a team of your Enterprise organization:",
        steps=(
            "Sign in to Miro as a company admin of your Enterprise organization.",
            "Here, choose Connect to Miro again.",
            "When Miro asks for a team, pick a production team of that organization, not the Developer team that the "
            "app was built in.",
        ),
        slot=REST,
        code=NOT_ENTERPRISE,
    )


def missing_scope() -> Finding:
    return Finding(
        level="error",
        title=f"The app does not have the scope {SCOPE}",
        detail="So Miro shows it neither the organization nor its members.",
        next_step=f"Tick {SCOPE} in the app's settings in Miro, install the app again, and connect again.",
        slot=REST,
        code=MISSING_SCOPE,
    )


def _wrong_organization(granted: Granted, *, expected: str) -> Finding:
    name = granted.organization_name or "another organization"
    return Finding(
        level="error",
        title="The token is for another organization",
        detail=f"It is for {name} ({granted.organization_id}), the profile is for {expected}.",
        next_step=(
            f"Connect again, and pick a team of the organization {expected}; or make a profile for the other one."
        ),
        slot=REST,
        code=WRONG_ORGANIZATION,
    )
