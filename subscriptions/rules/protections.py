"""Protect people: make and end protections, and apply both to the verdicts and to candidates that are not yet approved.

What is approved already is stopped by the recheck before the send, which evaluates the same clause.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils import timezone

from integrations.connectors.contract import UNKNOWN_WORDS
from integrations.models import IntegrationProfile
from licensehub.audit.actions import Action
from licensehub.audit.log import Actor, record, record_many
from subscriptions.candidates import locks
from subscriptions.candidates.withdraw import withdraw
from subscriptions.eligibility.evaluate import evaluate_rows
from subscriptions.eligibility.terms import current_terms
from subscriptions.errors import NotActionable, Refused
from subscriptions.models import Protection, ProtectionKind
from subscriptions.models.protection import people_of

DOMAIN = re.compile(r"(?!-)[a-z0-9-]+(\.[a-z0-9-]+)*\.[a-z][a-z0-9-]*[a-z0-9]")
WORDS = {ProtectionKind.LICENSE: "license type", ProtectionKind.ROLE: "role"}


@dataclass(frozen=True, slots=True)
class ProtectionInput:
    """The reason for a protection, the owner to ask about it, and its end; None means without an end."""

    reason: str
    owner: str
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Effect:
    """`made` are the protections that were made or ended. Of their people, `changed` have another verdict now."""

    made: list[Protection]
    changed: int
    withdrawn: int


# --- Check ------------------------------------------------------------------------------------------------------------


def clean_value(profile: IntegrationProfile, kind: str, value: str) -> str:
    """The value in the form that is compared, see `models.protection.keys`. Raises ValidationError for `value`."""
    given = value.strip()
    if kind in (ProtectionKind.LICENSE, ProtectionKind.ROLE):
        return _known_word(profile, ProtectionKind(kind), given)
    return _domain(given) if kind == ProtectionKind.DOMAIN else _email(given)


def _email(given: str) -> str:
    try:
        validate_email(given)
        given.encode("ascii")
    except (ValidationError, UnicodeEncodeError) as error:
        sentence = f"“{given}” is no e-mail address. Write it as the vendor shows it, e.g. pat@northwind.example."
        raise ValidationError({"value": sentence}) from error
    return given.lower()


def _domain(given: str) -> str:
    domain = given.lower().removeprefix("@")
    if not DOMAIN.fullmatch(domain):
        sentence = f"“{given}” is no domain. Write what follows the @ of the addresses, e.g. contractor.example."
        raise ValidationError({"value": sentence})
    return domain


def _known_word(profile: IntegrationProfile, kind: ProtectionKind, given: str) -> str:
    labels = words_of(profile, kind)
    for word, label in labels.items():
        if given.lower() in (word.lower(), label.lower()):
            return word
    known = ", ".join(labels.values())
    raise ValidationError({"value": f"“{given}” is no {WORDS[kind]} that {profile} knows. Known are: {known}."})


def words_of(profile: IntegrationProfile, kind: ProtectionKind) -> Mapping[str, str]:
    """The vendor's words for licenses or roles, and how they are shown."""
    connector = profile.connector
    words = connector.licenses if kind == ProtectionKind.LICENSE else connector.roles
    return {word: label for word, label in words.items() if word not in UNKNOWN_WORDS}


def check_input(wish: ProtectionInput) -> None:
    """Raises ValidationError with a sentence for each field that is wrong."""
    wrong: dict[str, str] = {}
    if not wish.reason.strip():
        wrong["reason"] = "Say why, for a colleague who reads it in half a year."
    if not wish.owner.strip():
        wrong["owner"] = "Name a person who can say later whether it is still needed."
    if wish.ends_at is not None and wish.ends_at <= timezone.now():
        wrong["ends_at"] = "This end is in the past, so nobody would be protected. Choose a later day, or none."
    for name, longest in (("reason", 500), ("owner", 150)):
        if len(getattr(wish, name)) > longest:
            wrong[name] = f"At most {longest} characters."
    if wrong:
        raise ValidationError(wrong)


# --- Make -------------------------------------------------------------------------------------------------------------


def create_protection(
    profile: IntegrationProfile, kind: str, value: str, wish: ProtectionInput, *, actor: User
) -> Effect:
    """Protect these people from now on. Raises ValidationError, and Refused when the same is in force already."""
    wanted = clean_value(profile, kind, value)
    check_input(wish)
    with transaction.atomic():
        locks.lock_profile(profile.pk)  # two at once would both find that there is none
        former = Protection.objects.in_force().filter(profile=profile, kind=kind, value=wanted).first()
        if former:
            raise Refused(
                f"Protected already: {former}, by {former.created_by.get_username()}, {former.until_label}. Nothing "
                "was changed. To change its reason, owner or end, end that one first."
            )
        [made] = _make(profile, kind, [wanted], wish, actor=actor)
    return _reevaluate([made])


def protect_people(profile: IntegrationProfile, emails: Iterable[str], wish: ProtectionInput, *, actor: User) -> Effect:
    """One protection for each of these people of a profile who has none of their own yet.

    Raises ValidationError, and Refused when all of them are protected already.
    """
    wanted = {clean_value(profile, ProtectionKind.PERSON, email) for email in emails}
    check_input(wish)
    with transaction.atomic():
        locks.lock_profile(profile.pk)
        same = Protection.objects.in_force().filter(profile=profile, kind=ProtectionKind.PERSON)
        new = sorted(wanted - set(same.values_list("value", flat=True)))
        if not new:
            raise Refused("All of these people are protected already. Nothing was changed.")
        made = _make(profile, ProtectionKind.PERSON, new, wish, actor=actor)
    return _reevaluate(made)


def _make(
    profile: IntegrationProfile, kind: str, values: list[str], wish: ProtectionInput, *, actor: User
) -> list[Protection]:
    terms = {"reason": wish.reason.strip(), "owner": wish.owner.strip(), "ends_at": wish.ends_at}
    made = Protection.objects.bulk_create(
        Protection(profile=profile, kind=kind, value=value, created_by=actor, **terms) for value in values
    )
    targets = [(row, {"kind": row.kind, "value": row.value, **terms}) for row in made]
    record_many(Action.PROTECTION_CREATED, actor=actor, targets=targets)
    return made


# --- End --------------------------------------------------------------------------------------------------------------


def end_protection(protection: Protection, *, actor: User) -> Effect:
    """End the protection: it covers nobody from now on. Raises NotActionable when it has ended already."""
    _end(protection, actor=actor)
    return _reevaluate([protection])


def end_run_out() -> int:
    """Note the protections whose end has come, and evaluate their people again. Returns how many.

    A protection covers nobody after its end, whether that is noted or not. A second process finds nothing left to note.
    """
    ended = 0
    for protection in Protection.objects.run_out().select_related("profile"):
        _reevaluate([protection])
        try:
            _end(protection, actor=None)
        except NotActionable:
            continue  # another process, or a person, noted it in this moment
        ended += 1
    return ended


def _end(protection: Protection, *, actor: Actor) -> None:
    with transaction.atomic():
        values = {"ended_at": timezone.now(), "ended_by": actor}
        if Protection.objects.filter(pk=protection.pk, ended_at=None).update(**values) != 1:
            raise NotActionable(f"The protection of {protection} has ended already. Nothing was changed.")
        data = {"kind": protection.kind, "value": protection.value, "reason": protection.reason}
        record(Action.PROTECTION_ENDED, actor=actor, target=protection, data=data)


# --- The effect -------------------------------------------------------------------------------------------------------


def _reevaluate(protections: list[Protection]) -> Effect:
    """After the commit, evaluate the covered people again, and withdraw their candidates that are stale now."""
    profile_id = protections[0].profile_id
    terms = current_terms(profile_id)
    changed = sum(evaluate_rows(rows, terms) for rows in people_of(protections))
    return Effect(protections, changed, withdraw(profile_id))
