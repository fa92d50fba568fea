"""The verdict on each subscription, and counts of people who are the same for every reclaim rule."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from integrations.models import IntegrationProfile
from integrations.scopes.visibility import ProfileManager
from licensehub.database.clock import database_now
from subscriptions.models.subscription import Subscription, Verdict


class Evaluation(models.Model):
    """The verdict on one subscription as of `evaluated_at`. Without one, it waits for the next complete download.

    A separate narrow table: verdicts are written after the facts, and an UPDATE of a wide row rewrites every index
    of its table. For a million subscriptions the wide table takes three times as long.
    """

    subscription = models.OneToOneField(
        Subscription, on_delete=models.CASCADE, primary_key=True, related_name="evaluation", db_constraint=False
    )
    verdict = models.CharField(max_length=20, choices=Verdict.choices)
    # A copy from the subscription: the lists of one verdict are sorted by it.
    idle_since = models.DateTimeField(null=True)
    evaluated_at = models.DateTimeField()

    profile_path: ClassVar[str] = "subscription__profile"
    objects = ProfileManager()

    class Meta:
        default_permissions: ClassVar = ()
        indexes: ClassVar = [
            models.Index(fields=["verdict", "idle_since", "subscription"], name="evaluation_verdict_idle"),
        ]

    def __str__(self) -> str:
        return self.get_verdict_display()


class Bucket(models.Model):
    """A number of people with the same license and verdict, idle for the same time: see `eligibility.buckets`.

    The moments are representative values. A rule with any threshold and any grace, in whole days, gives the same
    verdict for them as for each of these people at `as_of`, the moment of the profile's last evaluation.
    """

    # The index below begins with it.
    profile = models.ForeignKey(IntegrationProfile, on_delete=models.CASCADE, related_name="buckets", db_index=False)
    # The newest ones of a profile count.
    counted_at = models.DateTimeField()
    as_of = models.DateTimeField()
    # The verdict by the saved rule, as `SHOWN_VERDICT` gives it.
    verdict = models.CharField(max_length=20)
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

    profile_path: ClassVar[str] = "profile"
    objects = ProfileManager()

    class Meta:
        default_permissions: ClassVar = ()
        indexes: ClassVar = [models.Index(fields=["profile", "counted_at"], name="bucket_newest")]

    def __str__(self) -> str:
        return f"{self.people} x {self.license} since {self.idle_since}"


class PastBucket(models.Model):
    """A number of people who held a removable seat at `moment`: see `eligibility.past_counts`.

    The other moments are representative values, as in `Bucket`. The time from `moment` to `counted_at` is added to
    them, so that a rule decides about all buckets as of `counted_at`.
    """

    profile = models.ForeignKey(IntegrationProfile, on_delete=models.CASCADE, related_name="+")
    counted_at = models.DateTimeField()
    # Days before `counted_at`, and the end of the last complete download before that.
    days = models.PositiveSmallIntegerField()
    moment = models.DateTimeField()
    license = models.CharField(max_length=40)
    idle_since = models.DateTimeField()
    # Empty for people who had never been active.
    last_activity_at = models.DateTimeField(null=True)
    license_assigned_at = models.DateTimeField(null=True)
    # Empty for people without an admin role.
    admin_roles = models.CharField(max_length=10, blank=True)
    people = models.PositiveIntegerField()
    # How many of these people came back since, and how many lost the seat before they could.
    came_back = models.PositiveIntegerField()
    reclaimed = models.PositiveIntegerField()

    profile_path: ClassVar[str] = "profile"
    objects = ProfileManager()

    class Meta:
        default_permissions: ClassVar = ()

    def __str__(self) -> str:
        return f"{self.people} x {self.license} {self.days} days ago"


class CountDue(models.Model):
    """Facts or verdicts changed after the buckets were counted. The next count deletes the row.

    Rows are only added and deleted, so that a decision never waits for another one here.
    """

    profile = models.ForeignKey(IntegrationProfile, on_delete=models.CASCADE, related_name="+")
    since = models.DateTimeField(default=database_now)

    profile_path: ClassVar[str] = "profile"
    objects = ProfileManager()

    class Meta:
        default_permissions: ClassVar = ()

    def __str__(self) -> str:
        return f"profile {self.profile_id} since {self.since}"
