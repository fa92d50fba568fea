"""The nightly reconciliation of our ledger with what the vendor shows."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from integrations.models import IntegrationProfile
from integrations.scopes.visibility import ProfileManager
from licensehub.database.clock import database_now


class Reconciliation(models.Model):
    """One reconciliation: what was compared, and the differences, each with its next step."""

    profile = models.ForeignKey(
        IntegrationProfile, verbose_name=_("profile"), on_delete=models.PROTECT, related_name="reconciliations"
    )
    started_at = models.DateTimeField(_("started at"), default=database_now)
    finished_at = models.DateTimeField(null=True)
    # People of the ledger who were looked up, and events of the vendor's audit log that were read.
    people = models.PositiveIntegerField(default=0)
    events = models.PositiveIntegerField(default=0)
    # False where the connection's scopes do not allow it: shown as "not checked".
    audit_log_checked = models.BooleanField(default=False)
    # [{"kind", "external_id", "person", "detail", "next_step", "reclaim": id or null}]
    findings = models.JSONField(default=list)
    # Why it could not be finished; empty when it was.
    problem = models.TextField(blank=True, default="")

    profile_path: ClassVar[str] = "profile"
    objects = ProfileManager()

    class Meta:
        verbose_name = _("reconciliation")
        verbose_name_plural = _("reconciliations")
        ordering: ClassVar = ["-started_at", "-pk"]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return gettext("Reconciliation of {time}").format(time=f"{self.started_at:%Y-%m-%d %H:%M}")
