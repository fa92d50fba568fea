"""The contract with the vendor: seats, term, and the last day on which it can be changed for the next term."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from integrations.models import IntegrationProfile


class Contract(models.Model):
    """One contract of a profile, as a company admin entered it. The audit log has what it was before a change."""

    profile = models.OneToOneField(IntegrationProfile, on_delete=models.PROTECT, related_name="contract")
    reference = models.CharField(_("order number"), max_length=60, blank=True, default="")
    # The license type that the seats are of, in the vendor's word.
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
    changed_at = models.DateTimeField(default=timezone.now)

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

    class Meta:
        default_permissions: ClassVar = ()
        constraints: ClassVar = [models.UniqueConstraint(fields=["profile", "license"], name="seat_floor_one")]

    def __str__(self) -> str:
        return f"{self.seats} x {self.license}"
