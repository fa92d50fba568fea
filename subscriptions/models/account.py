"""Facts about an account: the member at the vendor who owns it, and how its owner reads the pages."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from integrations.models import IntegrationProfile
from licensehub.database.clock import database_now


class AccountPersonQuerySet(models.QuerySet["AccountPerson"]):
    def of_organization(self, profile: IntegrationProfile) -> AccountPersonQuerySet:
        return self.filter(kind=profile.kind, organization_id=profile.organization_id)


class AccountPerson(models.Model):
    """The vendor's id of the owner of an account, in one organization. It stays when an address changes.

    An account may have several in one organization: one for each address that it had. An empty `external_id` means that
    the owner has no seat there. Only a company admin can enter that.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="persons")
    # The organization, not a profile, which may be archived: the connector's kind, and the vendor's id.
    kind = models.CharField(max_length=40)
    organization_id = models.CharField(max_length=40)
    external_id = models.CharField(_("vendor ID"), max_length=40, blank=True)
    # The address by which LicenseHub found the person; empty when a company admin entered the id.
    email = models.CharField(_("e-mail"), max_length=254, blank=True)
    # The company admin who entered the id; empty when LicenseHub found the person.
    linked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    linked_at = models.DateTimeField(default=database_now)

    objects = AccountPersonQuerySet.as_manager()

    class Meta:
        verbose_name = _("person of an account")
        ordering: ClassVar = ["pk"]
        default_permissions = ()
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["user", "kind", "organization_id", "external_id"], name="account_person_once"
            ),
        ]

    def __str__(self) -> str:
        return self.external_id or "nobody"


class AccountSettings(models.Model):
    """The settings of an account for its pages. Without a row, the browser decides."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="account_settings"
    )
    # A name of the time zone database; empty for the time zone of the browser.
    time_zone = models.CharField(max_length=64, blank=True, default="")
    # A code of `LANGUAGES`; empty for the language of the browser.
    language = models.CharField(max_length=10, blank=True, default="")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.user}: {self.time_zone or 'the time zone of the browser'}"
