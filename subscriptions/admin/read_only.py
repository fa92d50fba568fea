"""Records are made by the plain functions only: nobody adds, edits or deletes them in the admin."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest


class RecordsOnly:
    """Put before ModelAdmin."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
