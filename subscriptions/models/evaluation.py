"""The verdict on each subscription."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

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

    class Meta:
        default_permissions: ClassVar = ()
        indexes: ClassVar = [
            models.Index(fields=["verdict", "idle_since", "subscription"], name="evaluation_verdict_idle"),
        ]

    def __str__(self) -> str:
        return self.get_verdict_display()
