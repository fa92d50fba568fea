"""A mail that asks a person whether to keep or to release the seat."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from integrations.scopes.visibility import ProfileManager
from licensehub.database.clock import database_now
from subscriptions.models.reclaims.request import RequestedRemoval


class NoticeKind(models.TextChoices):
    ASK = "ask", _("Question")
    REMINDER = "reminder", _("Reminder")


class NoticeState(models.TextChoices):
    DUE = "due", _("To be sent")
    SENDING = "sending", _("Being handed over")
    SENT = "sent", _("Handed over")
    FAILED = "failed", _("Not handed over")
    IN_DOUBT = "in_doubt", _("Perhaps handed over")
    BOUNCED = "bounced", _("Came back")
    CANCELED = "canceled", _("Not needed any more")


class OutgoingMail(models.Model):
    """A mail and the state of its delivery: see `subscriptions.notices.outbox`."""

    state = models.CharField(max_length=10, choices=NoticeState.choices, default=NoticeState.DUE)
    # The address of the last try; before it, the one that is known.
    email = models.CharField(_("e-mail"), max_length=254, blank=True, default="")
    due_at = models.DateTimeField(default=database_now)
    tries = models.PositiveSmallIntegerField(default=0)
    # Tries that failed because of the mail server alone. They are not counted against this mail.
    postponed = models.PositiveSmallIntegerField(default=0)
    lease_until = models.DateTimeField(null=True, editable=False)
    # When the mail server took it.
    sent_at = models.DateTimeField(null=True)
    problem = models.TextField(blank=True, default="")

    class Meta:
        abstract = True

    @property
    def used_tries(self) -> int:
        return self.tries - self.postponed


class NoticeQuerySet(models.QuerySet["Notice"]):
    def due(self) -> NoticeQuerySet:
        return self.filter(state=NoticeState.DUE, due_at__lte=database_now())


NoticeManager = ProfileManager.from_queryset(NoticeQuerySet)


class Notice(OutgoingMail):
    """A person gets one mail of each kind. The days to answer count from `sent_at`."""

    removal = models.ForeignKey(RequestedRemoval, on_delete=models.PROTECT, related_name="notices")
    kind = models.CharField(max_length=10, choices=NoticeKind.choices)
    # The moment when LicenseHub learned that it was not delivered after all. `problem` is the reason.
    bounced_at = models.DateTimeField(null=True)

    profile_path: ClassVar[str] = "removal__request__profile"
    objects = NoticeManager()

    class Meta:
        verbose_name = _("notice")
        ordering: ClassVar = ["due_at", "pk"]
        default_permissions = ("view",)
        constraints: ClassVar = [models.UniqueConstraint(fields=["removal", "kind"], name="notice_once_of_each_kind")]
        indexes: ClassVar = [models.Index(fields=["state", "due_at"], name="notice_due")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} to {self.email}"
