"""The monthly report with its figures at the end of the month, and the accounts that get it by mail."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

# Each month has these days.
LAST_DAY = 28


class ReportSettings(models.Model):
    """One row for the whole installation; none until somebody saves the page."""

    ONLY: ClassVar[int] = 1

    enabled = models.BooleanField(_("send it every month"), default=False)
    day = models.PositiveSmallIntegerField(
        _("day of the month"), default=1, validators=[MinValueValidator(1), MaxValueValidator(LAST_DAY)]
    )
    # Ids of accounts.
    recipients = models.JSONField(default=list)
    # A report that was due before this day is not mailed.
    since = models.DateField(null=True)
    # Each change adds 1.
    version = models.PositiveIntegerField(default=0)
    changed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    changed_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions: ClassVar = ()
        constraints: ClassVar = [models.CheckConstraint(condition=models.Q(pk=1), name="report_settings_only_one")]

    def __str__(self) -> str:
        return "The monthly report"


class MonthlyReport(models.Model):
    """The figures of one month. They are never written again: see `reports.figures` for `data`."""

    # The first day of the month.
    month = models.DateField(unique=True)
    data = models.JSONField()
    made_at = models.DateTimeField()

    class Meta:
        verbose_name = _("monthly report")
        ordering: ClassVar = ["-month"]
        # The permission to change who gets it.
        default_permissions = ("view", "change")

    def __str__(self) -> str:
        return f"Report of {self.month:%Y-%m}"
