"""The admin site: unfold's, without the work for what our pages do not show."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from unfold.sites import UnfoldAdminSite

from licensehub.site.navigation import navigation


class AdminSite(UnfoldAdminSite):
    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """No page lists the models: the menu has entries of its own, and the page of an app leads to the overview."""
        return []

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Sign out, and have the browser forget the pages of this person, also those of other tabs and of *Back*.

        What scripts keep there, e.g. the colors, names nobody and stays.
        """
        response = super().logout(request, extra_context)
        response.headers["Clear-Site-Data"] = '"cache"'
        return response

    def get_sidebar_list(self, request: HttpRequest) -> list[dict[str, Any]]:
        """The menu as it is: unfold would copy it, and look for callbacks in each entry."""
        return navigation(request)

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """The colors stand in `theme.css`, which a browser keeps, and not in each page."""
        return {**super().each_context(request), "colors": None}
