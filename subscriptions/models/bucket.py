"""Counts of people who are the same for every reclaim rule: see `eligibility.preview`."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from integrations.models import IntegrationProfile


class Bucket(models.Model):
    """A number of people with the same license, idle for the same number of days.

    The moments are representative values. A rule with any threshold and any grace, in whole days, gives the same
    verdict for them as for each of these people at `counted_at`.
    """

    profile = models.ForeignKey(IntegrationProfile, on_delete=models.CASCADE, related_name="buckets")
    counted_at = models.DateTimeField()
    # The verdict of the first clause that holds and does not read the terms of a rule; empty when none holds.
    standing = models.CharField(max_length=20, blank=True)
    license = models.CharField(max_length=40)
    idle_since = models.DateTimeField(null=True)
    # Empty for people who were never active.
    last_activity_at = models.DateTimeField(null=True)
    license_assigned_at = models.DateTimeField(null=True)
    review_passed = models.BooleanField(default=False)
    # Empty for people without an admin role.
    admin_roles = models.CharField(max_length=10, blank=True)
    people = models.PositiveIntegerField()

    class Meta:
        default_permissions: ClassVar = ()

    def __str__(self) -> str:
        return f"{self.people} x {self.license} since {self.idle_since}"
