"""Evidence packs that a worker makes, and keeps for some hours for the account that asked for them."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from licensehub.database.clock import database_now
from subscriptions.models.reclaims.request import ReclaimRequest
from subscriptions.models.subscription import Subscription


class PackState(models.TextChoices):
    WAITING = "waiting", _("Waiting")
    MAKING = "making", _("Being made")
    READY = "ready", _("Ready")
    FAILED = "failed", _("Not made")
    REMOVED = "removed", _("Removed")


class EvidencePack(models.Model):
    """One pack that somebody asked for: about a request, a person, or the days `first` to `last`."""

    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField(default=database_now)
    language = models.CharField(max_length=10)
    # `all`, or the ids of the profiles for which the roles of the account held.
    profiles = models.TextField(default="all")
    request = models.ForeignKey(ReclaimRequest, on_delete=models.PROTECT, null=True, related_name="+")
    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, null=True, related_name="+")
    first = models.DateField(null=True)
    last = models.DateField(null=True)
    state = models.CharField(max_length=10, choices=PackState.choices, default=PackState.WAITING)
    # The worker that makes it.
    token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    tries = models.PositiveSmallIntegerField(default=0)
    # Why it was not made, or not handed out.
    problem = models.CharField(max_length=300, blank=True, default="")
    # The file: its name, the SHA-256 of its manifest, its last event, its bytes, and when it is removed.
    name = models.CharField(max_length=200, blank=True, default="")
    digest = models.CharField(max_length=64, blank=True, default="")
    as_of = models.BigIntegerField(default=0)
    size = models.BigIntegerField(default=0)
    ends_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("evidence pack")
        ordering: ClassVar = ["-pk"]
        default_permissions: ClassVar = ()
        permissions: ClassVar = [("make_evidencepack", "Can make evidence packs")]

    def __str__(self) -> str:
        return f"Evidence pack {self.pk}"


class EvidencePackPart(models.Model):
    """A piece of the file of a pack. All hosts share the database, and may share no folder."""

    pack = models.ForeignKey(EvidencePack, on_delete=models.CASCADE, related_name="parts")
    number = models.PositiveIntegerField()
    data = models.BinaryField()

    class Meta:
        default_permissions: ClassVar = ()
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["pack", "number"], name="pack_part_once"),
        ]

    def __str__(self) -> str:
        return f"{self.pack}, part {self.number}"
