"""Protections: a person, a domain, a license type or a role is left alone, with a reason, an owner and an end."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Case, Count, F, OuterRef, Q, Subquery, Value, When
from django.db.models.expressions import Combinable
from django.db.models.functions import StrIndex, Substr
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from integrations.connectors.contract import english, normalized
from integrations.models import IntegrationProfile
from integrations.scopes.visibility import ProfileManager
from licensehub.database.clock import database_now
from licensehub.ui.formatting import day, name_of
from licensehub.ui.lists.paging.row_values import compared, row
from subscriptions.models.fields import position_of
from subscriptions.models.subscription import HAS_ADMIN_ROLE, HELD, Subscription, address_key

# Long enough to ask the owner whether it is still needed.
ENDS_SOON = timedelta(days=14)


class ProtectionKind(models.TextChoices):
    PERSON = "person", _("Person")
    DOMAIN = "domain", _("Domain of the e-mail address")
    LICENSE = "license", _("License type")
    ROLE = "role", _("Role")
    ADMIN_ROLE = "admin_role", _("Admin role")


SCOPES = {
    ProtectionKind.DOMAIN: english("everybody at {value}"),
    ProtectionKind.LICENSE: english("everybody with the license {value}"),
    ProtectionKind.ROLE: english("everybody with the role {value}"),
    ProtectionKind.ADMIN_ROLE: english("everybody with the admin role {value}"),
}
MEMBER = english("member {id}")
UNTIL, NO_END = english("until {day}"), english("without an end")
PROTECTED = english("Protected by {name}, {until}: “{reason}”. Ask {owner}.")
PROTECTED_AS = english("Protected by {name}, as {scope}, {until}: “{reason}”. Ask {owner}.")


@dataclass(frozen=True, slots=True)
class Key:
    """One way to be covered: a protection of this `kind` covers a person whose `of_person` equals its `column`."""

    kind: ProtectionKind
    column: str
    of_person: Combinable


def keys(external_id: Combinable, address: Combinable, license: Combinable, role: Combinable) -> tuple[Key, ...]:
    """The one rule of matching. An empty column covers nobody.

    A person is covered by the vendor's id or by the address. So neither a new address nor a new id ends the protection.
    Somebody who gets a protected person's former address is covered, too, which is the safe mistake.
    """
    domain = Substr(address, StrIndex(address, Value("@")) + 1)
    return (
        Key(ProtectionKind.PERSON, "external_id", external_id),
        Key(ProtectionKind.PERSON, "value", address),
        Key(ProtectionKind.DOMAIN, "value", domain),
        Key(ProtectionKind.LICENSE, "value", license),
        Key(ProtectionKind.ROLE, "value", role),
    )


def keys_of_rows() -> tuple[Key, ...]:
    """The keys as expressions for rows of Subscription."""
    return keys(F("external_id"), address_key(), F("license"), F("role"))


def _in_force(now: Any = None) -> Q:
    return Q(ended_at=None) & (Q(ends_at=None) | Q(ends_at__gt=now or database_now()))


def _ends_soon() -> Q:
    """A condition on protections in force: the end is near."""
    return Q(ends_at__lte=database_now() + ENDS_SOON)


class ProtectionQuerySet(models.QuerySet["Protection"]):
    def in_force(self, now: Any = None) -> ProtectionQuerySet:
        """`now` is a moment, or an expression of one."""
        return self.filter(_in_force(now))

    def in_force_at(self, moment: datetime) -> ProtectionQuerySet:
        """Protections that were in force at a moment of the past."""
        begun = self.filter(created_at__lte=moment).filter(Q(ends_at=None) | Q(ends_at__gt=moment))
        return begun.filter(Q(ended_at=None) | Q(ended_at__gt=moment))

    def with_state(self) -> ProtectionQuerySet:
        """Annotate each with `state`: lost (covers nobody any more), ends_soon, in_force or ended.

        All but `ended` are in force.
        """
        lost = When(_in_force() & Q(lost_at__isnull=False), then=Value("lost"))
        ends_soon = When(_in_force() & _ends_soon(), then=Value("ends_soon"))
        in_force = When(_in_force(), then=Value("in_force"))
        return self.annotate(state=Case(lost, ends_soon, in_force, default=Value("ended")))

    def run_out(self) -> ProtectionQuerySet:
        """Protections whose end has come and is not noted yet."""
        return self.filter(ended_at=None, ends_at__lte=database_now())

    def lost(self) -> ProtectionQuerySet:
        """Protections in force that cover nobody any more, and that no user has looked at."""
        return self.in_force().filter(lost_at__isnull=False)

    def ending_soon(self) -> ProtectionQuerySet:
        """Protections in force that cover people, and end within ENDS_SOON."""
        return self.in_force().filter(_ends_soon(), lost_at=None)

    def of(self, profile_id: int) -> ProtectionQuerySet:
        """The protections of this profile."""
        return self.filter(profile=profile_id)

    def covering(self, person: Subscription) -> ProtectionQuerySet:
        """Protections in force that cover this person."""
        facts = (person.external_id, normalized(person.email), person.license, person.role)
        matches = Q()
        for key in keys(*(Value(fact) for fact in facts)):
            matches |= Q(kind=key.kind, **{key.column: key.of_person}) & ~Q(**{key.column: ""})
        matches |= Q(kind=ProtectionKind.ADMIN_ROLE, value__in=person.admin_roles)
        return self.in_force().of(person.profile_id).filter(matches)

    def covers_row(self, now: Any = None) -> Q:
        """A condition on rows of Subscription: the row is protected. `now` is a moment, or an expression of one.

        It has one IN for each key, and the subquery reads nothing of the row. So both databases read the protections
        once, and not once for each row.
        """
        return self._covers(self.in_force(now).order_by())

    def covered_row_at(self, moment: datetime) -> Q:
        """A condition on rows of Subscription: a protection covered the row at a moment of the past.

        The address, license and role of the row are those of today.
        """
        return self._covers(self.in_force_at(moment).order_by())

    def _covers(self, in_force: ProtectionQuerySet) -> Q:
        covered = Q()
        for key in keys_of_rows():
            known = in_force.filter(~Q(**{key.column: ""}), kind=key.kind)
            of_kind = known.values("profile", key.column)
            covered |= Q(compared(row("profile", key.of_person), "IN", Subquery(of_kind)))
        return covered | Q(pk__in=self._people_with_admin_role(in_force))

    def _people_with_admin_role(self, in_force: ProtectionQuerySet) -> models.QuerySet[Any]:
        """The ids of the people that a protection of the kind *admin role* covers. One may have several roles."""
        known = in_force.filter(kind=ProtectionKind.ADMIN_ROLE).values("pk")
        # Annotations use the same join, so `at` is about the protection `by`.
        value = F("profile__protections__value")
        rows: models.QuerySet[Any] = Subscription.objects.filter(HAS_ADMIN_ROLE).order_by()
        rows = rows.alias(by=F("profile__protections__pk"), at=position_of(value, F("admin_roles")))
        return rows.filter(by__in=known, at__gt=0).values("pk")

    def with_person(self) -> ProtectionQuerySet:
        """Annotate each that is bound with `name_now` and `email_now` of its person; None for the others."""
        person = Subscription.objects.filter(profile=OuterRef("profile"), external_id=OuterRef("external_id"))
        return self.annotate(
            name_now=Subquery(person.values("name")[:1]), email_now=Subquery(person.values("email")[:1])
        )


ProtectionManager = ProfileManager.from_queryset(ProtectionQuerySet)


class Protection(models.Model):
    """A protection is never edited or deleted: it ends, and another one begins. Only `external_id` may follow later.

    `value` is normalized. For a person it is the address as it was typed, or as it was when somebody chose this person;
    empty for a person without an address.
    """

    profile = models.ForeignKey(IntegrationProfile, on_delete=models.PROTECT, related_name="protections")
    kind = models.CharField(_("what"), max_length=10, choices=ProtectionKind.choices, default=ProtectionKind.PERSON)
    value = models.CharField(max_length=254, blank=True)
    # The vendor's id of the person; empty for other kinds, and until the person is known.
    external_id = models.CharField(_("vendor ID"), max_length=40, blank=True, default="")
    reason = models.CharField(_("reason"), max_length=500)
    # The person to ask whether it is still needed. Any name is allowed, since few owners have an account.
    owner = models.CharField(_("owner"), max_length=150)
    ends_at = models.DateTimeField(_("ends"), null=True, blank=True)
    # The person of a request, if a user rejected the request, or dropped the person, with the choice Protect.
    removal = models.ForeignKey(
        "subscriptions.RequestedRemoval",
        on_delete=models.PROTECT,
        null=True,
        editable=False,
        related_name="protections",
    )
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=database_now)
    ended_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    ended_at = models.DateTimeField(null=True)
    # The number of people that it covered at the last count above zero; None before the first count.
    covered = models.PositiveIntegerField(null=True, editable=False)
    # The moment since which it covers nobody. Empty when it covers somebody, or when a user has looked at it.
    lost_at = models.DateTimeField(null=True, editable=False)

    profile_path: ClassVar[str] = "profile"
    objects = ProtectionManager()

    class Meta:
        verbose_name = _("protection")
        verbose_name_plural = _("protections")
        ordering: ClassVar = ["-created_at", "-pk"]
        default_permissions = ("view", "add", "change")
        indexes: ClassVar = [models.Index(fields=["profile", "kind", "value"], name="protection_value")]

    def __str__(self) -> str:
        return self.scope_label

    @property
    def is_in_force(self) -> bool:
        return self.ended_at is None and (self.ends_at is None or self.ends_at > database_now())

    @property
    def value_label(self) -> str:
        """The label of the value: `Full` for `full`."""
        connector = self.profile.connector
        words = {ProtectionKind.LICENSE: connector.licenses, ProtectionKind.ROLE: connector.roles}
        return words.get(ProtectionKind(self.kind), {}).get(self.value, self.value)

    @property
    def scope_label(self) -> str:
        """`pat@northwind.example`, `everybody at contractor.example`, `everybody with the license Full`."""
        if self.kind == ProtectionKind.PERSON:
            return self.value or gettext(MEMBER).format(id=self.external_id)
        return gettext(SCOPES[ProtectionKind(self.kind)]).format(value=self.value_label)

    @property
    def until_label(self) -> str:
        """`until Dec 31, 2026`, or `without an end`."""
        if self.ends_at is None:
            return gettext(NO_END)
        with timezone.override(timezone.get_default_timezone()):
            return gettext(UNTIL).format(day=day(self.ends_at))

    @property
    def sentence(self) -> str:
        """A sentence that names the user who protected it, the last day, the reason, and the owner to ask."""
        said = PROTECTED if self.kind == ProtectionKind.PERSON else PROTECTED_AS
        return gettext(said).format(
            name=name_of(self.created_by),
            scope=self.scope_label,
            until=self.until_label,
            reason=self.reason.rstrip("."),
            owner=self.owner.rstrip("."),
        )


# --- The people -------------------------------------------------------------------------------------------------------


def people_of(protections: Iterable[Protection]) -> Iterator[models.QuerySet[Subscription]]:
    """The subscriptions that these protections of one profile cover, in force or not: one queryset for each key."""
    chosen = list(protections)
    for key in keys_of_rows():
        values = {getattr(found, key.column) for found in chosen if found.kind == key.kind} - {""}
        if values:
            yield _having(chosen[0].profile_id, key, values)
    for found in chosen:
        if found.kind == ProtectionKind.ADMIN_ROLE:
            yield Subscription.objects.filter(profile=found.profile_id).with_admin_role(found.value)


def _having(profile_id: int, key: Key, values: Iterable[str]) -> models.QuerySet[Any]:
    """The profile's people with one of these values, each with its own value as `protection_key`."""
    rows: models.QuerySet[Any] = Subscription.objects.filter(profile=profile_id).order_by()
    column = "external_id" if key.column == "external_id" else "protection_key"  # the id has an index
    found: models.QuerySet[Any] = rows.annotate(protection_key=key.of_person).filter(**{f"{column}__in": values})
    return found


def count_people(protections: Iterable[Protection], counted: Q = HELD) -> dict[int, int]:
    """Protection id -> how many people it covers now, by default of those who hold a seat.

    A few queries for each profile: one for each key.
    """
    of_profile: dict[int, list[Protection]] = defaultdict(list)
    for protection in protections:
        of_profile[protection.profile_id].append(protection)
    found: dict[int, int] = {}
    for profile_id, mine in of_profile.items():
        found |= _count(profile_id, mine, counted)
    return found


def _count(profile_id: int, protections: list[Protection], counted: Q) -> dict[int, int]:
    # One person may be covered by the id and by the address of the same protection, and counts once.
    people: dict[tuple[str, str], set[int]] = defaultdict(set)
    numbers: dict[tuple[str, str], int] = {}
    for key in keys_of_rows():
        values = {getattr(one, key.column) for one in protections if one.kind == key.kind} - {""}
        rows = _having(profile_id, key, values).filter(counted)
        if values and key.kind == ProtectionKind.PERSON:
            for value, pk in rows.values_list("protection_key", "pk"):
                people[key.column, value].add(pk)
        elif values:
            counts = rows.values_list("protection_key").annotate(people=Count("pk"))
            numbers |= {(key.kind, value): count for value, count in counts}
    numbers |= _count_admin_roles(profile_id, protections, counted)
    return {
        one.pk: len(people["external_id", one.external_id] | people["value", one.value])
        if one.kind == ProtectionKind.PERSON
        else numbers.get((one.kind, one.value), 0)
        for one in protections
    }


def _count_admin_roles(profile_id: int, protections: list[Protection], counted: Q) -> dict[tuple[str, str], int]:
    """(kind, role) -> how many people have it; nothing where no protection is of this kind."""
    kind = ProtectionKind.ADMIN_ROLE
    if all(one.kind != kind for one in protections):
        return {}
    rows = Subscription.objects.filter(profile=profile_id).with_admin_role().filter(counted)
    counts = Counter(role for roles in rows.values_list("admin_roles", flat=True) for role in roles)
    return {(kind.value, role): count for role, count in counts.items()}
