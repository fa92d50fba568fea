"""Settings of the whole installation, each in a table with one row: the company, and who gets the monthly report."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

# Each month has these days.
LAST_DAY = 28


class OnlyRow(models.Model):
    """One row for the whole installation; none until somebody saves the page. The audit log keeps the former values.

    `subscriptions.only_row` saves it.
    """

    ONLY: ClassVar[int] = 1

    # Each change adds 1.
    version = models.PositiveIntegerField(default=0)
    changed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    changed_at = models.DateTimeField(null=True)

    class Meta:
        abstract = True


class Company(OnlyRow):
    """Facts and texts for people who are asked: the company's name, contact and logo, and the texts of the notices."""

    # Empty: the name of the organization at the vendor.
    name = models.CharField(_("company name"), max_length=100, blank=True, default="")
    # Empty: CONTACT_NAME and CONTACT_EMAIL of the environment.
    contact_name = models.CharField(_("contact"), max_length=100, blank=True, default="")
    contact_email = models.EmailField(_("e-mail of the contact"), blank=True, default="")
    # Empty: the address of the contact.
    reply_to = models.EmailField(_("reply address"), blank=True, default="")
    # Written by `company.logo`. The digest is a part of its address.
    logo = models.BinaryField(null=True)
    logo_digest = models.CharField(max_length=64, blank=True, default="")
    # {"ask_de_subject": "…"}: only the texts that are not the default. `company.texts` has the keys.
    texts = models.JSONField(default=dict)

    class Meta:
        verbose_name = _("company")
        default_permissions = ("view", "change")
        constraints: ClassVar = [models.CheckConstraint(condition=models.Q(pk=1), name="company_only_one")]

    def __str__(self) -> str:
        return self.name or "The company"


class ReportSettings(OnlyRow):
    """The readers of the monthly report by mail."""

    enabled = models.BooleanField(_("send it every month"), default=False)
    day = models.PositiveSmallIntegerField(
        _("day of the month"), default=1, validators=[MinValueValidator(1), MaxValueValidator(LAST_DAY)]
    )
    # Ids of accounts.
    recipients = models.JSONField(default=list)
    # A report that was due before this day is not mailed.
    since = models.DateField(null=True)

    class Meta:
        default_permissions: ClassVar = ()
        constraints: ClassVar = [models.CheckConstraint(condition=models.Q(pk=1), name="report_settings_only_one")]

    def __str__(self) -> str:
        return "The monthly report"
