"""Erasure: what LicenseHub holds on a person who has left is removed."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from integrations.scopes.visibility import ProfileManager
from licensehub.database.clock import database_now
from subscriptions.models.subscription import Subscription


class Erasure(models.Model):
    """Somebody asked for the erasure of one person, or a retention period is over. A command of an operator does it."""

    # Any row of the person: all of them are erased.
    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, related_name="erasures")
    # Empty when a retention period is over.
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    requested_at = models.DateTimeField(default=database_now)
    # It names nobody: it stays.
    reason = models.CharField(_("reason"), max_length=200)
    # Why it could not be done when it was last tried.
    problem = models.CharField(max_length=300, blank=True, default="")
    done_at = models.DateTimeField(null=True)

    profile_path: ClassVar[str] = "subscription__profile"
    objects = ProfileManager()

    class Meta:
        verbose_name = _("erasure")
        ordering: ClassVar = ["pk"]
        default_permissions: ClassVar = ()
        permissions: ClassVar = [("erase_person", "Can export all data on a person, and ask for its erasure")]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["subscription"], condition=models.Q(done_at=None), name="erasure_one_at_a_time"
            )
        ]

    def __str__(self) -> str:
        return f"Erasure of member {self.subscription_id}"
