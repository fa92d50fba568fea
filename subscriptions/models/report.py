"""The monthly report with its figures at the end of the month."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _


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
