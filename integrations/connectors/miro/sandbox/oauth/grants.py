"""The grants of the OAuth app: codes, and families of tokens. A refresh gives the next pair of a family.

https://developers.miro.com/reference/oauth-20-authorization-v2. The state file, which is local, holds them as they are.
"""

from __future__ import annotations

import base64
import secrets
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from integrations.connectors.miro.sandbox.messages import Json, rest_error

CODE_LIFE = 600  # seconds
ACCESS_LIFE = 3599
REFRESH_LIFE = 60 * 24 * 3600
COUNTERS = (
    "authorizations",
    "exchanges",
    "refreshes",
    "refresh_reuse",
    "code_reuse",
    "revocations",
    "expiries",
    "secrets_in_query",
)
# A token begins with its realm, as at Miro.
ORIGIN = base64.urlsafe_b64encode(b'{"miro.origin":"eu01"}').decode().rstrip("=")


@dataclass(slots=True)
class Code:
    """Valid once, for ten minutes, for this redirect address."""

    redirect_uri: str
    team_id: str
    ends_at: float
    family: str = ""


@dataclass(slots=True)
class Family:
    """One consent and its current pair of tokens. `access_ends_at` None: the token does not expire."""

    team_id: str
    scopes: list[str]
    access: str
    refresh: str
    access_ends_at: float | None
    refresh_ends_at: float
    former: list[str] = field(default_factory=list)
    dead: bool = False

    def is_live(self, now: datetime) -> bool:
        """Whether the access token is still valid."""
        return not self.dead and (self.access_ends_at is None or self.access_ends_at > now.timestamp())


class Grants:
    """It has no lock: the caller holds the world's."""

    def __init__(self, doc: Json | None) -> None:
        doc = doc or {}
        self.codes = {key: Code(**item) for key, item in doc.get("codes", {}).items()}
        self.families = {key: Family(**item) for key, item in doc.get("families", {}).items()}
        self.counters: dict[str, int] = dict.fromkeys(COUNTERS, 0) | doc.get("counters", {})

    def as_json(self) -> Json:
        return {
            "codes": {key: asdict(item) for key, item in self.codes.items()},
            "families": {key: asdict(item) for key, item in self.families.items()},
            "counters": self.counters,
        }

    def count(self, name: str) -> None:
        self.counters[name] += 1

    def consent(self, *, team_id: str, redirect_uri: str, now: datetime) -> str:
        """A new code."""
        code = secrets.token_urlsafe(24)
        self.codes[code] = Code(redirect_uri, team_id, now.timestamp() + CODE_LIFE)
        self.count("authorizations")
        return code

    def exchange(self, code: str, *, redirect_uri: str, scopes: list[str], expires: bool, now: datetime) -> Family:
        """A code that is used twice revokes the tokens of its first use (RFC 6749, section 4.1.2)."""
        kept = self.codes.get(code)
        if kept is None:
            raise oauth_error("Unknown authorization code.")
        if kept.family:
            self.families[kept.family].dead = True
            self.count("code_reuse")
            raise oauth_error("The authorization code was used already.")
        if kept.ends_at < now.timestamp():
            raise oauth_error("The authorization code has expired.")
        if kept.redirect_uri != redirect_uri:
            raise oauth_error("Redirect URI mismatch.")
        kept.family = secrets.token_hex(8)
        family = Family(kept.team_id, scopes, "", "", None, 0.0)
        self._issue(family, expires=expires, now=now)
        self.families[kept.family] = family
        self.count("exchanges")
        return family

    def refresh(self, token: str, *, now: datetime) -> Family:
        """A new pair. A refresh token that was used before revokes its whole family."""
        for family in self.families.values():
            if token in family.former:
                family.dead = True
                self.count("refresh_reuse")
                raise oauth_error("The refresh token was used already. All tokens of this user are revoked.")
            if token == family.refresh and not family.dead and family.refresh_ends_at > now.timestamp():
                family.former.append(token)
                self._issue(family, expires=True, now=now)
                self.count("refreshes")
                return family
        raise oauth_error("The refresh token is unknown or no longer valid.")

    def _issue(self, family: Family, *, expires: bool, now: datetime) -> None:
        family.access = f"{ORIGIN}_{secrets.token_urlsafe(24)}"
        family.refresh = f"{ORIGIN}_{secrets.token_urlsafe(24)}" if expires else ""
        family.access_ends_at = now.timestamp() + ACCESS_LIFE if expires else None
        family.refresh_ends_at = now.timestamp() + REFRESH_LIFE

    def by_access(self, token: str) -> Family | None:
        """The family of an access token, expired or not, unless it is revoked."""
        return next((item for item in self.families.values() if item.access == token and not item.dead), None)

    def live_access_tokens(self, now: datetime) -> int:
        return sum(family.is_live(now) for family in self.families.values())

    def revoke(self, token: str) -> bool:
        family = self.by_access(token)
        if family is None:
            return False
        family.dead = True
        self.count("revocations")
        return True

    def expire_all(self, now: datetime) -> int:
        """Expire all access tokens, but not their refresh tokens."""
        expired = 0
        for family in self.families.values():
            if family.access_ends_at is not None and family.is_live(now):
                family.access_ends_at = now.timestamp() - 1
                self.count("expiries")
                expired += 1
        return expired

    def revoke_all(self) -> int:
        living = [family for family in self.families.values() if not family.dead]
        for family in living:
            family.dead = True
        return len(living)


def token_answer(family: Family, *, user_id: str) -> Json:
    """https://developers.miro.com/reference/get-new-access-token-using-refresh-token; `team_id` is a number there."""
    answer: dict[str, Any] = {
        "token_type": "bearer",
        "team_id": int(family.team_id),
        "user_id": user_id,
        "access_token": family.access,
        "scope": " ".join(family.scopes),
    }
    if family.refresh:
        answer |= {"refresh_token": family.refresh, "expires_in": ACCESS_LIFE}
    return answer


def oauth_error(message: str) -> Exception:
    """https://developers.miro.com/docs/troubleshooting-oauth20"""
    return rest_error(401, "oauthError", message)
