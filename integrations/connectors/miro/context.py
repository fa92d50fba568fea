"""The context of a token (organization, person, scopes), and the reasons not to use it for a profile."""

from __future__ import annotations

from dataclasses import dataclass

from integrations.connectors.contract import Finding, Granted, english
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
    where = english("the team “{team}”").format(team=team) if team else english("its team")
    organization = (
        english("the organization {id}").format(id=expected) if expected else english("an Enterprise organization")
    )
    return Finding(
        level="error",
        title=english("The app is installed on a Developer team"),
        detail=english("Miro names no organization for the token: {where} is not part of {organization}.").format(
            where=where, organization=organization
        ),
        next_step=english("Install it on a team of your Enterprise organization:"),
        steps=(
            english("Sign in to Miro as a company admin of your Enterprise organization."),
            english("Here, choose Connect to Miro again."),
            english(
                "When Miro asks for a team, pick a production team of that organization, not the Developer team "
                "that the app was built in."
            ),
        ),
        slot=REST,
        code=NOT_ENTERPRISE,
    )


def missing_scope() -> Finding:
    return Finding(
        level="error",
        title=english("The app does not have the scope {scope}").format(scope=SCOPE),
        detail=english("So Miro shows it neither the organization nor its members."),
        next_step=english(
            "Tick {scope} in the app's settings in Miro, install the app again, and connect again."
        ).format(scope=SCOPE),
        slot=REST,
        code=MISSING_SCOPE,
    )


def _wrong_organization(granted: Granted, *, expected: str) -> Finding:
    name = granted.organization_name or english("another organization")
    return Finding(
        level="error",
        title=english("The token is for another organization"),
        detail=english("It is for {name} ({organization_id}), the profile is for {expected}.").format(
            name=name, organization_id=granted.organization_id, expected=expected
        ),
        next_step=(
            english(
                "Connect again, and pick a team of the organization {expected}; or make a profile for the other one."
            ).format(expected=expected)
        ),
        slot=REST,
        code=WRONG_ORGANIZATION,
    )
