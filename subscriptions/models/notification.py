"""Mails to the people who work with LicenseHub: what is told, to whom, how each person wants it, and their deputies.

A `Notification` is one thing to be told, `NotificationRecipient` one person who is told it, and `NotificationMail` one
mail with one of them, or a digest with several.
"""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from integrations.models import IntegrationProfile
from subscriptions.models.notice import NoticeState
from subscriptions.models.request import ReclaimRequest


class NotificationKind(models.TextChoices):
    OPENED = "opened", "A request waits for a decision"
    ENDING = "ending", "A request ends soon"
    EXPIRED = "expired", "A request expired"
    UNDECIDABLE = "undecidable", "Nobody may decide a request"
    CONNECTION = "connection", "A connection does not work"
    DOWNLOAD = "download", "A download needs a person"
    ATTENTION = "attention", "Candidates need a person"
    PROTECTION = "protection", "Protections cover nobody any more"
    STOPPED = "stopped", "All sending stays stopped"


class Delivery(models.TextChoices):
    """How a person wants to get one kind."""

    SINGLE = "single", "A mail at once"
    DIGEST = "digest", "One mail a day"
    OFF = "off", "No mail"


class Notification(models.Model):
    """One thing to be told. It is open while it holds: then whoever should know it, and does not yet, is told."""

    kind = models.CharField(max_length=12, choices=NotificationKind.choices)
    # What it is about, in one word. Only one with the same key is open at once.
    key = models.CharField(max_length=80)
    profile = models.ForeignKey(IntegrationProfile, on_delete=models.PROTECT, null=True, related_name="notifications")
    request = models.ForeignKey(ReclaimRequest, on_delete=models.PROTECT, null=True, related_name="notifications")
    # Where there is no request: what the mail says, and the page that it leads to.
    subject = models.CharField(max_length=200, blank=True, default="")
    text = models.TextField(blank=True, default="")
    path = models.CharField(max_length=200, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "notification"
        ordering: ClassVar = ["pk"]
        default_permissions = ()
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["key"], condition=Q(ended_at=None), name="notification_one_open")
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.request or self.profile or 'all profiles'}"


class NotificationMail(models.Model):
    """One mail to one person. The intent is committed before the hand-over, the outcome after it."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="notification_mails")
    # The day of a digest; empty where the mail tells one thing at once.
    digest_on = models.DateField(null=True)
    state = models.CharField(max_length=10, choices=NoticeState.choices, default=NoticeState.DUE)
    # Where it was handed over to.
    email = models.CharField("e-mail", max_length=254, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)
    due_at = models.DateTimeField(default=timezone.now)
    tries = models.PositiveSmallIntegerField(default=0)
    # Tries that failed because of the mail server alone. They are not counted against this mail.
    postponed = models.PositiveSmallIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    problem = models.TextField(blank=True, default="")

    class Meta:
        verbose_name = "mail to a colleague"
        ordering: ClassVar = ["due_at", "pk"]
        default_permissions = ()
        constraints: ClassVar = [models.UniqueConstraint(fields=["user", "digest_on"], name="digest_one_a_day")]
        indexes: ClassVar = [models.Index(fields=["state", "due_at"], name="notification_due")]

    def __str__(self) -> str:
        return f"Mail to {self.user}"


class NotificationRecipient(models.Model):
    """One person who is told one thing, once. Without a mail it waits for the next digest."""

    notification = models.ForeignKey(Notification, on_delete=models.PROTECT, related_name="recipients")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    # Whose deputy this person is, where it is told to a deputy.
    instead_of = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    mail = models.ForeignKey(NotificationMail, on_delete=models.PROTECT, null=True, related_name="recipients")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering: ClassVar = ["pk"]
        default_permissions = ()
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["notification", "user"], name="notification_once_to_each")
        ]
        indexes: ClassVar = [models.Index(fields=["user"], condition=Q(mail=None), name="notification_for_digest")]

    def __str__(self) -> str:
        return f"{self.notification} to {self.user}"


class NotificationChoice(models.Model):
    """How one person wants one kind, where it differs from the default."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="notification_choices")
    kind = models.CharField(max_length=12, choices=NotificationKind.choices)
    delivery = models.CharField(max_length=10, choices=Delivery.choices)

    class Meta:
        verbose_name = "my notifications"
        default_permissions = ()
        constraints: ClassVar = [models.UniqueConstraint(fields=["user", "kind"], name="choice_one_of_each_kind")]

    def __str__(self) -> str:
        return f"{self.user}: {self.get_kind_display()}, {self.get_delivery_display()}"


class Deputy(models.Model):
    """Who gets the mails about requests while a person is away. Both days count."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="deputies")
    deputy = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="deputy_of")
    starts = models.DateField("first day away")
    ends = models.DateField("last day away")
    named_at = models.DateTimeField(default=timezone.now)
    # When the person ended it before its last day.
    ended_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "deputy"
        ordering: ClassVar = ["starts", "pk"]
        default_permissions = ()
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(ends__gte=F("starts")), name="deputy_ends_after_start"),
            models.CheckConstraint(condition=~Q(user=F("deputy")), name="deputy_is_another_person"),
        ]

    def __str__(self) -> str:
        return f"{self.deputy} for {self.user}"
