"""The pages above both apps: overview, navigation, accounts and audit log."""

from __future__ import annotations

from django.apps import AppConfig


class SiteConfig(AppConfig):
    """Comes last in INSTALLED_APPS: its admin replaces pages that other apps registered."""

    name = "licensehub.site"
    label = "licensehub_site"
