"""The audit log, append-only. Only `licensehub.audit.log` writes rows."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from licensehub.audit.actions import Action


class AuditEvent(models.Model):
    """One event. Names are copied as text: they must stay when the person or the row is gone."""

    sequence = models.BigIntegerField(primary_key=True, editable=False)
    at = models.DateTimeField(editable=False)
    # No choices: a new action must not need a migration. `record()` accepts only members of `Action`.
    action = models.CharField(max_length=40, editable=False)
    # No foreign key: the id must stay when the account is gone. Empty means that LicenseHub itself acted.
    actor_id = models.BigIntegerField(null=True, editable=False)
    actor_name = models.CharField(_("who"), max_length=150, editable=False)
    target_type = models.CharField(max_length=60, editable=False)
    target_id = models.BigIntegerField(editable=False)
    target_label = models.CharField(_("what"), max_length=254, editable=False)
    data = models.JSONField(_("details"), default=dict, editable=False)
    # One value for all events of one action.
    correlation = models.UUIDField(editable=False)
    # 16 random bytes. It is empty when the label and the data were erased: then only `text_digest` is left of them.
    salt = models.CharField(max_length=32, editable=False)
    text_digest = models.CharField(max_length=64, editable=False)
    previous_hash = models.CharField(max_length=64, editable=False)
    hash = models.CharField(max_length=64, editable=False)
    # Over the hash, with a key that is not in the database.
    hmac = models.CharField(max_length=64, editable=False)

    class Meta:
        verbose_name = _("audit event")
        verbose_name_plural = _("audit log")
        ordering: ClassVar = ["-sequence"]
        default_permissions = ("view",)
        # The names have an index of their own on PostgreSQL, made by a migration.
        indexes: ClassVar = [
            models.Index(fields=["target_type", "target_id", "sequence"], name="audit_target"),
            models.Index(fields=["action", "sequence"], name="audit_action"),
            models.Index(fields=["at", "sequence"], name="audit_at"),
        ]

    def __str__(self) -> str:
        return f"#{self.sequence} {self.action_label}: {self.target_label}"

    @property
    def action_label(self) -> str:
        return str(Action(self.action).label)


class ChainHead(models.Model):
    """The end of the chain: one row, and every transaction that appends locks it."""

    sequence = models.BigIntegerField(default=0)
    hash = models.CharField(max_length=64, default="0" * 64)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"#{self.sequence}"


class StoredAnchor(models.Model):
    """An anchor, for the destinations that have not taken it. Its signature is believed, not its row."""

    sequence = models.BigIntegerField()
    hash = models.CharField(max_length=64)
    at = models.DateTimeField()
    count = models.BigIntegerField()
    instance = models.CharField(max_length=64)
    key_id = models.CharField(max_length=16)
    signature = models.CharField(max_length=100)
    # The host whose file has it.
    host = models.CharField(max_length=100)
    # The token of a time stamp authority (RFC 3161), as base64 of its DER; "" while there is none.
    time_stamp = models.TextField(blank=True, default="")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"#{self.sequence}"


class Destination(models.Model):
    """A place outside that takes anchors or the events of a stream, and what it has taken. `outside.py` writes it."""

    name = models.CharField(max_length=40, primary_key=True)
    # The last anchor (its id) or event (its sequence) that was taken.
    position = models.BigIntegerField(default=0)
    # What came before it was never sent there.
    began_after = models.BigIntegerField(default=0)
    # The signature at that position: another one shows that the database was replaced by another one.
    mark = models.CharField(max_length=100, blank=True, default="")
    sent_at = models.DateTimeField(null=True)
    failing_since = models.DateTimeField(null=True)
    failures = models.IntegerField(default=0)
    next_try_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=300, blank=True, default="")
    token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    # What the last comparison of the copies found wrong there, a word of `anchors.comparison.Wrong`, or "".
    wrong = models.CharField(max_length=20, blank=True, default="")
    compared_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.name
