"""The price of one seat of a license type. It is never edited: a new one follows it, or it is withdrawn."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from integrations.models import IntegrationProfile


class Per(models.TextChoices):
    YEAR = "year", _("per year")
    MONTH = "month", _("per month")


class PriceQuerySet(models.QuerySet["Price"]):
    def valid(self) -> PriceQuerySet:
        """Prices that nobody withdrew; also those of the past and of the future."""
        return self.filter(withdrawn_at=None)


class Price(models.Model):
    """The price of one seat from a day on, until the next price of the same license type begins."""

    profile = models.ForeignKey(IntegrationProfile, on_delete=models.PROTECT, related_name="prices")
    license = models.CharField(_("license type"), max_length=40)
    amount = models.DecimalField(
        _("amount"), max_digits=12, decimal_places=2, validators=[MinValueValidator(Decimal(0))]
    )
    # ISO 4217: https://www.iso.org/iso-4217-currency-codes.html
    currency = models.CharField(_("currency"), max_length=3)
    per = models.CharField(max_length=5, choices=Per.choices, default=Per.YEAR)
    valid_from = models.DateField(_("valid from"))
    entered_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    entered_at = models.DateTimeField(default=timezone.now)
    withdrawn_at = models.DateTimeField(null=True)
    withdrawn_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    withdrawn_reason = models.CharField(max_length=200, blank=True, default="")

    objects = PriceQuerySet.as_manager()

    class Meta:
        verbose_name = _("price")
        verbose_name_plural = _("prices")
        ordering: ClassVar = ["profile", "license", "-valid_from", "-pk"]
        default_permissions = ("add", "view", "change")
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["profile", "license", "valid_from"],
                condition=models.Q(withdrawn_at=None),
                name="price_one_per_day",
            ),
            models.CheckConstraint(condition=models.Q(amount__gte=0), name="price_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.license_label}, {self.currency} {self.amount} {self.get_per_display()}"

    @property
    def license_label(self) -> str:
        return self.profile.license_label(self.license)

    @property
    def yearly(self) -> Decimal:
        """The amount for a seat and year."""
        return self.amount * 12 if self.per == Per.MONTH else self.amount

    @property
    def is_free(self) -> bool:
        return self.amount == 0
