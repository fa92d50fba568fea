"""The caller of the API: the token of a request, its account, and their rights now.

Only the header counts. A token in an address would be written into logs, and a session would let another site act.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, cast

from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest
from ninja.security import HttpBearer

from integrations.scopes.account_scopes import narrow, within_scope
from licensehub.api.access.counters import counters, seconds_left
from licensehub.api.problems import Problem
from licensehub.audit.actions import Action
from licensehub.audit.log import by_means_of
from licensehub.database.clock import database_now
from licensehub.sign_in.addresses import address_of, counted_address
from licensehub.sign_in.events import record_often
from licensehub.sign_in.models import ApiToken
from licensehub.sign_in.tokens import tokens
from subscriptions.accounts.rights import DECIDE, RAISE

# Wrong tokens in a minute: of one address, and with the same prefix, so that one broken program does not stop others.
WRONG_PER_ADDRESS: Final = 60
WRONG_PER_PREFIX: Final = 10
CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="LicenseHub"'}

OVER: Final = {
    "ended": "This token was ended. Make another one under “Your account”.",
    "expired": "This token has expired. Make another one under “Your account”.",
    "account_changed": "This token ended, since the password, the state or the roles of its account changed.",
    "sign_on": (
        "The account of this token comes in by the company's sign-on, and has not for "
        f"{tokens.SIGN_ON_DAYS} days. The token works again when its owner has signed in."
    ),
    "second_factor": "The account of this token needs a second factor, and this token was made without one. "
    "Add one under “Security”, and make another token.",
}


@dataclass(frozen=True, slots=True)
class Caller:
    """`user` is the account with the rights of the token only, so each function below sees no others."""

    token: ApiToken
    user: User
    rights: frozenset[str]

    def may(self, permission: str) -> bool:
        return permission in self.rights

    def refuse_without(self, permission: str) -> None:
        """Raises a Problem with the name of the right that is missing."""
        if permission not in self.rights:
            raise Problem(403, "forbidden", f"The role of this token does not have the right {permission}.")

    def refuse_without_proof(self, act: str = "decides") -> None:
        """To decide, and to grant rights, the proof of the owner's second factor must be fresh. Raises a Problem.

        `act` is the verb of the sentence. A service account never has such a proof.
        """
        proved, hours = tokens.proved_at(self.token), settings.API_DECIDE_HOURS
        if proved is None or database_now() > proved + timedelta(hours=hours):
            raise Problem(
                403,
                "proof_too_old",
                f"A token {act} for {hours} hours after its owner proved a second factor for it. Make another token, "
                "or do it in the browser.",
            )


class TokenAuth(HttpBearer):
    """`Authorization: Bearer lh_…`."""

    def __call__(self, request: HttpRequest) -> Caller:
        caller = _called_by(request)
        count_call(request, caller.token)
        tokens.note_use(caller.token, address_of(request))
        request.user = caller.user
        return caller

    def authenticate(self, request: HttpRequest, token: str) -> Caller:
        raise NotImplementedError


def caller_of(request: HttpRequest) -> Caller:
    return cast(Caller, request.auth)  # type: ignore[attr-defined]  # ninja stores what TokenAuth returns


def _called_by(request: HttpRequest) -> Caller:
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not text.strip():
        raise Problem(401, headers=CHALLENGE)
    text, address = text.strip(), counted_address(request) or "local"
    prefix = tokens.prefix_in(text)
    of_prefix, of_address = f"wrong:{address}:{prefix}", f"wrong:{address}"
    # A program that came from there before is not stopped by others behind the same address.
    right = f"right:{address}:{prefix}"
    stopped = counters().number(of_address) >= WRONG_PER_ADDRESS and not counters().remembers(right)
    if stopped or counters().number(of_prefix) >= WRONG_PER_PREFIX:
        wait = seconds_left()
        raise Problem(
            429, "too_many_wrong_tokens", "Too many wrong tokens from this address.", headers={"Retry-After": f"{wait}"}
        )
    token = tokens.find(text, "user__profile_scope") if prefix else None
    if token is None:
        counters().add(of_address)
        raise Problem(401, "wrong_token", "This token is not known.", headers=CHALLENGE)
    if why := tokens.why_over(token):
        counters().add(of_prefix)
        record_often(Action.API_TOKEN_REFUSED, token.user, request, token=token.pk, why=why)
        raise Problem(401, f"token_{why}", OVER[why], headers=CHALLENGE)
    counters().remember(right)
    return caller_for(token)


def caller_for(token: ApiToken) -> Caller:
    """The account of this token, with no other rights than those of the token."""
    user, held = token.user, set(tokens.rights_of(token))
    # A superuser would be asked nothing, and would have no scope.
    user.is_superuser = False
    if token.profiles:
        narrow(user, token.profiles)
    rights = frozenset(within_scope(user, held))
    # What `has_perm` reads.
    user.__dict__ |= {"_perm_cache": set(rights), "_user_perm_cache": set(), "_group_perm_cache": set(rights)}
    if not rights & {DECIDE, RAISE}:
        user.__dict__["_may_decide"] = {DECIDE: False, RAISE: False}
    return Caller(token, user, rights)


def count_call(request: HttpRequest, token: ApiToken) -> None:
    """Count the call. Raises a Problem over the limit of the token."""
    limit = settings.API_CALLS_PER_MINUTE
    used, wait = counters().add(f"calls:{token.pk}"), seconds_left()
    request.rate_limit = {  # type: ignore[attr-defined]  # read by the middleware
        "RateLimit-Policy": f'"token";q={limit};w=60',
        "RateLimit": f'"token";r={max(0, limit - used)};t={wait}',
    }
    if used > limit:
        raise Problem(429, headers={"Retry-After": str(wait)})


@contextmanager
def acting(caller: Caller) -> Iterator[User]:
    """The events of what happens in the `with` block name the token."""
    with by_means_of(token=caller.token.pk):
        yield caller.user
