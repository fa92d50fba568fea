"""The price of a seat, the contract with the vendor, seat floors, and counts for the savings."""

from __future__ import annotations

from decimal import Decimal
from typing import ClassVar

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from integrations.models import IntegrationProfile
from integrations.scopes.visibility import ProfileManager
from licensehub.database.clock import database_now

# ISO 4217: the decimals of the currencies that do not have two. https://www.iso.org/iso-4217-currency-codes.html
# CLDR counts the coins in use instead, so Babel has no decimals for some of the others, e.g. for a dinar of Serbia.
NO_DECIMALS = (
    *("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG"),
    *("RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"),
)
THREE_DECIMALS = ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND")
MINOR_UNITS = {**dict.fromkeys(NO_DECIMALS, 0), **dict.fromkeys(THREE_DECIMALS, 3)}
MOST_DECIMALS = 3


def minor_units(currency: str) -> int:
    """Return how many decimals an amount of this currency has: 2 for USD, none for JPY, 3 for KWD."""
    return MINOR_UNITS.get(currency, 2)


def in_currency(amount: Decimal, currency: str) -> Decimal:
    """The same amount with the decimals of its currency, e.g. 192.00 for 192 USD. No decimal gets lost."""
    _sign, _digits, exponent = amount.normalize().as_tuple()
    return round(amount, max(minor_units(currency), -int(exponent)))


class Per(models.TextChoices):
    YEAR = "year", _("per year")
    MONTH = "month", _("per month")


class PriceQuerySet(models.QuerySet["Price"]):
    def valid(self) -> PriceQuerySet:
        """Prices that nobody withdrew; also those of the past and of the future."""
        return self.filter(withdrawn_at=None)


PriceManager = ProfileManager.from_queryset(PriceQuerySet)


class Price(models.Model):
    """The price of one seat from a day on, until the next price of the same license type begins.

    It is never edited: a new one follows it, or it is withdrawn.
    """

    profile = models.ForeignKey(IntegrationProfile, on_delete=models.PROTECT, related_name="prices")
    license = models.CharField(_("license type"), max_length=40)
    amount = models.DecimalField(
        _("amount"), max_digits=13, decimal_places=MOST_DECIMALS, validators=[MinValueValidator(Decimal(0))]
    )
    # ISO 4217: https://www.iso.org/iso-4217-currency-codes.html
    currency = models.CharField(_("currency"), max_length=3)
    per = models.CharField(max_length=5, choices=Per.choices, default=Per.YEAR)
    valid_from = models.DateField(_("valid from"))
    entered_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    entered_at = models.DateTimeField(default=database_now)
    withdrawn_at = models.DateTimeField(null=True)
    withdrawn_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    withdrawn_reason = models.CharField(max_length=200, blank=True, default="")

    profile_path: ClassVar[str] = "profile"
    objects = PriceManager()

    class Meta:
        verbose_name = _("price")
        verbose_name_plural = _("prices")
        ordering: ClassVar = ["profile", "license", "-valid_from", "-pk"]
        default_permissions = ("add", "view", "change")
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["profile", "license", "valid_from"],
                condition=Q(withdrawn_at=None),
                name="price_one_per_day",
            ),
            models.CheckConstraint(condition=Q(amount__gte=0), name="price_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.license_label}, {self.currency} {self.exact_amount} {self.get_per_display()}"

    @property
    def license_label(self) -> str:
        return self.profile.license_label(self.license)

    @property
    def yearly(self) -> Decimal:
        """The amount for a seat and year."""
        return in_currency(self.amount * 12 if self.per == Per.MONTH else self.amount, self.currency)

    @property
    def exact_amount(self) -> Decimal:
        """The amount with the decimals of its currency. The column has as many as any currency needs."""
        return in_currency(self.amount, self.currency)

    @property
    def is_free(self) -> bool:
        return self.amount == 0


class Contract(models.Model):
    """One contract of a profile, as a company admin entered it. The audit log has what it was before a change."""

    profile = models.OneToOneField(IntegrationProfile, on_delete=models.PROTECT, related_name="contract")
    reference = models.CharField(_("order number"), max_length=60, blank=True, default="")
    # The license type of the seats, in the vendor's word.
    license = models.CharField(_("license type"), max_length=40)
    seats = models.PositiveIntegerField(_("seats bought"), validators=[MinValueValidator(1)])
    starts = models.DateField(_("first day of the term"))
    renews_on = models.DateField(_("renewal"))
    notice_by = models.DateField(_("last day of notice"))
    true_up = models.CharField(_("true-up rule"), max_length=500, blank=True, default="")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("owner"), on_delete=models.PROTECT, null=True, related_name="+"
    )
    changed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    changed_at = models.DateTimeField(default=database_now)

    profile_path: ClassVar[str] = "profile"
    objects = ProfileManager()

    class Meta:
        verbose_name = _("contract")
        verbose_name_plural = _("contracts")
        ordering: ClassVar = ["profile"]
        default_permissions = ("view", "change")
        constraints: ClassVar = [
            models.CheckConstraint(condition=Q(starts__lt=F("renews_on")), name="contract_renews_after_start"),
            models.CheckConstraint(condition=Q(notice_by__lte=F("renews_on")), name="contract_notice_before_renewal"),
        ]

    def __str__(self) -> str:
        return gettext("Contract of {profile}").format(profile=self.profile)

    @property
    def license_label(self) -> str:
        return self.profile.license_label(self.license)


class SeatFloor(models.Model):
    """A mail goes out when fewer than `seats` licenses of this type are free."""

    profile = models.ForeignKey(IntegrationProfile, on_delete=models.CASCADE, related_name="seat_floors")
    license = models.CharField(_("license type"), max_length=40)
    seats = models.PositiveIntegerField(validators=[MinValueValidator(1)])

    profile_path: ClassVar[str] = "profile"
    objects = ProfileManager()

    class Meta:
        default_permissions: ClassVar = ()
        constraints: ClassVar = [models.UniqueConstraint(fields=["profile", "license"], name="seat_floor_one")]

    def __str__(self) -> str:
        return f"{self.seats} x {self.license}"


class VerifiedSeats(models.Model):
    """The verified reclaims of one license type on one day: see `money.verified_seats`."""

    profile = models.ForeignKey(IntegrationProfile, on_delete=models.CASCADE, related_name="+", db_index=False)
    license = models.CharField(max_length=40, blank=True)
    # The first moment of the day in the company's time zone.
    day = models.DateTimeField()
    seats = models.PositiveIntegerField()
    # All reclaims of the profile that were verified before this moment are counted.
    until = models.DateTimeField()

    profile_path: ClassVar[str] = "profile"
    objects = ProfileManager()

    class Meta:
        default_permissions: ClassVar = ()
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["profile", "day", "license"], name="verified_seats_of_a_day")
        ]

    def __str__(self) -> str:
        return f"{self.seats} x {self.license} on {self.day:%Y-%m-%d}"


class CandidateSeats(models.Model):
    """The candidates of one license type in one state, of a large profile: see `money.candidate_seats`."""

    profile = models.ForeignKey(IntegrationProfile, on_delete=models.CASCADE, related_name="+", db_index=False)
    state = models.CharField(max_length=20)
    license = models.CharField(max_length=40, blank=True)
    seats = models.PositiveIntegerField()
    counted_at = models.DateTimeField()

    profile_path: ClassVar[str] = "profile"
    objects = ProfileManager()

    class Meta:
        default_permissions: ClassVar = ()
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["profile", "counted_at", "state", "license"], name="candidate_seats_of_a_count"
            )
        ]

    def __str__(self) -> str:
        return f"{self.seats} x {self.license}, {self.state}"
