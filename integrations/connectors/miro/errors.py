"""Turns Miro's refusals into our errors, each with a message that says what is wrong and what to do next.

Statuses and bodies: https://developers.miro.com/reference/errors (REST) and
https://developers.miro.com/docs/errors (SCIM).
Only the status decides: Miro's own pages disagree about the codes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from integrations.connectors.contract import ConfigError, ConnectorError, NotGranted, PermanentError, english
from integrations.connectors.parsing import clean, mapping
from integrations.connectors.response import Answer
from integrations.connectors.scim import error_body

REST = "rest"
SCIM = "scim"

_REST_NEXT = {
    401: english("Miro does not accept the access token (401{code}). Connect to Miro again."),
    403: (
        english(
            "Miro refuses to show the organization (403{code}). The app needs the scope organizations:read, and a "
            "company admin must install it on a team of the organization. Correct that in Miro and connect again."
        )
    ),
}
_SCIM_NEXT = {
    401: (
        english(
            "Miro does not accept the SCIM API token (401). Copy the token that Miro's company settings show, under "
            "Enterprise integrations, and enter it. Generate a new one only if nothing else uses the old one."
        )
    ),
    403: (
        english(
            "Miro refuses SCIM calls (403): SCIM provisioning is switched off. Switch it on in Miro's company "
            "settings, under Enterprise integrations."
        )
    ),
}


def explain_rest(answer: Answer) -> ConnectorError:
    """The error for a status 4xx of the REST API."""
    body = mapping(answer.data)
    code = clean(body.get("code"), max_length=60)
    if answer.status in _REST_NEXT:
        text = _REST_NEXT[answer.status].format(code=f" {code}" if code else "")
        return ConfigError(text, slot=REST, status=answer.status, code=code)
    if _is_strange_404(answer):
        return _wrong_address(REST)
    reason = clean(body.get("message"))
    return PermanentError(_refused(answer.status, reason), status=answer.status, code=code)


def explain_scim(answer: Answer) -> ConnectorError:
    """The error for a status 4xx of SCIM, with Miro's reason."""
    body = error_body(answer.data)
    if answer.status in _SCIM_NEXT:
        return ConfigError(_SCIM_NEXT[answer.status], slot=SCIM, status=answer.status, code=body.kind)
    if _is_strange_404(answer):
        return _wrong_address(SCIM)
    if answer.status == 404:
        text = english("Miro's SCIM does not know this person (404): it manages neither guests nor external users.")
        if body.detail:
            text = f"{text} " + english("Miro's words: {words}").format(words=body.detail)
        return PermanentError(text, status=404, code=body.kind)
    return PermanentError(_refused(answer.status, body.detail), status=answer.status, code=body.kind)


@contextmanager
def optional(scope: str, what: str) -> Iterator[None]:
    """Turns a 403 into NotGranted: the app lacks an optional scope. LicenseHub works without it."""
    try:
        yield
    except ConfigError as error:
        if error.status != 403:
            raise
        raise NotGranted(
            english(
                "Miro does not show {what} (403): the app does not have the optional scope {scope}, or a company "
                "admin did not install it. To have this checked, tick the scope in the app's settings in Miro, "
                "install the app again, and connect again."
            ).format(what=what, scope=scope),
            status=403,
            code=error.code,
        ) from error


def wrong_organization(organization_id: str, *, status: int | None = None) -> ConfigError:
    """Miro answers, but not for the profile's organization."""
    return ConfigError(
        english(
            "The organization ID {id} is not the one this Miro connection can read. Correct the "
            "ID in the integration profile, or connect with a company admin of that organization."
        ).format(id=organization_id or "(empty)"),
        slot=REST,
        status=status,
        code="wrong_organization",
    )


def dead_token(status: int) -> ConfigError:
    return ConfigError(
        english("Miro does not accept the access token ({status}). Connect to Miro again.").format(status=status),
        slot=REST,
        status=status,
        code="dead_token",
    )


def _is_strange_404(answer: Answer) -> bool:
    """A 404 that does not come from Miro's API must never mean that the person is gone."""
    return answer.status == 404 and not mapping(answer.data)


def _wrong_address(slot: str) -> ConfigError:
    name = "SCIM" if slot == SCIM else "API"
    text = english(
        "Miro's {name} address answered “not found” (404) without Miro's own error in it, so the address is probably "
        "wrong. Correct it in the settings of LicenseHub."
    ).format(name=name)
    return ConfigError(text, slot=slot, status=404, code="wrong_address")


def _refused(status: int, reason: str) -> str:
    return (
        english("Miro refuses ({status}): {reason}").format(status=status, reason=reason)
        if reason
        else english("Miro refuses ({status}) and gives no reason.").format(status=status)
    )
