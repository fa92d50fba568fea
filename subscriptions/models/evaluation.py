"""The verdict on each subscription."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from subscriptions.models.subscription import Subscription, Verdict


class Judgment(models.Model):
    """The verdict on one subscription as of `judged_at`; without one it waits for the next complete download.

    In a table of its own: a verdict is spoken after the facts are written, and a row that changes is entered anew into
    all indexes of its table. Of a million subscriptions that takes three times as long as this narrow one.
    """

    subscription = models.OneToOneField(
        Subscription, on_delete=models.CASCADE, primary_key=True, related_name="judgment", db_constraint=False
    )
    verdict = models.CharField(max_length=16, choices=Verdict.choices)
    # As it was judged: the order in which the lists of one verdict are read.
    idle_since = models.DateTimeField(null=True)
    judged_at = models.DateTimeField()

    class Meta:
        default_permissions: ClassVar = ()
        indexes: ClassVar = [
            models.Index(fields=["verdict", "idle_since", "subscription"], name="judgment_verdict_idle"),
        ]

    def __str__(self) -> str:
        return self.get_verdict_display()
