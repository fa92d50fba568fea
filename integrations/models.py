"""Which organizations LicenseHub reaches, and with which credentials."""

from __future__ import annotations

from typing import ClassVar

from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone

from integrations import credentials
from integrations.connectors.contract import Connector
from integrations.connectors.registry import connector_class


class ProfileState(models.TextChoices):
    DRAFT = "draft", "Draft"
    PUBLISHED = "published", "Published"
    PAUSED = "paused", "Paused"
    ARCHIVED = "archived", "Archived"


class IntegrationProfileQuerySet(models.QuerySet["IntegrationProfile"]):
    def downloading(self) -> IntegrationProfileQuerySet:
        """Profiles whose state lets a download run."""
        return self.filter(state=ProfileState.PUBLISHED)


class IntegrationProfile(models.Model):
    """One organization at one vendor, with its two subflows: download subscriptions, and reclaim subscriptions."""

    name = models.CharField(max_length=100, unique=True)
    # The connector's kind. No choices: a new connector must not need a migration.
    kind = models.CharField(max_length=40, default="miro_enterprise")
    organization_id = models.CharField("organization ID", max_length=40)
    organization_name = models.CharField(max_length=200, blank=True, editable=False)
    plan = models.CharField(max_length=40, blank=True, editable=False)
    state = models.CharField(max_length=12, choices=ProfileState.choices, default=ProfileState.DRAFT, editable=False)
    published_at = models.DateTimeField(null=True, editable=False)
    download_due_at = models.DateTimeField(null=True, editable=False)
    reclaim_enabled = models.BooleanField(
        "reclaim subscriptions",
        default=True,
        help_text="When off, candidates still appear, but nothing is requested, approved or sent.",
    )
    sending_stopped = models.BooleanField(
        "kill switch",
        default=False,
        help_text="When on, nothing more is sent to Miro. What is approved waits and is not lost.",
    )

    objects = IntegrationProfileQuerySet.as_manager()

    class Meta:
        verbose_name = "integration profile"
        ordering: ClassVar = ["name"]
        permissions: ClassVar = [("operate_integrationprofile", "Can publish, pause and run a profile")]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        try:
            connector_class(self.kind)
        except LookupError as error:
            raise ValidationError({"kind": str(error)}) from error

    @property
    def connector(self) -> type[Connector]:
        return connector_class(self.kind)


class ConnectionState(models.TextChoices):
    UNTESTED = "untested", "Not tested"
    WORKING = "working", "Working"
    ERROR = "error", "Error"


class Connection(models.Model):
    """The credentials for one slot of a profile's connector, encrypted; they are written and never shown."""

    profile = models.ForeignKey(IntegrationProfile, on_delete=models.PROTECT, related_name="connections")
    slot = models.CharField(max_length=20)
    ciphertext = models.TextField(editable=False)
    fingerprint = models.CharField(max_length=12, editable=False)
    credentials_set_at = models.DateTimeField(editable=False)
    state = models.CharField(
        max_length=10, choices=ConnectionState.choices, default=ConnectionState.UNTESTED, editable=False
    )
    state_changed_at = models.DateTimeField(default=timezone.now, editable=False)
    error = models.TextField(blank=True, editable=False)

    class Meta:
        ordering: ClassVar = ["profile", "slot"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["profile", "slot"], name="connection_one_per_slot")]

    def __str__(self) -> str:
        return f"{self.profile}: {self.label}"

    @property
    def label(self) -> str:
        """The slot in the connector's words."""
        return next(slot.label for slot in self.profile.connector.slots if slot.name == self.slot)

    @property
    def place(self) -> str:
        return place_of(profile_id=self.profile_id, slot=self.slot)

    def secrets(self) -> dict[str, str]:
        """The decrypted credentials. Raises credentials.CredentialError."""
        return credentials.decrypt(self.ciphertext, place=self.place)


def place_of(*, profile_id: int, slot: str) -> str:
    """Where a ciphertext belongs; see `credentials`."""
    return f"profile {profile_id}, slot {slot}"
