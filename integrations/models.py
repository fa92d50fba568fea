"""Integration profiles, their connections with the encrypted credentials, and the switch for all sending."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from integrations.connectors.contract import NEUTRAL, UNKNOWN, Connector, Slot, Texts
from integrations.connectors.registry import connector_class, in_language
from integrations.credentials import encryption
from integrations.installation.records import CheckResult as CheckResult
from integrations.installation.records import Heartbeat as Heartbeat
from integrations.installation.records import MailTrial as MailTrial
from integrations.installation.records import ProcessKind as ProcessKind
from integrations.installation.records import TaskRun as TaskRun
from integrations.scopes.visibility import ProfileManager
from integrations.webhooks.records import DeliveryState as DeliveryState
from integrations.webhooks.records import Webhook as Webhook
from integrations.webhooks.records import WebhookDelivery as WebhookDelivery
from integrations.webhooks.records import WebhookFormat as WebhookFormat
from integrations.webhooks.records import WebhookState as WebhookState
from licensehub.database.clock import database_now


class ProfileState(models.TextChoices):
    DRAFT = "draft", _("Draft")
    PUBLISHED = "published", _("Published")
    PAUSED = "paused", _("Paused")
    ARCHIVED = "archived", _("Archived")


class IntegrationProfileQuerySet(models.QuerySet["IntegrationProfile"]):
    def downloading(self) -> IntegrationProfileQuerySet:
        """Profiles in a state that allows downloads."""
        return self.filter(state=ProfileState.PUBLISHED)

    def published_or_paused(self) -> IntegrationProfileQuerySet:
        """Profiles with connections that were validated. Paused ones are still compared with the vendor."""
        return self.filter(state__in=(ProfileState.PUBLISHED, ProfileState.PAUSED))

    def in_use(self) -> IntegrationProfileQuerySet:
        """All profiles except the archived ones, which only keep their rows."""
        return self.exclude(state=ProfileState.ARCHIVED)

    def of_organization(self, profile: IntegrationProfile) -> IntegrationProfileQuerySet:
        """All profiles of the same organization, this one included. At most one of them is not archived."""
        if not profile.organization_id:
            return self.filter(pk=profile.pk)
        return self.filter(kind=profile.kind, organization_id=profile.organization_id)


ProfilesManager = ProfileManager.from_queryset(IntegrationProfileQuerySet)


class IntegrationProfile(models.Model):
    """One organization at one vendor, with its two subflows: download subscriptions, and reclaim subscriptions."""

    name = models.CharField(_("name"), max_length=100, unique=True)
    # The connector's kind. No choices: a new connector must not need a migration.
    kind = models.CharField(max_length=40)
    # Empty in a Draft: connecting fills it in, and from then on it never changes.
    organization_id = models.CharField(_("organization ID"), max_length=40, blank=True)
    organization_name = models.CharField(max_length=200, blank=True, editable=False)
    plan = models.CharField(max_length=40, blank=True, editable=False)
    state = models.CharField(max_length=12, choices=ProfileState.choices, default=ProfileState.DRAFT, editable=False)
    published_at = models.DateTimeField(null=True, editable=False)
    archived_at = models.DateTimeField(null=True, editable=False)
    download_due_at = models.DateTimeField(null=True, editable=False)
    # Who asked for the next download and reconciliation by hand. Tasks read it here: a message could name anybody.
    download_due_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, editable=False, related_name="+"
    )
    reconcile_due_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, editable=False, related_name="+"
    )
    reclaim_enabled = models.BooleanField(
        _("reclaim subscriptions"),
        default=True,
        help_text=_("When off, candidates still appear, but nothing is requested, approved or sent."),
    )
    # The newest download was quarantined since its activity dates are in doubt. Reclaims wait until one is complete.
    activity_doubted_at = models.DateTimeField(null=True, editable=False)
    sending_stopped = models.BooleanField(
        _("sending stopped"),
        default=False,
        help_text=_("When on, nothing more is sent to the vendor. What is approved waits and is not lost."),
    )
    # Rows of this profile differ from what LicenseHub wrote last, so nothing is sent until an admin has checked it. The
    # reason is one or two sentences.
    held_at = models.DateTimeField(null=True, editable=False)
    held_why = models.TextField(blank=True, default="", editable=False)
    # The number of reclaims in a row whose answers were lost. After too many, the others are held from the first moment
    # to the second one: see `subscriptions.reclaims.lost_answers`.
    lost_answers = models.PositiveSmallIntegerField(default=0, db_default=0, editable=False)
    lost_answers_held_at = models.DateTimeField(null=True, editable=False)
    lost_answers_held_until = models.DateTimeField(null=True, editable=False)
    validated_at = models.DateTimeField(null=True, editable=False)
    # Empty when LicenseHub did it by itself.
    validated_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+", editable=False
    )
    # [{"level", "title", "detail", "next_step", "slot", "steps": [...]}] of the last validation.
    findings = models.JSONField(default=list, editable=False)

    profile_path: ClassVar[str] = "pk"
    objects = ProfilesManager()

    class Meta:
        verbose_name = _("integration profile")
        verbose_name_plural = _("integration profiles")
        ordering: ClassVar = ["name"]
        permissions: ClassVar = [("operate_integrationprofile", _("Can publish, pause and run a profile"))]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["kind", "organization_id"],
                condition=~models.Q(state=ProfileState.ARCHIVED) & ~models.Q(organization_id=""),
                name="profile_one_per_organization",
                violation_error_message=_("Another integration profile is for this organization already."),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        try:
            connector_class(self.kind)
        except LookupError as error:
            raise ValidationError({"kind": str(error)}) from error

    @property
    def is_archived(self) -> bool:
        return self.state == ProfileState.ARCHIVED

    @property
    def connector(self) -> type[Connector]:
        return connector_class(self.kind)

    @property
    def texts(self) -> Texts:
        """The texts about the vendor, for the reader; neutral texts if its connector is no longer installed."""
        try:
            return in_language(self.connector.texts)
        except LookupError:
            return in_language(NEUTRAL)

    @property
    def vendor(self) -> str:
        """The vendor's name, in the middle of a sentence."""
        return self.texts.vendor

    @property
    def organization_label(self) -> str:
        """The organization's own name, for its people. The profile's name is a label for admins."""
        return self.organization_name or self.name

    def license_label(self, word: str) -> str:
        """The vendor's name of a license type. Only *Unknown* is translated: the others are names."""
        label = self.connector.licenses.get(word, word)
        return gettext(label) if word == UNKNOWN else label

    def slot(self, name: str) -> Slot:
        """The connector's slot of this name. Raises LookupError."""
        try:
            return next(slot for slot in self.connector.slots if slot.name == name)
        except StopIteration:
            raise LookupError(f"{self.connector.label} has no connection “{name}”.") from None


class AccountScope(models.Model):
    """The roles of this account hold for these profiles only. Without a row: for all. See `account_scopes`."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="profile_scope"
    )
    profiles = models.ManyToManyField(IntegrationProfile, related_name="+")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"Profiles of {self.user}"


class SendingControl(models.Model):
    """One row for the whole installation: whether anything may be sent at all. `sending.py` changes it."""

    # All sending is stopped, in every profile.
    stopped = models.BooleanField(default=False)
    stopped_by = models.CharField(max_length=150, blank=True, default="")
    stopped_at = models.DateTimeField(null=True)
    reason = models.CharField(max_length=500, blank=True, default="")
    # LicenseHub itself holds all sending, since this database may be a restored backup. The reason is one or two
    # sentences.
    held_at = models.DateTimeField(null=True)
    held_why = models.TextField(blank=True, default="")

    class Meta:
        verbose_name = _("sending")
        default_permissions = ()
        permissions: ClassVar = [("stop_all_sending", _("Can stop, allow and release all sending"))]

    def __str__(self) -> str:
        return "All sending"


class Installation(models.Model):
    """One row: the installation that this database belongs to. `installation.instance` writes it."""

    # Empty in a new database.
    instance_id = models.CharField(max_length=100, blank=True, default="")
    # When a web process last tried whether the database takes changes.
    written_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return "This installation"


class InstallationFinding(models.Model):
    """Something that an operator must repair, as long as a process finds it. `installation.findings` writes it."""

    key = models.CharField(max_length=80, unique=True)
    text = models.TextField()
    since = models.DateTimeField()
    seen_at = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.key


class ConnectionState(models.TextChoices):
    NOT_SET = "not_set", _("Not set")
    UNTESTED = "untested", _("Not tested")
    WORKING = "working", _("Working")
    ERROR = "error", _("Error")


class Connection(models.Model):
    """The encrypted credentials for one slot of a profile's connector. No page shows them."""

    profile = models.ForeignKey(IntegrationProfile, on_delete=models.PROTECT, related_name="connections")
    slot = models.CharField(max_length=20)
    ciphertext = models.TextField(blank=True, editable=False)
    fingerprint = models.CharField(max_length=12, blank=True, editable=False)
    credentials_set_at = models.DateTimeField(null=True, editable=False)
    state = models.CharField(
        max_length=10, choices=ConnectionState.choices, default=ConnectionState.NOT_SET, editable=False
    )
    state_changed_at = models.DateTimeField(default=database_now, editable=False)
    error = models.TextField(blank=True, editable=False)
    # Since this moment, no validation got an answer whether the connection works. Empty after one that did.
    unanswered_since = models.DateTimeField(null=True, editable=False)
    # Facts about the vendor that calls through this connection found: {name: value}. The connector defines the names.
    learned = models.JSONField(default=dict, editable=False)
    # OAuth only. What was granted: {"organization_id", "organization_name", "team", "user", "scopes": [...]}.
    granted = models.JSONField(default=dict, editable=False)
    expires_at = models.DateTimeField(null=True, editable=False)
    refresh_at = models.DateTimeField(null=True, editable=False)
    # The worker with this lease has sent the refresh token, or is about to send it.
    refresh_lease = models.UUIDField(null=True, editable=False)
    refresh_lease_until = models.DateTimeField(null=True, editable=False)

    profile_path: ClassVar[str] = "profile"
    objects = ProfileManager()
    # A token that a person entered should be replaced after this time. The vendor renews those of an OAuth app.
    OLD_TOKEN: ClassVar[timedelta] = timedelta(days=365)

    class Meta:
        verbose_name = _("connection")
        verbose_name_plural = _("connections")
        ordering: ClassVar = ["profile", "slot"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["profile", "slot"], name="connection_one_per_slot")]

    def __str__(self) -> str:
        return f"{self.profile}: {self.slot_definition.label}"

    @property
    def label(self) -> str:
        """The name that the connector gives to the slot, for the reader."""
        return gettext(self.slot_definition.label)

    @property
    def slot_definition(self) -> Slot:
        return self.profile.slot(self.slot)

    @property
    def has_old_token(self) -> bool:
        set_at = self.credentials_set_at
        is_old = set_at is not None and database_now() - set_at >= self.OLD_TOKEN
        return is_old and not self.slot_definition.oauth

    @property
    def place(self) -> str:
        return place_of(profile_id=self.profile_id, slot=self.slot)

    def secrets(self) -> dict[str, str]:
        """The decrypted credentials. Raises encryption.CredentialError."""
        return encryption.decrypt(self.ciphertext, place=self.place)


def place_of(*, profile_id: int, slot: str) -> str:
    """The `place` of a connection's ciphertext; see `encryption`."""
    return f"profile {profile_id}, slot {slot}"


class ConnectAttempt(models.Model):
    """One click on *Connect*: the OAuth `state` (RFC 6749, section 10.12). It is valid once, in one browser."""

    LIFE: ClassVar[timedelta] = timedelta(minutes=10)

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="attempts")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    # SHA-256 in hexadecimal digits: a reader of the database cannot finish somebody's attempt.
    state_digest = models.CharField(max_length=64, unique=True, editable=False)
    redirect_uri = models.CharField(max_length=500, editable=False)
    expires_at = models.DateTimeField(editable=False)
    used_at = models.DateTimeField(null=True, editable=False)

    profile_path: ClassVar[str] = "connection__profile"
    objects = ProfileManager()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.connection}, {self.user}"
