"""Counts for the savings, so that no page has to count a year of reclaims."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from integrations.models import IntegrationProfile


class VerifiedSeats(models.Model):
    """The verified reclaims of one license type on one day: see `money.verified_seats`."""

    profile = models.ForeignKey(IntegrationProfile, on_delete=models.CASCADE, related_name="+", db_index=False)
    license = models.CharField(max_length=40, blank=True)
    # The first moment of the day in the company's time zone.
    day = models.DateTimeField()
    seats = models.PositiveIntegerField()
    # All reclaims of the profile that were verified before this moment are counted.
    until = models.DateTimeField()

    class Meta:
        default_permissions: ClassVar = ()
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["profile", "day", "license"], name="verified_seats_of_a_day")
        ]

    def __str__(self) -> str:
        return f"{self.seats} x {self.license} on {self.day:%Y-%m-%d}"
