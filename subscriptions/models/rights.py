"""Rights to decide, and the changes of rights that wait before they take effect."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

# A change takes effect so long after its mails, if nobody confirms or refuses it before.
WAIT = timedelta(hours=24)


class DecidingRight(models.Model):
    """The right of an account to decide has taken effect. A role alone is not enough: see `accounts.rights`."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="deciding_right"
    )
    since = models.DateTimeField()
    # The account lost the role, or was deactivated. A new grant waits again.
    ended_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.user)


class ChangeKind(models.TextChoices):
    GRANT = "grant", _("Right to decide")
    ADDRESS = "address", _("New address")
    PASSWORD = "password", _("New password")
    SUPERUSER = "superuser", _("Superuser")
    SCOPE = "scope", _("More profiles")


class ChangeState(models.TextChoices):
    WAITING = "waiting", _("Waiting")
    EFFECTIVE = "effective", _("In effect")
    REFUSED = "refused", _("Refused")
    WITHDRAWN = "withdrawn", _("Withdrawn")


class RightsChangeQuerySet(models.QuerySet["RightsChange"]):
    def waiting(self) -> RightsChangeQuerySet:
        return self.filter(state=ChangeState.WAITING)

    def due(self) -> RightsChangeQuerySet:
        """Those whose time is over, by the clock of the database. It runs from the moment of the mails."""
        return self.waiting().filter(announced_at__lte=Now() - WAIT)


class RightsChange(models.Model):
    """A change of an account that decides or will decide: it waits for a second admin, or for a day after its mails."""

    account = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("account"), on_delete=models.PROTECT, related_name="rights_changes"
    )
    kind = models.CharField(_("change"), max_length=12, choices=ChangeKind)
    state = models.CharField(_("state"), max_length=12, choices=ChangeState, default=ChangeState.WAITING)
    # The address, or the roles that give the right, or profiles: see `accounts.scope.text_of`.
    before = models.CharField(_("before"), max_length=254, blank=True)
    after = models.CharField(_("after"), max_length=254, blank=True)
    # The hash of the new password, until the change has ended.
    password = models.CharField(max_length=128, blank=True)
    # Empty: it was made outside of the pages, e.g. at the console.
    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("asked by"), on_delete=models.PROTECT, null=True, related_name="+"
    )
    asked_at = models.DateTimeField(_("asked"), db_default=Now())
    # The mails were handed over. Without a mail server: the first look of the sweep.
    announced_at = models.DateTimeField(null=True)
    # Empty while it waits, and when it took effect by time.
    closed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    closed_at = models.DateTimeField(_("ended"), null=True)
    comment = models.CharField(_("comment"), max_length=500, blank=True)

    objects = RightsChangeQuerySet.as_manager()

    class Meta:
        verbose_name = _("change of rights")
        verbose_name_plural = _("changes of rights")
        ordering: ClassVar = ["-pk"]
        default_permissions = ("view",)
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["account", "kind"], condition=Q(state=ChangeState.WAITING), name="rights_change_waits_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{ChangeKind(self.kind).label}: {self.account}"
