"""Columns of lists that accounts have chosen, and saved views."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from licensehub.database.clock import database_now


class ListColumns(models.Model):
    """The columns of one list, as the owner of an account chose them. Without a row, the list has its default ones."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="list_columns")
    # `<app>_<model>` of the list.
    name = models.CharField("list", max_length=80)
    columns = models.JSONField(default=list)

    class Meta:
        default_permissions: ClassVar = ()
        constraints: ClassVar = [models.UniqueConstraint(fields=["user", "name"], name="list_columns_once")]

    def __str__(self) -> str:
        return f"{self.user}: {self.name}"


class SavedView(models.Model):
    """The filters, search, order and columns of one list under a name. Only the owner changes it.

    It holds no rows: the list shows what its reader may see.
    """

    MAX_NAME: ClassVar[int] = 60
    MAX_QUERY: ClassVar[int] = 2000
    # `<app>_<model>` of the list.
    of_list = models.CharField("list", max_length=80)
    name = models.CharField(max_length=MAX_NAME)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="saved_views")
    shared = models.BooleanField(default=False)
    # The parameters of the list's address.
    query = models.CharField(max_length=MAX_QUERY, blank=True)
    columns = models.JSONField(default=list)
    changed_at = models.DateTimeField(default=database_now)

    class Meta:
        verbose_name = _("saved view")
        ordering: ClassVar = ["name", "pk"]
        default_permissions: ClassVar = ()
        permissions: ClassVar = [("share_savedview", "Can share views of lists")]
        constraints: ClassVar = [models.UniqueConstraint(fields=["owner", "of_list", "name"], name="view_name_once")]

    def __str__(self) -> str:
        return self.name
