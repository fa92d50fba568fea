"""Miro's OAuth 2.0 endpoints: consent, token, revocation.

https://developers.miro.com/reference/create-authorization-request-link and its neighbors
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode, urlsplit

from integrations.connectors.miro.sandbox.messages import Answer, Json, Refusal, Request, SandboxError, rest_error
from integrations.connectors.miro.sandbox.oauth.consent import consent_page, problem_page
from integrations.connectors.miro.sandbox.oauth.grants import Grants, oauth_error, token_answer
from integrations.connectors.miro.sandbox.state.world import World

AUTHORIZE = "/oauth/authorize"
TOKEN = "/v1/oauth/token"  # noqa: S105 - an address
REVOKE_V1, REVOKE_V2 = "/v1/oauth/revoke", "/v2/oauth/revoke"
PATHS = (AUTHORIZE, TOKEN, REVOKE_V1, REVOKE_V2)
ORGANIZATION_SCOPES = "organizations:"
LOOPBACK = ("localhost", "127.0.0.1")
ONE_TIME = {"client_secret", "code", "refresh_token"}


class OAuth:
    """The caller of each method holds the world's lock."""

    def __init__(self, world: World) -> None:
        self._world = world

    @property
    def _grants(self) -> Grants:
        return self._world.grants

    def answer(self, request: Request) -> Answer:
        try:
            return self._answer(request)
        except Refusal as refusal:
            return refusal.answer
        finally:
            self._world.save_grants()

    def _answer(self, request: Request) -> Answer:
        endpoints = {
            ("GET", AUTHORIZE): self._ask,
            ("POST", AUTHORIZE): self._decide,
            ("POST", TOKEN): self._token,
            ("POST", REVOKE_V1): self._revoke_v1,
            ("POST", REVOKE_V2): self._revoke_v2,
        }
        endpoint = endpoints.get((request.method, request.path))
        if endpoint is None:
            refusal = rest_error(405, "methodNotAllowed", f"{request.method} is not supported here")
            refusal.answer.headers["Allow"] = ", ".join(method for method, path in endpoints if path == request.path)
            raise refusal
        return endpoint(request)

    # --- Consent -----------------------------------------------------------------------------------------------------
    def _ask(self, request: Request) -> Answer:
        if problem := self._wrong(request.query):
            return problem_page(problem)
        return consent_page(self._world, request.query)

    def _decide(self, request: Request) -> Answer:
        """The answer on the consent page. With a wrong client or address, the browser is never redirected."""
        form = _form(request)
        if problem := self._wrong(form):
            return problem_page(problem)
        if form.get("decision") != "install":
            return _redirect(form, error="access_denied")
        if form.get("team_id") not in self._world.install_teams():
            return problem_page("Pick a team.")
        return _redirect(form, code=self.consent(form["team_id"], form["redirect_uri"]))

    def consent(self, team_id: str, redirect_uri: str) -> str:
        """The answer to a click on *Install & authorize*."""
        if not self._is_registered(redirect_uri):
            raise SandboxError(f"{redirect_uri!r} is no redirect address of the app.")
        if team_id not in self._world.install_teams():
            raise SandboxError(f"There is no team {team_id!r}.")
        return self._grants.consent(team_id=team_id, redirect_uri=redirect_uri, now=self._world.now())

    def _wrong(self, values: Mapping[str, str]) -> str:
        if values.get("client_id") != self._world.secrets["client_id"]:
            return "Unknown client_id."
        if values.get("response_type") != "code":
            return "response_type must be code."
        return "" if self._is_registered(values.get("redirect_uri", "")) else "Redirect URI mismatch."

    def _is_registered(self, redirect_uri: str) -> bool:
        """Exactly one of the registered addresses; if none is registered, any address of this machine."""
        registered = self._world.toggles.redirect_uris
        if registered:
            return redirect_uri in registered and _is_header(redirect_uri)
        return _is_loopback(redirect_uri)

    # --- Tokens ------------------------------------------------------------------------------------------------------
    def _token(self, request: Request) -> Answer:
        if ONE_TIME & request.query.keys():  # Miro accepts them in the URL as well, although they do not belong there
            self._grants.count("secrets_in_query")
        form = {**request.query, **_form(request)}
        self._authenticate(form.get("client_id"), form.get("client_secret"))
        now = self._world.now()
        if form.get("grant_type") == "authorization_code":
            family = self._grants.exchange(
                form.get("code", ""),
                redirect_uri=form.get("redirect_uri", ""),
                scopes=self._scopes_of(form.get("code", "")),
                expires=self._world.toggles.app_expires,
                now=now,
            )
        elif form.get("grant_type") == "refresh_token":
            family = self._grants.refresh(form.get("refresh_token", ""), now=now)
        else:
            raise oauth_error("Unknown grant_type.")
        return Answer(200, token_answer(family, user_id=self._world.installer().id), applied=True)

    def _authenticate(self, client_id: object, client_secret: object) -> None:
        known = self._world.secrets
        if (client_id, client_secret) != (known["client_id"], known["client_secret"]):
            raise oauth_error("Invalid client credentials.")

    def _scopes_of(self, code: str) -> list[str]:
        """The scopes of the app; without those of an organization if the team has none."""
        kept = self._grants.codes.get(code)
        scopes = list(self._world.toggles.scopes)
        if kept and self._world.install_teams()[kept.team_id]["kind"] == "developer":
            return [scope for scope in scopes if not scope.startswith(ORGANIZATION_SCOPES)]
        return scopes

    # --- Revocation --------------------------------------------------------------------------------------------------
    def _revoke_v1(self, request: Request) -> Answer:
        """Deprecated by Miro: the token is in the URL."""
        self._grants.count("secrets_in_query")
        if not self._grants.revoke(request.query.get("access_token", "")):
            raise rest_error(400, "invalidParameters", "The access token is unknown")
        return Answer(204, applied=True)

    def _revoke_v2(self, request: Request) -> Answer:
        body = _object(request)
        self._authenticate(body.get("clientId"), body.get("clientSecret"))
        if not self._grants.revoke(str(body.get("accessToken", ""))):
            raise rest_error(404, "notFound", "The access token is unknown")
        return Answer(204, applied=True)


def _form(request: Request) -> dict[str, str]:
    return dict(parse_qsl(request.body.decode(errors="replace")))


def _is_header(redirect_uri: str) -> bool:
    """Whether it can be a Location header: a line break in it would begin another header."""
    return redirect_uri.isascii() and redirect_uri.isprintable() and " " not in redirect_uri


def _is_loopback(redirect_uri: str) -> bool:
    """An absolute address of this machine, without a fragment (RFC 6749, section 3.1.2)."""
    if not _is_header(redirect_uri) or "#" in redirect_uri:
        return False
    try:
        parts = urlsplit(redirect_uri)
        _ = parts.port  # raises ValueError as well
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and parts.hostname in LOOPBACK and "@" not in parts.netloc


def _object(request: Request) -> Json:
    try:
        body = request.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise rest_error(400, "invalidParameters", "The body is not a JSON object")
    return body


def _redirect(form: Mapping[str, str], **values: str) -> Answer:
    if form.get("state"):
        values["state"] = form["state"]
    separator = "&" if "?" in form["redirect_uri"] else "?"
    return Answer(302, headers={"Location": f"{form['redirect_uri']}{separator}{urlencode(values)}"})
