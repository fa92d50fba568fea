"""The pages above both apps: overview, navigation, accounts and audit log."""

from __future__ import annotations

from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps


class SiteConfig(AppConfig):
    """Comes last in INSTALLED_APPS: its admin replaces pages that other apps registered."""

    name = "licensehub.site"
    label = "licensehub_site"
    default = True


class AdminConfig(admin_apps.AdminConfig):
    """Stands in the place of django.contrib.admin in INSTALLED_APPS, so that the admin site is ours."""

    default = False
    default_site = "licensehub.site.admin_site.AdminSite"
