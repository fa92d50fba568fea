"""Mails to the people who work with LicenseHub: the notifications, their recipients, choices and deputies.

A `Notification` is one fact that colleagues should know. A `NotificationRecipient` is one person who gets it. A
`NotificationMail` is one mail with one notification, or a digest with several.
"""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from integrations.models import IntegrationProfile
from integrations.scopes.visibility import ProfileManager
from licensehub.database.clock import database_now
from subscriptions.models.mail.notice import OutgoingMail
from subscriptions.models.reclaims.request import ReclaimRequest


class NotificationKind(models.TextChoices):
    OPENED = "opened", _("A request waits for a decision")
    ENDING = "ending", _("A request ends soon")
    EXPIRED = "expired", _("A request expired")
    UNDECIDABLE = "undecidable", _("Nobody may decide a request")
    CONNECTION = "connection", _("A connection does not work")
    DOWNLOAD = "download", _("A download needs a person")
    TAMPERED = "tampered", _("Something was changed outside of LicenseHub")
    ATTENTION = "attention", _("Candidates need a person")
    PROTECTION = "protection", _("Protections cover nobody any more")
    CONTRACT = "contract", _("The last day of notice comes")
    FLOOR = "floor", _("Few licenses are free")
    REPORT = "report", _("The monthly report")
    STOPPED = "stopped", _("All sending stays stopped")
    OPERATION = "operation", _("LicenseHub itself needs a repair")
    WEBHOOK = "webhook", _("A webhook was switched off")
    DOUBT = "doubt", _("The answers to reclaims were lost")
    CAP = "cap", _("The cap for 24 hours is reached")
    HELD = "held", _("Reclaims wait for the vendor")


class Delivery(models.TextChoices):
    """The ways in which a person can get one kind of notification."""

    SINGLE = "single", _("A mail at once")
    DIGEST = "digest", _("One mail a day")
    OFF = "off", _("No mail")


class Notification(models.Model):
    """One fact that colleagues should know. While it is true, it is open, and each of them is notified once."""

    kind = models.CharField(max_length=12, choices=NotificationKind.choices)
    # The subject as one word. At most one notification with the same key is open.
    key = models.CharField(max_length=80)
    profile = models.ForeignKey(IntegrationProfile, on_delete=models.PROTECT, null=True, related_name="notifications")
    request = models.ForeignKey(ReclaimRequest, on_delete=models.PROTECT, null=True, related_name="notifications")
    # The subject and the text of the mail, and the page of its link. Empty for a notification about a request.
    subject = models.CharField(max_length=200, blank=True, default="")
    text = models.TextField(blank=True, default="")
    path = models.CharField(max_length=200, blank=True, default="")
    created_at = models.DateTimeField(default=database_now)
    ended_at = models.DateTimeField(null=True)
    # When its event was written for the webhooks, if it has one.
    raised_at = models.DateTimeField(null=True)

    profile_path: ClassVar[str] = "profile"
    objects = ProfileManager()

    class Meta:
        verbose_name = _("notification")
        ordering: ClassVar = ["pk"]
        default_permissions = ()
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["key"], condition=Q(ended_at=None), name="notification_one_open")
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.request or self.profile or 'all profiles'}"


class NotificationMail(OutgoingMail):
    """One mail to one person."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="notification_mails")
    # The day of a digest; empty for a mail with one notification.
    digest_on = models.DateField(null=True)
    created_at = models.DateTimeField(default=database_now)

    class Meta:
        verbose_name = _("mail to a colleague")
        ordering: ClassVar = ["due_at", "pk"]
        default_permissions = ()
        constraints: ClassVar = [models.UniqueConstraint(fields=["user", "digest_on"], name="digest_one_a_day")]
        indexes: ClassVar = [models.Index(fields=["state", "due_at"], name="notification_due")]

    def __str__(self) -> str:
        return f"Mail to {self.user}"


class NotificationRecipient(models.Model):
    """One person who gets one notification, once. Without a mail it waits for the next digest."""

    notification = models.ForeignKey(Notification, on_delete=models.PROTECT, related_name="recipients")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    # The person who is away, if the recipient is a deputy.
    instead_of = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    mail = models.ForeignKey(NotificationMail, on_delete=models.PROTECT, null=True, related_name="recipients")
    created_at = models.DateTimeField(default=database_now)

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
    """One person's choice for one kind, if it differs from the default."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="notification_choices")
    kind = models.CharField(max_length=12, choices=NotificationKind.choices)
    delivery = models.CharField(max_length=10, choices=Delivery.choices)

    class Meta:
        verbose_name = _("my notifications")
        verbose_name_plural = _("my notifications")
        default_permissions = ()
        constraints: ClassVar = [models.UniqueConstraint(fields=["user", "kind"], name="choice_one_of_each_kind")]

    def __str__(self) -> str:
        return f"{self.user}: {self.get_kind_display()}, {self.get_delivery_display()}"


class Deputy(models.Model):
    """The colleague who gets a person's mails about requests while the person is away. Both days count."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="deputies")
    deputy = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="deputy_of")
    starts = models.DateField(_("first day away"))
    ends = models.DateField(_("last day away"))
    # The moment when the person ended it before its last day.
    ended_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("deputy")
        ordering: ClassVar = ["starts", "pk"]
        default_permissions = ()
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(ends__gte=F("starts")), name="deputy_ends_after_start"),
            models.CheckConstraint(condition=~Q(user=F("deputy")), name="deputy_is_another_person"),
        ]

    def __str__(self) -> str:
        return f"{self.deputy} for {self.user}"
