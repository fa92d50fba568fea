"""The ways in as an account: its password, its factors, its recovery codes and its links to the sign-on.

Each can be written in the database, by somebody who can write there at all: a known hash, a factor of another account,
a link to an own subject. So it counts for a decision only if a signed event says that LicenseHub set it. The event has
its SHA-256: each is random enough that nobody finds it by guessing.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import reduce
from hashlib import sha256
from operator import or_
from typing import Final

from allauth.mfa.models import Authenticator
from allauth.mfa.utils import decrypt
from allauth.socialaccount.models import SocialAccount
from cryptography.fernet import InvalidToken
from django.contrib.auth.models import User
from django.db.models import QuerySet

from licensehub.audit.actions import Action
from licensehub.audit.chain.offline_verifier import canonical
from licensehub.audit.chain.signature import is_believed
from licensehub.audit.models import AuditEvent
from licensehub.database.clock import database_now
from licensehub.sign_in.events import ACCOUNT

# Fields of events: one credential, those of a confirmed account, and the kinds without an event at a sign-in.
ONE: Final = "credential"
ALL: Final = "credentials"
UNSIGNED: Final = "unsigned"
PASSWORD: Final = "password"  # noqa: S105 - the name of a kind
SIGN_ON: Final = "sign_on"
# An account has several of these. Of the other kinds it has one, and only the newest event about it counts.
SEVERAL: Final = frozenset({Authenticator.Type.WEBAUTHN.value, SIGN_ON})
GONE: Final = frozenset({Action.FACTOR_REMOVED.value, Action.SIGN_ON_UNLINKED.value})
TELLING: Final = (
    *(Action.USER_CREATED, Action.USER_JOINED, Action.USER_PASSWORD_RESET, Action.PASSWORD_CHANGED),
    *(Action.PASSWORD_REHASHED, Action.RIGHTS_TOOK_EFFECT, Action.ACCOUNT_CONFIRMED),
    *(Action.FACTOR_ADDED, Action.FACTOR_REMOVED, Action.RECOVERY_CODES_MADE),
    *(Action.ACCOUNT_BY_SIGN_ON, Action.SIGN_ON_LINKED, Action.SIGN_ON_UNLINKED),
)
# For so long, a sign-in with something unsigned counts against the account.
REMEMBERED: Final = timedelta(days=30)
# The data of a factor that lets somebody in. Its name, and which codes were seen or used, change while it is the same.
PROVING: Final = frozenset({"secret", "seed", "migrated_codes", "credential"})


def of_password(user: User) -> str:
    return _named(PASSWORD, user.pk, user.password)


def of_factor(row: Authenticator) -> str:
    """Another key of CREDENTIAL_KEYS does not change it. Empty for a secret that cannot be decrypted."""
    try:
        data = {name: _plain(name, value) for name, value in row.data.items() if name in PROVING}
    except InvalidToken:
        return ""
    return _named(str(row.type), row.user_id, canonical(data))


def of_link(row: SocialAccount) -> str:
    return _named(SIGN_ON, row.user_id, f"{row.provider}\n{row.uid}")


def _plain(name: str, value: object) -> object:
    if name in ("secret", "seed"):
        return decrypt(str(value))
    return [decrypt(str(code)) for code in value] if name == "migrated_codes" and isinstance(value, list) else value


def _named(kind: str, account: int, text: str) -> str:
    return f"{kind}:{sha256(canonical([kind, account, text]).encode()).hexdigest()}"


def of_account(user: User) -> list[tuple[str, str]]:
    """The kind of everything that lets in as this account, and its name in events."""
    found = [(PASSWORD, of_password(user))] if user.has_usable_password() else []
    found += [(str(row.type), of_factor(row)) for row in Authenticator.objects.filter(user=user).order_by("pk")]
    return found + [(SIGN_ON, of_link(row)) for row in SocialAccount.objects.filter(user=user).order_by("pk")]


def unsigned(user: User) -> list[str]:
    """The kinds of what lets in as this account now, while no signed event says that LicenseHub set it."""
    events = list(_events(user, *TELLING))
    return sorted({kind for kind, name in of_account(user) if not _is_signed(kind, name, events)})


def _is_signed(kind: str, name: str, events: list[AuditEvent]) -> bool:
    """`events` are the newest first."""
    wanted = name if kind in SEVERAL else f"{kind}:"
    for event in events:
        about = [one for one in _said_by(event) if one.startswith(wanted)]
        if about:
            return name in about and event.action not in GONE and is_believed(event)
    return False


def _said_by(event: AuditEvent) -> Iterator[str]:
    yield from (str(one) for one in event.data.get(ALL, []))
    if ONE in event.data:
        yield str(event.data[ONE])


def used_codes(codes: Authenticator) -> int:
    """The recovery codes that were used, by the signed events about these codes: one bit for each, as in the row."""
    events = _events(codes.user, Action.RECOVERY_CODE_USED).filter(**{f"data__{ONE}": of_factor(codes)})
    return reduce(or_, (event.data["used"] for event in events if is_believed(event)), 0)


def _events(user: User, *actions: Action) -> QuerySet[AuditEvent]:
    events = AuditEvent.objects.filter(target_type=ACCOUNT, target_id=user.pk)
    return events.filter(action__in=[action.value for action in actions]).order_by("-sequence")


def mark(user: User) -> dict[str, list[str]]:
    """The data about it for the event of a sign-in or a confirmation. A row that is removed later stays known."""
    kinds = unsigned(user)
    return {UNSIGNED: kinds} if kinds else {}


def doubts(user: User) -> list[str]:
    """The kinds of what is not signed now, or was not at a sign-in of the last weeks. Empty: nothing is in doubt.

    A confirmation at the console ends the doubts of before.
    """
    confirmed = next(filter(is_believed, _events(user, Action.ACCOUNT_CONFIRMED)), None)
    entered = _events(user, Action.SIGNED_IN, Action.STEP_UP_DONE).filter(
        data__has_key=UNSIGNED, at__gt=database_now() - REMEMBERED, sequence__gt=confirmed.sequence if confirmed else 0
    )
    return sorted({*unsigned(user), *(str(kind) for event in entered for kind in event.data[UNSIGNED])})
