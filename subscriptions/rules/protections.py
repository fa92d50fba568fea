"""Protect people: make and end protections, and apply both to the verdicts and to candidates that are not yet approved.

What is approved already is stopped by the recheck before the send, which evaluates the same clause.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from integrations.connectors.contract import normalized
from integrations.models import IntegrationProfile
from licensehub.audit.actions import Action
from licensehub.audit.log import Actor, record_many
from licensehub.database.clock import database_now
from licensehub.ui.formatting import name_of
from licensehub.ui.lists.id_filter import IdList
from subscriptions.accounts.scope import refuse_outside
from subscriptions.candidates import locks
from subscriptions.candidates.actions import evaluate_people
from subscriptions.candidates.withdraw import withdraw
from subscriptions.eligibility.evaluate import evaluate_rows
from subscriptions.eligibility.terms import current_terms
from subscriptions.errors import NotActionable, Refused
from subscriptions.models import Protection, ProtectionKind, Subscription
from subscriptions.models.protection import people_of
from subscriptions.rules.coverage import count_covered
from subscriptions.rules.evaluation import mark_done, mark_due
from subscriptions.rules.find_people import find_people
from subscriptions.rules.protection_values import clean_value

# So many are compared with the protections in force at once.
BATCH = 5000


@dataclass(frozen=True, slots=True)
class ProtectionInput:
    """The reason for a protection, the owner to ask about it, and its end; None means without an end."""

    reason: str
    owner: str
    ends_at: datetime | None = None


class Wanted(NamedTuple):
    """A protection to make. `external_id` is the vendor's id of a person; empty while the person is not known.

    `removal_id` is the person of a request, if this protection is a part of a decision on the request.
    """

    kind: str
    value: str
    external_id: str
    details: ProtectionInput
    removal_id: int | None = None

    @classmethod
    def of_person(cls, row: Subscription, details: ProtectionInput) -> Wanted:
        return cls(ProtectionKind.PERSON, normalized(row.email), row.external_id, details)


@dataclass(frozen=True, slots=True)
class ProtectionEffect:
    """`made` are the protections that were made or ended. Of their people, `changed` have another verdict now.

    `already` is the number of people who had a protection of their own.
    """

    made: list[Protection]
    changed: int
    withdrawn: int
    already: int = 0


# --- Check ------------------------------------------------------------------------------------------------------------


def check_input(wish: ProtectionInput, *, complete: bool = True) -> None:
    """Raises ValidationError with a sentence for each wrong field. `complete`: reason and owner are required."""
    wrong: dict[str, str] = {}
    if complete and not wish.reason.strip():
        wrong["reason"] = _("Enter a reason.")
    if complete and not wish.owner.strip():
        wrong["owner"] = _("Name a person who can say later whether it is still needed.")
    if wish.ends_at is not None and wish.ends_at <= database_now():
        wrong["ends_at"] = _("This end is in the past, so nobody would be protected. Choose a later day, or none.")
    for name, longest in (("reason", 500), ("owner", 150)):
        if len(getattr(wish, name)) > longest:
            wrong[name] = _("At most {longest} characters.").format(longest=longest)
    if wrong:
        raise ValidationError(wrong)


# --- Make -------------------------------------------------------------------------------------------------------------


def create_protection(
    profile: IntegrationProfile, kind: str, value: str, wish: ProtectionInput, *, actor: User
) -> ProtectionEffect:
    """Protect these people from now on. Raises ValidationError, and Refused when the same is in force already.

    A person is given by the address, and is bound to the vendor's id if the address is known.
    """
    wanted = Wanted(kind, clean_value(profile, kind, value), "", wish)
    with transaction.atomic():
        locks.lock_profile(profile.pk)  # two at once would both find that there is none
        if kind == ProtectionKind.PERSON and (person := find_people(profile.pk, [wanted.value]).get(wanted.value)):
            typed_id = wanted.value == person.external_id
            value = normalized(person.email) if typed_id else wanted.value
            wanted = wanted._replace(value=value, external_id=person.external_id)
        if former := in_force_already(profile, [wanted]).get(wanted):
            raise Refused(
                _(
                    "Protected already: {former}, by {name}, {until}. Nothing was changed. To change its reason, owner "
                    "or end, end that one first."
                ).format(former=former, name=name_of(former.created_by), until=former.until_label)
            )
        made = _make(profile, [wanted], actor=actor)
        due_at = mark_due(profile.pk)
    return _reevaluate(made, due_at)


def protect_people(
    profile: IntegrationProfile, people: Iterable[Subscription], wish: ProtectionInput, *, actor: User
) -> ProtectionEffect:
    """Protect each of these people of a profile who has no protection of their own yet, with or without an address.

    Raises ValidationError, and Refused when all of them are protected already.
    """
    effect = protect_all(profile, [Wanted.of_person(row, wish) for row in people], actor=actor)
    if not effect.made:
        raise Refused(_("All of these people are protected already. Nothing was changed."))
    return effect


def protect_all(profile: IntegrationProfile, wanted: Iterable[Wanted], *, actor: User) -> ProtectionEffect:
    """Make those of these protections that are not in force already, in a few statements. Raises ValidationError."""
    chosen = list(dict.fromkeys(wanted))
    with transaction.atomic():
        locks.lock_profile(profile.pk)
        already = in_force_already(profile, chosen)
        made = _make(profile, [one for one in chosen if one not in already], actor=actor)
        due_at = mark_due(profile.pk) if made else None
    effect = _reevaluate(made, due_at) if made else ProtectionEffect([], 0, 0)
    return replace(effect, already=len(already))


def protect_in_transaction(
    profile_id: int, wanted: Iterable[Wanted], people: IdList, *, actor: User
) -> list[Protection]:
    """Make those of these protections that are not in force yet, and evaluate `people` (ids of subscriptions) again.

    All in the caller's transaction, under the lock of the profile. Returns the new ones. Raises ValidationError.
    """
    profile, chosen = IntegrationProfile.objects.get(pk=profile_id), list(wanted)
    already = in_force_already(profile, chosen)
    made = _make(profile, [one for one in chosen if one not in already], actor=actor)
    count_covered(made)
    evaluate_people(people)
    return made


def in_force_already(profile: IntegrationProfile, wanted: Iterable[Wanted]) -> dict[Wanted, Protection]:
    """Find which of them have a protection of their own in force. Returns each with that protection."""
    found: dict[Wanted, Protection] = {}
    chosen = list(wanted)
    for start in range(0, len(chosen), BATCH):
        found |= _in_force_already(profile, chosen[start : start + BATCH])
    return found


def _in_force_already(profile: IntegrationProfile, chosen: Sequence[Wanted]) -> dict[Wanted, Protection]:
    ids = {one.external_id for one in chosen} - {""}
    same = Q(value__in={one.value for one in chosen} - {""}) | Q(external_id__in=ids)
    rows = Protection.objects.in_force().of(profile.pk).filter(same).select_related("created_by", "profile")
    by_id = {(row.kind, row.external_id): row for row in rows if row.external_id}
    by_value: dict[tuple[str, str], list[Protection]] = defaultdict(list)
    for row in rows:
        by_value[row.kind, row.value].append(row)
    found: dict[Wanted, Protection] = {}
    for one in chosen:
        # A protection of another person who had this address before is not this person's own.
        same_value = (row for row in by_value[one.kind, one.value] if not (row.external_id and one.external_id))
        former = by_id.get((one.kind, one.external_id)) or (next(same_value, None) if one.value else None)
        if former and former.removal_id and one.removal_id is None:
            # It ends when the decision on that request is taken back, so somebody else's wish needs its own.
            continue
        if former:
            found[one] = former
    return found


def _make(profile: IntegrationProfile, wanted: list[Wanted], *, actor: User) -> list[Protection]:
    refuse_outside(actor, profile.pk)
    for details in {one.details for one in wanted}:
        check_input(details)
    made = Protection.objects.bulk_create(
        Protection(
            profile=profile,
            kind=one.kind,
            value=one.value,
            external_id=one.external_id,
            reason=one.details.reason.strip(),
            owner=one.details.owner.strip(),
            ends_at=one.details.ends_at,
            removal_id=one.removal_id,
            created_by=actor,
        )
        for one in wanted
    )
    names = ("kind", "value", "external_id", "reason", "owner", "ends_at")
    targets = [(row, {name: getattr(row, name) for name in names} | {"profile": profile.pk}) for row in made]
    record_many(Action.PROTECTION_CREATED, actor=actor, targets=targets)
    return made


# --- End --------------------------------------------------------------------------------------------------------------


def end_protection(protection: Protection, *, actor: User) -> ProtectionEffect:
    """End the protection: it covers nobody from now on. Raises NotActionable when it has ended already."""
    return end_protections([protection], actor=actor)


def end_protections(protections: Iterable[Protection], *, actor: User) -> ProtectionEffect:
    """End those of these that are in force. Raises NotActionable when all of them have ended already."""
    chosen = list(protections)
    ended = _end(chosen, actor=actor)
    if not ended:
        if len(chosen) == 1:
            one = _("The protection of {person} has ended already. Nothing was changed.")
            raise NotActionable(one.format(person=chosen[0]))
        raise NotActionable(_("All of these protections have ended already. Nothing was changed."))
    by_profile: dict[int, list[Protection]] = defaultdict(list)
    for protection in ended:
        by_profile[protection.profile_id].append(protection)
    effects = [_reevaluate(mine) for mine in by_profile.values()]
    changed, withdrawn = sum(one.changed for one in effects), sum(one.withdrawn for one in effects)
    return ProtectionEffect(ended, changed, withdrawn, already=len(chosen) - len(ended))


def end_in_transaction(protections: QuerySet[Protection], *, actor: User) -> list[Protection]:
    """End those of these that are in force, in the caller's transaction. The caller evaluates the people again."""
    return _end(protections, actor=actor)


def end_run_out() -> int:
    """Note the protections whose end has come, and evaluate their people again. Returns how many.

    A protection covers nobody after its end, whether that is noted or not. A second process finds nothing left to note.
    """
    ended = 0
    for protection in Protection.objects.run_out().select_related("profile"):
        _reevaluate([protection])
        ended += len(_end([protection], actor=None))  # 0 if another process, or a person, noted it in this moment
    return ended


def _end(protections: Iterable[Protection], *, actor: Actor) -> list[Protection]:
    """Note the end of those that have none yet, and return them."""
    ids = [protection.pk for protection in protections]
    with transaction.atomic():
        rows = Protection.objects.filter(pk__in=ids, ended_at=None).order_by("pk").select_related("profile")
        ending = list(rows.select_for_update(of=("self",)))
        for profile_id in {one.profile_id for one in ending}:
            refuse_outside(actor, profile_id)
        values = {"ended_at": database_now(), "ended_by": actor}
        mine = Protection.objects.filter(pk__in=[one.pk for one in ending], ended_at=None)
        if mine.update(**values) != len(ending):
            raise NotActionable(_("Somebody has just ended some of these protections. Nothing was changed."))
        names = ("kind", "value", "external_id", "reason")
        targets = [(one, {name: getattr(one, name) for name in names}) for one in ending]
        record_many(Action.PROTECTION_ENDED, actor=actor, targets=targets)
    return ending


# --- The effect -------------------------------------------------------------------------------------------------------


def _reevaluate(protections: list[Protection], due_at: datetime | None = None) -> ProtectionEffect:
    """Evaluate the covered people again after the commit, and withdraw their candidates that are stale now.

    What is `due_at` is done then. Where this process is killed, the sweep evaluates everybody.
    """
    profile_id = protections[0].profile_id
    count_covered(protections)
    terms = current_terms(profile_id)
    changed = sum(evaluate_rows(rows, terms) for rows in people_of(protections))
    withdrawn = withdraw(profile_id)
    mark_done(profile_id, due_at)
    return ProtectionEffect(protections, changed, withdrawn)
