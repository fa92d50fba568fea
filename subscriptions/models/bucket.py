"""How many people there are of each kind that a reclaim rule can tell apart: see `eligibility.preview`."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from integrations.models import IntegrationProfile


class Bucket(models.Model):
    """So many people of one license, with the same days of idleness, and the same verdict where no rule is asked.

    The moments are made up so that they stand in for those of all these people: any threshold and any grace in whole
    days evaluates them as it would evaluate each of the people at `counted_at`.
    """

    profile = models.ForeignKey(IntegrationProfile, on_delete=models.CASCADE, related_name="buckets")
    counted_at = models.DateTimeField()
    # The verdict of the first clause that holds whatever the rule says; empty where none does.
    standing = models.CharField(max_length=20, blank=True)
    license = models.CharField(max_length=40)
    idle_since = models.DateTimeField(null=True)
    # Empty for those never active.
    last_activity_at = models.DateTimeField(null=True)
    license_assigned_at = models.DateTimeField(null=True)
    people = models.PositiveIntegerField()

    class Meta:
        default_permissions: ClassVar = ()

    def __str__(self) -> str:
        return f"{self.people} x {self.license} since {self.idle_since}"
