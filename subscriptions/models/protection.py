"""Protections: a person, a domain, a license type or a role is left alone, with a reason, an owner and an end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Case, F, Q, Subquery, When
from django.db.models.expressions import Combinable
from django.db.models.functions import Lower, StrIndex, Substr
from django.utils import timezone
from django.utils.formats import date_format

from integrations.models import IntegrationProfile
from licensehub.ui.lists.row_values import compared, row
from subscriptions.models.subscription import HELD, Subscription


class ProtectionKind(models.TextChoices):
    PERSON = "person", "Person (e-mail address)"
    DOMAIN = "domain", "Domain of the e-mail address"
    LICENSE = "license", "License type"
    ROLE = "role", "Role"


SCOPES = {
    ProtectionKind.DOMAIN: "at",
    ProtectionKind.LICENSE: "with the license",
    ProtectionKind.ROLE: "with the role",
}
Text = str | Combinable


def keys(email: Text, license: Text, role: Text) -> dict[str, Combinable]:
    """The one rule of matching: for each kind, the value of a person that a protection's value must equal."""
    address = models.Value(email) if isinstance(email, str) else email
    return {
        ProtectionKind.PERSON: Lower(address),
        ProtectionKind.DOMAIN: Lower(Substr(address, StrIndex(address, models.Value("@")) + 1)),
        ProtectionKind.LICENSE: models.Value(license) if isinstance(license, str) else license,
        ProtectionKind.ROLE: models.Value(role) if isinstance(role, str) else role,
    }


def _in_force() -> Q:
    return Q(ended_at=None) & (Q(ends_at=None) | Q(ends_at__gt=timezone.now()))


class ProtectionQuerySet(models.QuerySet["Protection"]):
    def in_force(self) -> ProtectionQuerySet:
        return self.filter(_in_force())

    def with_state(self) -> ProtectionQuerySet:
        """Annotate each with `state`: in_force or ended."""
        state = Case(When(_in_force(), then=models.Value("in_force")), default=models.Value("ended"))
        return self.annotate(state=state)

    def run_out(self) -> ProtectionQuerySet:
        """Protections whose end has come and is not noted yet."""
        return self.filter(ended_at=None, ends_at__lte=timezone.now())

    def covering(self, *, profile: int | Combinable, email: Text, license: Text, role: Text) -> ProtectionQuerySet:
        """Protections in force that cover a person with these values."""
        matches = Q()
        for kind, key in keys(email, license, role).items():
            matches |= Q(kind=kind, value=key)
        return self.in_force().filter(matches, profile=profile)

    def covers_row(self) -> Q:
        """A condition on rows with profile, email, license and role, e.g. subscriptions: the row is protected.

        It has one IN for each kind, and the subquery reads nothing of the row. So both databases read the protections
        once, and not once for each row.
        """
        covered = Q()
        for kind, key in keys(F("email"), F("license"), F("role")).items():
            of_kind = self.in_force().filter(kind=kind).order_by().values("profile", "value")
            covered |= Q(compared(row("profile", key), "IN", Subquery(of_kind)))
        return covered


class Protection(models.Model):
    """A protection is never edited or deleted: it ends, and another one begins. People and domains are lower case."""

    profile = models.ForeignKey(IntegrationProfile, on_delete=models.PROTECT, related_name="protections")
    kind = models.CharField("what", max_length=10, choices=ProtectionKind.choices, default=ProtectionKind.PERSON)
    value = models.CharField(max_length=254)
    reason = models.CharField(max_length=500)
    # The person to ask whether it is still needed. Any name is allowed, since few owners have an account.
    owner = models.CharField(max_length=150)
    ends_at = models.DateTimeField("ends", null=True, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    ended_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    ended_at = models.DateTimeField(null=True)

    objects = ProtectionQuerySet.as_manager()

    class Meta:
        verbose_name = "protection"
        ordering: ClassVar = ["-created_at", "-pk"]
        default_permissions = ("view", "add", "change")
        indexes: ClassVar = [models.Index(fields=["profile", "kind", "value"], name="protection_value")]

    def __str__(self) -> str:
        return self.scope_label

    @property
    def is_in_force(self) -> bool:
        return self.ended_at is None and (self.ends_at is None or self.ends_at > timezone.now())

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
            return self.value
        return f"everybody {SCOPES[ProtectionKind(self.kind)]} {self.value_label}"

    @property
    def until_label(self) -> str:
        """`until Dec 31, 2026`, or `without an end`."""
        if self.ends_at is None:
            return "without an end"
        return f"until {date_format(timezone.localtime(self.ends_at), 'M j, Y')}"

    @property
    def sentence(self) -> str:
        """The text after the word `Protected`: by which user, until which day, the reason, and the owner to ask."""
        scope = "" if self.kind == ProtectionKind.PERSON else f", as {self.scope_label}"
        reason, owner = self.reason.rstrip("."), self.owner.rstrip(".")
        return f"by {self.created_by.get_username()}{scope}, {self.until_label}: “{reason}”. Ask {owner}."


def people_of(protections: Iterable[Protection]) -> Iterator[models.QuerySet[Subscription]]:
    """The subscriptions that these protections of one profile cover, in force or not, for each kind."""
    values: dict[str, set[str]] = {}
    for protection in protections:
        values.setdefault(protection.kind, set()).add(protection.value)
        profile_id = protection.profile_id
    for kind, wanted in values.items():
        yield with_key(profile_id, kind).filter(protection_key__in=wanted)


def with_key(profile_id: int, kind: str) -> models.QuerySet[Any]:
    """A profile's subscriptions. `protection_key` is the value that a protection of this kind is compared with."""
    rows = Subscription.objects.filter(profile=profile_id)
    return rows.annotate(protection_key=keys(F("email"), F("license"), F("role"))[kind])


def count_people(protections: Iterable[Protection]) -> dict[int, int]:
    """Protection id -> how many held seats it covers now; one query for each profile and kind."""
    wanted: dict[tuple[int, str], dict[str, list[int]]] = {}
    for protection in protections:
        same = wanted.setdefault((protection.profile_id, protection.kind), {})
        same.setdefault(protection.value, []).append(protection.pk)
    found: dict[int, int] = {}
    for (profile_id, kind), ids in wanted.items():
        rows = with_key(profile_id, kind).filter(HELD, protection_key__in=list(ids)).order_by()
        counted = dict(rows.values_list("protection_key").annotate(models.Count("pk")))
        found |= {pk: counted.get(value, 0) for value, pks in ids.items() for pk in pks}
    return found
