"""Webhooks, and one row for each event that one of them gets."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from integrations.credentials import encryption
from integrations.scopes.visibility import ProfileManager, visible
from licensehub.database.clock import database_now


class WebhookFormat(models.TextChoices):
    """The form of the body."""

    EVENT = "event", _("Signed event")
    SLACK = "slack", _("Slack message")
    TEAMS = "teams", _("Microsoft Teams message")
    SERVICENOW = "servicenow", _("ServiceNow ticket")
    JIRA = "jira", _("Jira ticket")


class WebhookState(models.TextChoices):
    ON = "on", _("Switched on")
    OFF = "off", _("Switched off")
    # LicenseHub switched it off, after days without an answer.
    FAILED = "failed", _("Switched off after failures")


class WebhookManager(ProfileManager["Webhook"]):
    """A reader with some profiles sees the webhooks of these profiles, and none that gets events of another one."""

    def get_queryset(self) -> QuerySet[Webhook]:
        rows: QuerySet[Webhook] = models.QuerySet(self.model, using=self._db)
        profiles = visible()
        if profiles is None:
            return rows
        others = Webhook.profiles.through.objects.filter(webhook=OuterRef("pk")).exclude(
            integrationprofile__in=profiles
        )
        return rows.filter(~Exists(others), all_profiles=False, profiles__in=profiles).distinct()


class Webhook(models.Model):
    """An address outside that is told what happens. The address is a secret, since many hold a token."""

    name = models.CharField(_("name"), max_length=80, unique=True)
    format = models.CharField(_("format"), max_length=12, choices=WebhookFormat.choices)
    state = models.CharField(max_length=8, choices=WebhookState.choices, default=WebhookState.ON)
    state_changed_at = models.DateTimeField(default=database_now)
    # Names of `subscriptions.webhooks.events`.
    events = models.JSONField(default=list)
    # Events of all profiles and of the company, or those of the chosen profiles only.
    all_profiles = models.BooleanField(default=True)
    profiles = models.ManyToManyField("integrations.IntegrationProfile", related_name="+")
    # Whether a body names people.
    with_names = models.BooleanField(default=False)
    # The language of the sentences in a message or a ticket.
    language = models.CharField(max_length=10, default="en")
    # The body of a ticket, with placeholders; "" for the one that comes with LicenseHub.
    template = models.TextField(blank=True, default="")
    # {"url", "secret", "former_secret", "authorization"}, encrypted.
    ciphertext = models.TextField(editable=False)
    fingerprint = models.CharField(max_length=12, editable=False)
    # For people: where it goes, without the secret part of the address.
    host = models.CharField(max_length=255)
    # Until then, the secret before the last change signs as well.
    former_secret_until = models.DateTimeField(null=True)
    # Since its last success. `error` is a sentence.
    failing_since = models.DateTimeField(null=True)
    failures = models.PositiveIntegerField(default=0)
    # After a failure of the host, nothing is sent to it before this moment.
    next_try_at = models.DateTimeField(null=True)
    delivered_at = models.DateTimeField(null=True)
    error = models.TextField(blank=True, default="")
    # It grows with each change by a person.
    version = models.PositiveIntegerField(default=1)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(default=database_now)

    objects = WebhookManager()

    class Meta:
        verbose_name = _("webhook")
        verbose_name_plural = _("webhooks")
        ordering: ClassVar = ["name"]
        default_permissions = ("view", "change")

    def __str__(self) -> str:
        return self.name

    @property
    def place(self) -> str:
        """The `place` of its ciphertext; see `encryption`."""
        return f"webhook {self.pk}"

    def secrets(self) -> dict[str, str]:
        """The decrypted secrets. Raises encryption.CredentialError."""
        return encryption.decrypt(self.ciphertext, place=self.place)


class DeliveryState(models.TextChoices):
    DUE = "due", _("To be sent")
    SENDING = "sending", _("Being sent")
    DELIVERED = "delivered", _("Delivered")
    FAILED = "failed", _("Given up")
    # The webhook was off. An admin may have it sent.
    HELD = "held", _("Held")


class WebhookDeliveryQuerySet(models.QuerySet["WebhookDelivery"]):
    def due(self) -> WebhookDeliveryQuerySet:
        """Those that may be sent now: to a webhook that is on, and whose host is not in a pause after a failure."""
        now = database_now()
        ready = Webhook.objects.filter(Q(next_try_at=None) | Q(next_try_at__lte=now), state=WebhookState.ON)
        return self.filter(state=DeliveryState.DUE, due_at__lte=now, webhook__in=ready)

    def abandoned(self) -> WebhookDeliveryQuerySet:
        return self.filter(state=DeliveryState.SENDING, lease_until__lt=database_now())


class WebhookDeliveryManager(ProfileManager["WebhookDelivery"]):
    """A reader sees the deliveries of the webhooks that they see."""

    def get_queryset(self) -> WebhookDeliveryQuerySet:
        rows = WebhookDeliveryQuerySet(self.model, using=self._db)
        return rows if visible() is None else rows.filter(webhook__in=Webhook.objects.order_by().values("pk"))

    def due(self) -> WebhookDeliveryQuerySet:
        return self.get_queryset().due()

    def abandoned(self) -> WebhookDeliveryQuerySet:
        return self.get_queryset().abandoned()


class WebhookDelivery(models.Model):
    """One event for one webhook. All tries and replays have the same event id."""

    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries")
    event_id = models.UUIDField(default=uuid.uuid4)
    event = models.CharField(max_length=40)
    profile = models.ForeignKey(
        "integrations.IntegrationProfile", on_delete=models.PROTECT, null=True, related_name="+"
    )
    occurred_at = models.DateTimeField(default=database_now)
    # {"data": ids, counts and days, "names": people, if the webhook wants them, "path": of the page}
    content = models.JSONField()
    state = models.CharField(max_length=10, choices=DeliveryState.choices, default=DeliveryState.DUE)
    due_at = models.DateTimeField(default=database_now)
    tries = models.PositiveIntegerField(default=0)
    # The tries since it was last written or replayed: the pause after a failure follows from them.
    tries_in_row = models.PositiveSmallIntegerField(default=0)
    replays = models.PositiveSmallIntegerField(default=0)
    # The worker with this token sends it now.
    token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    tried_at = models.DateTimeField(null=True)
    delivered_at = models.DateTimeField(null=True)
    # The last try: its HTTP status, the first characters of the answer, and why it failed.
    status = models.PositiveSmallIntegerField(null=True)
    answer = models.TextField(blank=True, default="")
    problem = models.TextField(blank=True, default="")

    objects = WebhookDeliveryManager()

    class Meta:
        verbose_name = _("delivery of a webhook")
        verbose_name_plural = _("deliveries of webhooks")
        ordering: ClassVar = ["-pk"]
        default_permissions = ()
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["webhook", "event_id"], name="delivery_once_per_webhook")
        ]
        indexes: ClassVar = [
            models.Index(fields=["state", "due_at"], name="delivery_due"),
            models.Index(fields=["webhook", "state"], name="delivery_of_webhook"),
            models.Index(fields=["occurred_at"], name="delivery_age"),
        ]

    def __str__(self) -> str:
        return f"{self.event} for {self.webhook}"
