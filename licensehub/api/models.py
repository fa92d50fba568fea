"""Calls that must not happen twice."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from licensehub.sign_in.models import ApiToken


class IdempotentCall(models.Model):
    """A write with an `Idempotency-Key`, and its answer. It commits together with what the call did.

    Nothing in it names a person: a sentence of a refusal could, and a program may have an address in its key.
    """

    token = models.ForeignKey(ApiToken, on_delete=models.CASCADE, related_name="+")
    # SHA-256 of the key.
    key = models.CharField(max_length=64)
    # SHA-256 over method, address and body.
    digest = models.CharField(max_length=64)
    made_at = models.DateTimeField()
    status = models.PositiveSmallIntegerField(default=0)
    # What an act answered (numbers and states), or the code of a refusal without its sentence.
    body = models.TextField(default="")

    class Meta:
        default_permissions = ()
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["token", "key"], name="idempotent_call_once"),
        ]

    def __str__(self) -> str:
        return self.key
