"""Miro's OAuth 2.0: the app that a company admin installs on a team of the organization.

https://developers.miro.com/reference/oauth-20-authorization-v2. An access token lives for an hour, a refresh token for
60 days; a refresh gives a new pair and revokes both old ones. An app without expiring tokens has no refresh token.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote, urlencode

from integrations.connectors.contract import (
    ConfigError,
    ConnectorError,
    Finding,
    Grant,
    Granted,
    OutcomeUnknown,
    TransientError,
    english,
)
from integrations.connectors.http import ApiSession, Rate
from integrations.connectors.miro.context import TokenContext, token_refusals
from integrations.connectors.miro.errors import REST
from integrations.connectors.parsing import clean, mapping
from integrations.connectors.response import Answer

TOKEN_PATH = "/v1/oauth/token"  # noqa: S105 - an address
REVOKE_PATH = "/v2/oauth/revoke"
DEAD = (400, 401)
# RFC 6749, section 5.2. Miro's documentation has errors with a `code`.
OAUTH_ERRORS = (
    *("invalid_request", "invalid_client", "invalid_grant"),
    *("unauthorized_client", "unsupported_grant_type", "invalid_scope"),
)
# The codes of `transport` and `response` for a certificate that is not trusted, and for a redirect.
NOT_REACHED = frozenset({"certificate", "redirect"})


def explain_oauth(answer: Answer) -> ConnectorError:
    """The error for a status 4xx of the token endpoint: https://developers.miro.com/docs/troubleshooting-oauth20.

    A refusal that is not Miro's, e.g. the page of a proxy, says nothing about the tokens: they are kept.
    """
    body = mapping(answer.data)
    if not (isinstance(body.get("code"), str) or body.get("error") in OAUTH_ERRORS):
        text = english(
            "The address of Miro's tokens answered with {status}, but not with Miro's own error. A proxy may be in "
            "between."
        ).format(status=answer.status)
        return TransientError(text, status=answer.status, code="not_miro")
    message = clean(body.get("message"))
    reason = f": {message.rstrip('.')}" if message else ""
    text = english("Miro refuses ({status}{reason}).").format(status=answer.status, reason=reason)
    return ConfigError(text, slot=REST, status=answer.status, code=clean(body.get("code"), max_length=60))


class MiroOAuth:
    """Implements `OAuthApp`. `context` reads the context of a token."""

    def __init__(
        self,
        session: ApiSession,
        *,
        authorize: str,
        client_id: str,
        client_secret: str,
        rate: Rate,
        context: Callable[[str], TokenContext],
    ) -> None:
        self._session = session
        self._authorize = authorize
        self._client_id = client_id
        self._client_secret = client_secret
        self._rate = rate
        self._context = context

    def authorize_url(self, *, redirect_uri: str, state: str) -> str:
        """https://developers.miro.com/reference/create-authorization-request-link. Miro takes no `scope`."""
        query = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": redirect_uri,
            "state": state,
        }
        return f"{self._authorize}?{urlencode(query, quote_via=quote)}"

    def exchange(self, code: str, *, redirect_uri: str) -> Grant:
        """https://developers.miro.com/reference/ne-exchange-authorization-code-with-access-token"""
        return self._issue(grant_type="authorization_code", code=code, redirect_uri=redirect_uri)

    def refresh(self, refresh_token: str) -> Grant:
        """https://developers.miro.com/reference/get-new-access-token-using-refresh-token"""
        return self._issue(grant_type="refresh_token", refresh_token=refresh_token)

    def _issue(self, **form: str) -> Grant:
        client = {"client_id": self._client_id, "client_secret": self._client_secret}
        try:
            answer = self._session.post(TOKEN_PATH, rate=self._rate, form={**form, **client})
        except ConfigError as error:
            # What did not reach Miro says nothing about the tokens either.
            if error.code in NOT_REACHED:
                raise TransientError(error.message, status=error.status, code=error.code) from None
            raise
        return _grant(answer)

    def revoke(self, access_token: str) -> None:
        """https://developers.miro.com/reference/revoke-token-v2. It revokes the refresh token as well."""
        body = {"accessToken": access_token, "clientId": self._client_id, "clientSecret": self._client_secret}
        try:
            self._session.post(REVOKE_PATH, rate=self._rate, body=body)
        except ConfigError as error:
            if error.status != 404:  # Miro does not know the token any more
                raise

    def is_alive(self, access_token: str) -> bool:
        try:
            self._context(access_token)
        except ConfigError as error:
            if error.status in DEAD:
                return False
            raise
        return True

    def granted(self, access_token: str) -> Granted:
        found = self._context(access_token)
        return Granted(
            organization_id=found.organization_id,
            organization_name=found.organization_name,
            team=found.team,
            user=found.user,
            scopes=tuple(sorted(found.scopes)),
        )

    def refusals(self, granted: Granted, *, organization_id: str) -> list[Finding]:
        return token_refusals(granted, expected=organization_id)


def _grant(answer: Answer) -> Grant:
    """RFC 6749, section 5.1. Raises OutcomeUnknown: Miro has issued a token that we cannot read."""
    data = mapping(answer.data)
    access, refresh, expires = data.get("access_token"), data.get("refresh_token"), data.get("expires_in")
    if not isinstance(access, str) or not access:
        raise OutcomeUnknown(english("Miro's answer holds no access token. Connect to Miro again."), code="no_token")
    return Grant(
        access_token=access,
        refresh_token=refresh if isinstance(refresh, str) else "",
        expires_in=float(expires) if isinstance(expires, int | float) and not isinstance(expires, bool) else None,
    )
