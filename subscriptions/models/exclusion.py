"""Who is left alone: a person, a domain, a license type or a role, with a reason, an owner and an end."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.expressions import Combinable
from django.db.models.functions import Lower, StrIndex, Substr
from django.utils import timezone

from integrations.models import IntegrationProfile


class ExclusionKind(models.TextChoices):
    PERSON = "person", "Person (e-mail address)"
    DOMAIN = "domain", "Domain of the e-mail address"
    LICENSE = "license", "License type"
    ROLE = "role", "Role"


class ExclusionQuerySet(models.QuerySet["Exclusion"]):
    def in_force(self) -> ExclusionQuerySet:
        return self.filter(ended_at=None).filter(Q(ends_at=None) | Q(ends_at__gt=timezone.now()))

    def covering(
        self,
        *,
        profile: int | Combinable,
        email: Combinable,
        license: str | Combinable,
        role: str | Combinable,
    ) -> ExclusionQuerySet:
        """Those in force that cover somebody: one row's values, or OuterRefs to a query of many."""
        domain = Lower(Substr(email, StrIndex(email, models.Value("@")) + 1))
        return self.in_force().filter(
            Q(kind=ExclusionKind.PERSON, value=Lower(email))
            | Q(kind=ExclusionKind.DOMAIN, value=domain)
            | Q(kind=ExclusionKind.LICENSE, value=license)
            | Q(kind=ExclusionKind.ROLE, value=role),
            profile=profile,
        )


class Exclusion(models.Model):
    """Never edited and never deleted: it ends, and another one begins. Values of people and domains are lower case."""

    profile = models.ForeignKey(IntegrationProfile, on_delete=models.PROTECT, related_name="exclusions")
    kind = models.CharField("what", max_length=10, choices=ExclusionKind.choices, default=ExclusionKind.PERSON)
    value = models.CharField(max_length=254)
    reason = models.CharField(max_length=500)
    # Whom to ask whether it is still needed; any name, since owners leave and accounts are few.
    owner = models.CharField(max_length=150)
    ends_at = models.DateTimeField("ends", null=True, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    ended_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    ended_at = models.DateTimeField(null=True)

    objects = ExclusionQuerySet.as_manager()

    class Meta:
        verbose_name = "exclusion"
        ordering: ClassVar = ["-created_at", "-pk"]
        default_permissions = ("view", "add", "change")
        indexes: ClassVar = [models.Index(fields=["profile", "kind", "value"], name="exclusion_value")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.value}"

    @property
    def is_in_force(self) -> bool:
        return self.ended_at is None and (self.ends_at is None or self.ends_at > timezone.now())
