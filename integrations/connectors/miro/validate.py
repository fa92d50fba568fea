"""Checks a connection with real calls that change nothing. Each gives a finding and the next step."""

from __future__ import annotations

from collections.abc import Callable

from integrations.connectors.contract import (
    LATER,
    Allocation,
    BadAnswer,
    ConfigError,
    ConnectorError,
    Finding,
    Granted,
    Member,
    TransientError,
    english,
)
from integrations.connectors.miro.context import (
    MISSING_SCOPE,
    SCOPE,
    WRONG_ORGANIZATION,
    TokenContext,
    developer_team,
    token_refusals,
)
from integrations.connectors.miro.errors import REST, SCIM
from integrations.connectors.miro.parse import ADMIN, INTERNAL
from integrations.connectors.miro.rest import audit_log, teams
from integrations.connectors.miro.rest.client import MiroRest
from integrations.connectors.miro.scim import MiroScim

OK = "ok"
WARNING = "warning"
ERROR = "error"
NOT_CHECKED = "not_checked"

SAMPLE = 3
# Plans in Miro's words: https://developers.miro.com/reference/enterprise-get-organization
DEVELOPER_PLAN = "dev_team_org"
ENTERPRISE_PLAN = "company"
MAX_SKEW = 60.0  # seconds
LOW_BUDGET = 0.2

_LATER = english("Wait a minute and validate again.")
_FIRST_THE_REST = english("Repair what is wrong above and validate again.")
_NEXT = {
    REST: english("Connect to Miro again, as a company admin, on a production team of the organization."),
    SCIM: english("Store the right token, then validate again."),
}
_AFTER_TOKEN = (
    english("Scope"),
    english("Organization ID"),
    english("Organization"),
    english("Company admin"),
    english("Members"),
    english("Clock"),
    english("Rate budget"),
)
_OPTIONAL = (english("Only admins of teams"), english("Audit log"))


def findings(*, rest: Callable[[], MiroRest], scim: Callable[[], MiroScim], organization_id: str) -> list[Finding]:
    """All checks, in the order in which an admin would repair them. Raises no ConnectorError."""
    found = [*_rest_findings(rest, organization_id=organization_id), *_scim_findings(scim)]
    works = all(finding.level != ERROR and finding.code != LATER for finding in found)
    return [*found, _same_organization(rest, scim, possible=works)]


def _rest_findings(rest: Callable[[], MiroRest], *, organization_id: str) -> list[Finding]:
    try:
        context = rest().token_context()
    except ConnectorError as error:
        others = (*_AFTER_TOKEN, *_OPTIONAL)
        return [
            _failed(english("Access token"), error, slot=REST),
            *(_not_checked(title, slot=REST) for title in others),
        ]
    refused = token_refusals(_granted(context), expected=organization_id)
    return [
        _ok(english("Access token"), english("Miro accepts it."), slot=REST),
        *_about_token(context, refused),
        *_about_organization(rest(), context, possible=not refused),
        _clock(context),
        _budget(context),
        *_optional(context),
    ]


def _granted(context: TokenContext) -> Granted:
    return Granted(
        organization_id=context.organization_id,
        organization_name=context.organization_name,
        team=context.team,
        user=context.user,
        scopes=tuple(context.scopes),
    )


def _about_token(context: TokenContext, refused: list[Finding]) -> list[Finding]:
    if not context.organization_id:
        return refused
    wrong = {finding.code: finding for finding in refused}
    fine = {
        MISSING_SCOPE: _ok("Scope", english("The app has {scope}.").format(scope=SCOPE), slot=REST),
        WRONG_ORGANIZATION: _ok(
            english("Organization ID"),
            english("The token is for {organization_id}.").format(organization_id=context.organization_id),
            slot=REST,
        ),
    }
    return [wrong.get(code, finding) for code, finding in fine.items()]


def _about_organization(rest: MiroRest, context: TokenContext, *, possible: bool) -> list[Finding]:
    """With a wrong token each check would fail for the reason that is already shown."""
    if not possible:
        return [_not_checked(title, slot=REST) for title in ("Organization", english("Company admin"), "Members")]
    try:
        organization = _organization(rest.allocation(), context)
    except ConfigError as error:
        others = [_not_checked(title, slot=REST) for title in ("Organization", "Members")]
        return [_no_company_admin(context, error.message), *others]
    except ConnectorError as error:
        organization = _failed("Organization", error, slot=REST)
    return [
        organization,
        _run(english("Company admin"), lambda: _company_admin(rest, context), slot=REST),
        _run("Members", lambda: _members(rest), slot=REST),
    ]


def _organization(found: Allocation, context: TokenContext) -> Finding:
    if found.plan == DEVELOPER_PLAN:
        return developer_team(context.team)
    seats = found.purchased.get("full")
    licenses = (
        english("no number of Full licenses")
        if seats is None
        else english("{seats:,} Full licenses").format(seats=seats)
    )
    detail = english("{organization_name}, plan {plan}, {licenses}.").format(
        organization_name=found.organization_name, plan=found.plan or english("unknown"), licenses=licenses
    )
    if found.plan == ENTERPRISE_PLAN:
        return _ok("Organization", detail, slot=REST)
    return Finding(
        level=WARNING,
        title="Organization",
        detail=english("{detail} Miro's organization API belongs to the Enterprise plan (“{plan}”).").format(
            detail=detail, plan=ENTERPRISE_PLAN
        ),
        next_step=english(
            "Nothing to do if everything else passes; otherwise ask Miro which plan the organization has."
        ),
        slot=REST,
    )


def _company_admin(rest: MiroRest, context: TokenContext) -> Finding:
    title = english("Company admin")
    if not context.user_id:
        return Finding(
            level=NOT_CHECKED, title=title, detail=english("Miro does not say who installed the app."), slot=REST
        )
    if rest.role_of(context.user_id) == ADMIN:
        return _ok(
            title,
            english("{installer} installed the app and is a company admin.").format(installer=_installer(context)),
            slot=REST,
        )
    return _no_company_admin(context, english("Miro names another role."))


def _no_company_admin(context: TokenContext, reason: str) -> Finding:
    """The token is for this organization and has the scope. So Miro's refusal is about the person who installed it."""
    return Finding(
        level=ERROR,
        title=english("The app was not installed by a company admin"),
        detail=english("{installer} installed it. {reason}").format(installer=_installer(context), reason=reason),
        next_step=_NEXT[REST],
        slot=REST,
    )


def _installer(context: TokenContext) -> str:
    return context.user or english("A person that Miro does not name")


def _members(rest: MiroRest) -> Finding:
    if rest.sample(limit=1):
        return _ok("Members", english("Members can be read."), slot=REST)
    return Finding(
        level=WARNING,
        title="Members",
        detail=english("Miro shows no member at all."),
        next_step=english("Check that the organization ID is the one of your company."),
        slot=REST,
    )


def _clock(context: TokenContext) -> Finding:
    if context.skew is None:
        return Finding(level=NOT_CHECKED, title="Clock", detail=english("Miro's answer carries no date."), slot=REST)
    apart = abs(context.skew)
    if apart <= MAX_SKEW:
        # A second or two is the rounding of the date and the way to Miro.
        return _ok(
            "Clock",
            english("Agrees with Miro's.")
            if apart < 3
            else english("{apart:.0f} s apart from Miro's.").format(apart=apart),
            slot=REST,
        )
    detail = english("The clock of this machine is {apart:,.0f} seconds ahead of Miro's.")
    if context.skew > 0:
        detail = english("The clock of this machine is {apart:,.0f} seconds behind Miro's.")
    return Finding(
        level=WARNING,
        title="Clock",
        detail=detail.format(apart=apart),
        next_step=english("Set it by NTP: schedules, thresholds and the expiry of tokens depend on it."),
        slot=REST,
    )


def _budget(context: TokenContext) -> Finding:
    if context.credits_left is None or not context.credits:
        return Finding(
            level=NOT_CHECKED, title=english("Rate budget"), detail=english("Miro does not report it."), slot=REST
        )
    detail = english("{credits_left:,} of {credits:,} credits left in this minute.").format(
        credits_left=context.credits_left, credits=context.credits
    )
    if context.credits_left >= context.credits * LOW_BUDGET:
        return _ok(english("Rate budget"), detail, slot=REST)
    return Finding(
        level=WARNING,
        title=english("Rate budget"),
        detail=detail,
        next_step=english("Another tool may use the same app. Give LicenseHub an app of its own, or lower RATE_SHARE."),
        slot=REST,
    )


def _optional(context: TokenContext) -> list[Finding]:
    """The findings for optional scopes. They are shown, so that nobody believes that these things were checked."""
    return [
        _scope_finding(
            context,
            teams.SCOPE,
            title=english("Only admins of teams"),
            without=english(
                "Miro does not deactivate the only admin of a team. LicenseHub sees this only when Miro refuses."
            ),
        ),
        _scope_finding(
            context,
            audit_log.SCOPE,
            title=english("Audit log"),
            without=english("Deactivations cannot be confirmed from Miro's own log."),
        ),
    ]


def _scope_finding(context: TokenContext, scope: str, *, title: str, without: str) -> Finding:
    if scope in context.scopes:
        return _ok(title, english("The app has {scope}.").format(scope=scope), slot=REST)
    next_step = english(
        "Nothing to do: LicenseHub works without {scope}. To have it, tick it in the app's settings in Miro, install "
        "the app again, and connect again."
    ).format(scope=scope)
    return Finding(level=NOT_CHECKED, title=title, detail=without, next_step=next_step, slot=REST)


def _scim_findings(scim: Callable[[], MiroScim]) -> list[Finding]:
    try:
        scim().probe()
    except ConnectorError as error:
        return [_failed(english("SCIM API token"), error, slot=SCIM), _not_checked(english("Deactivation"), slot=SCIM)]
    return [
        _ok(english("SCIM API token"), english("Miro accepts it."), slot=SCIM),
        _run("Deactivation", lambda: _deactivation(scim()), slot=SCIM),
    ]


def _deactivation(scim: MiroScim) -> Finding:
    if scim.can_patch():
        form = scim.active_form()
        detail = english("Miro says that SCIM can do it. Not tested: a check changes nobody.")
        if form:
            detail = " ".join([detail, english("Miro took the last change with `active` as {form}.").format(form=form)])
        return _ok(english("Deactivation"), detail, slot=SCIM)
    return Finding(
        level=ERROR,
        title=english("SCIM cannot deactivate anybody"),
        detail=english("Miro says that its SCIM cannot change single attributes (PATCH)."),
        next_step=english("Ask Miro's support whether SCIM provisioning is switched on completely."),
        slot=SCIM,
    )


def _same_organization(rest: Callable[[], MiroRest], scim: Callable[[], MiroScim], *, possible: bool) -> Finding:
    title = english("Same organization")
    if not possible:
        return _not_checked(title, slot=SCIM)
    return _run(title, lambda: _compare(rest(), scim(), title=title), slot=SCIM)


def _compare(rest: MiroRest, scim: MiroScim, *, title: str) -> Finding:
    """Ids are the same in both APIs for members and company admins; guests are in REST only."""
    members: list[Member] = rest.sample(limit=SAMPLE, role=INTERNAL)
    if not members:
        detail = english("There is no member yet to look up in SCIM.")
        return Finding(level=NOT_CHECKED, title=title, detail=detail, next_step=_LATER, slot=SCIM)
    if any(scim.knows(member.external_id) for member in members):
        return _ok(title, english("SCIM also knows a member that the OAuth app sees."), slot=SCIM)
    return Finding(
        level=ERROR,
        title=english("The SCIM API token is for another organization"),
        detail=english("SCIM knows none of {members} members that the OAuth app sees.").format(members=len(members)),
        next_step=english("Enter the SCIM API token of the organization that the OAuth app reads."),
        slot=SCIM,
    )


def _run(title: str, check: Callable[[], Finding], *, slot: str) -> Finding:
    try:
        return check()
    except ConnectorError as error:
        return _failed(title, error, slot=slot)


def _failed(title: str, error: ConnectorError, *, slot: str) -> Finding:
    if isinstance(error, TransientError | BadAnswer):
        # An answer that is no data says nothing about the credentials: it may come from a proxy, or be cut off.
        detail = english("Could not be checked now. {message}").format(message=error.message)
        return Finding(level=NOT_CHECKED, title=title, detail=detail, next_step=_LATER, slot=slot, code=LATER)
    next_step = _NEXT[slot] if isinstance(error, ConfigError) else _LATER
    return Finding(level=ERROR, title=title, detail=error.message, next_step=next_step, slot=slot)


def _ok(title: str, detail: str, *, slot: str) -> Finding:
    return Finding(level=OK, title=title, detail=detail, slot=slot)


def _not_checked(title: str, *, slot: str) -> Finding:
    return Finding(level=NOT_CHECKED, title=title, next_step=_FIRST_THE_REST, slot=slot)
