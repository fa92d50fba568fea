"""Does the connection work? Real calls that change nothing, each with its finding and the next step."""

from __future__ import annotations

from collections.abc import Callable

from integrations.connectors.contract import ConfigError, ConnectorError, Finding
from integrations.connectors.miro.errors import REST, SCIM
from integrations.connectors.miro.parse import INTERNAL
from integrations.connectors.miro.rest import MiroRest, TokenContext
from integrations.connectors.miro.scim import MiroScim

OK = "ok"
WARNING = "warning"
ERROR = "error"
NOT_CHECKED = "not_checked"

SCOPE = "organizations:read"
SAMPLE = 3
# An app is made on such a team, and not installed there:
# https://developers.miro.com/docs/getting-started-with-enterprise-api
DEVELOPER_PLAN = "dev_team_org"

_LATER = "Wait a minute and validate again."
_FIRST_THE_REST = "Repair what is wrong above and validate again."
_NEXT = {
    REST: "Connect to Miro again, as a company admin, on a production team of the organization.",
    SCIM: "Generate a SCIM API token in Miro's company settings, under Enterprise integrations, and enter it.",
}


def findings(*, rest: Callable[[], MiroRest], scim: Callable[[], MiroScim], organization_id: str) -> list[Finding]:
    """All checks, in the order in which an admin would repair things. Raises no ConnectorError."""
    found = [*_rest_findings(rest, organization_id=organization_id), *_scim_findings(scim)]
    works = all(finding.level in (OK, WARNING) for finding in found)
    return [*found, _same_organization(rest, scim, possible=works), _last_team_admins()]


def _rest_findings(rest: Callable[[], MiroRest], *, organization_id: str) -> list[Finding]:
    try:
        context = rest().token_context()
    except ConnectorError as error:
        rest_of_it = ("Scope", "Organization ID", "Organization", "Members")
        return [_failed("Access token", error, slot=REST), *(_not_checked(title, slot=REST) for title in rest_of_it)]
    return [
        Finding(level=OK, title="Access token", detail="Miro accepts it.", slot=REST),
        _scope(context),
        _organization_id(context, expected=organization_id),
        _run("Organization", lambda: _organization(rest()), slot=REST),
        _run("Members", lambda: _members(rest()), slot=REST),
    ]


def _scim_findings(scim: Callable[[], MiroScim]) -> list[Finding]:
    try:
        scim().probe()
    except ConnectorError as error:
        return [_failed("SCIM API token", error, slot=SCIM), _not_checked("Deactivation", slot=SCIM)]
    return [
        Finding(level=OK, title="SCIM API token", detail="Miro accepts it.", slot=SCIM),
        _run("Deactivation", lambda: _deactivation(scim()), slot=SCIM),
    ]


def _scope(context: TokenContext) -> Finding:
    if SCOPE in context.scopes:
        return Finding(level=OK, title="Scope", detail=f"The app has {SCOPE}.", slot=REST)
    return Finding(
        level=ERROR,
        title="Scope",
        detail=f"The app does not have the scope {SCOPE}.",
        next_step=f"Tick {SCOPE} in the app's settings in Miro, install the app again, and connect again.",
        slot=REST,
    )


def _organization_id(context: TokenContext, *, expected: str) -> Finding:
    title = "Organization ID"
    told = context.organization_id
    if not told:
        detail = "Miro does not tell which organization the token is for, as on plans below Enterprise."
        return Finding(level=WARNING, title=title, detail=detail, next_step=_NEXT[REST], slot=REST)
    if told == expected:
        return Finding(level=OK, title=title, detail=f"The token is for {told}, as expected.", slot=REST)
    return Finding(
        level=ERROR,
        title=title,
        detail=f"The token is for {context.organization_name} ({told}), the profile is for {expected or 'none'}.",
        next_step="Correct the organization ID in the integration profile, or connect to the other organization.",
        slot=REST,
    )


def _organization(rest: MiroRest) -> Finding:
    found = rest.allocation()
    if found.plan == DEVELOPER_PLAN:
        detail = f"{found.organization_name} is a developer team, not your company."
        return Finding(level=ERROR, title="Organization", detail=detail, next_step=_NEXT[REST], slot=REST)
    seats = found.purchased.get("full")
    told = "no number of Full licenses" if seats is None else f"{seats} Full licenses"
    detail = f"{found.organization_name}, plan {found.plan or 'unknown'}, {told}."
    return Finding(level=OK, title="Organization", detail=detail, slot=REST)


def _members(rest: MiroRest) -> Finding:
    if rest.sample(limit=1):
        return Finding(level=OK, title="Members", detail="Members can be read.", slot=REST)
    return Finding(
        level=WARNING,
        title="Members",
        detail="Miro shows no member at all.",
        next_step="Check that the organization ID is the one of your company.",
        slot=REST,
    )


def _deactivation(scim: MiroScim) -> Finding:
    if scim.can_patch():
        return Finding(level=OK, title="Deactivation", detail="Miro announces that it can be done.", slot=SCIM)
    return Finding(
        level=ERROR,
        title="Deactivation",
        detail="Miro does not announce that SCIM can change single attributes (PATCH), so nobody can be deactivated.",
        next_step="Ask Miro's support whether SCIM provisioning is switched on completely.",
        slot=SCIM,
    )


def _same_organization(rest: Callable[[], MiroRest], scim: Callable[[], MiroScim], *, possible: bool) -> Finding:
    title = "Same organization"
    if not possible:
        return _not_checked(title, slot=SCIM)
    return _run(title, lambda: _compare(title, rest(), scim()), slot=SCIM)


def _compare(title: str, rest: MiroRest, scim: MiroScim) -> Finding:
    """Ids are the same in both APIs for members and company admins; guests are in REST only."""
    members = rest.sample(limit=SAMPLE, role=INTERNAL)
    if not members:
        detail = "There is no member yet who could be looked up in SCIM."
        return Finding(level=NOT_CHECKED, title=title, detail=detail, next_step=_LATER, slot=SCIM)
    if any(scim.knows(member.external_id) for member in members):
        detail = "A member whom the OAuth app sees is known to SCIM, too."
        return Finding(level=OK, title=title, detail=detail, slot=SCIM)
    return Finding(
        level=ERROR,
        title=title,
        detail=f"SCIM knows none of {len(members)} members whom the OAuth app sees: its token is for another company.",
        next_step="Enter the SCIM API token of the organization that the OAuth app reads.",
        slot=SCIM,
    )


def _last_team_admins() -> Finding:
    return Finding(
        level=NOT_CHECKED,
        title="Last team admins",
        detail="Miro does not deactivate the only admin of a team. LicenseHub learns it from Miro's refusal.",
        next_step="Nothing to do now: such a person is shown with Miro's words.",
        slot=SCIM,
    )


def _run(title: str, check: Callable[[], Finding], *, slot: str) -> Finding:
    try:
        return check()
    except ConnectorError as error:
        return _failed(title, error, slot=slot)


def _failed(title: str, error: ConnectorError, *, slot: str) -> Finding:
    next_step = _NEXT[slot] if isinstance(error, ConfigError) else _LATER
    return Finding(level=ERROR, title=title, detail=error.message, next_step=next_step, slot=slot)


def _not_checked(title: str, *, slot: str) -> Finding:
    return Finding(level=NOT_CHECKED, title=title, next_step=_FIRST_THE_REST, slot=slot)
