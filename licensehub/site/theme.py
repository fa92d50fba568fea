"""The look of the admin: name, style sheets and scripts. `navigation.py` has the entries of the sidebar."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static


def _static(name: str) -> Callable[[HttpRequest], str]:
    """The address of a static file, found at each request: static files are not ready while settings are read."""
    return lambda request: static(f"licensehub/{name}")


STYLES = ("theme", "base", "components", "lists", "charts", "pages", "sign_in")
UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "LicenseHub",
    "LOGIN": {"form": "licensehub.sign_in.forms.SignInForm"},
    "SITE_HEADER": "LicenseHub",
    "SITE_SUBHEADER": "licensehub.site.navigation.subheader",
    "SITE_SYMBOL": "event_seat",
    "SITE_URL": None,
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "DASHBOARD_CALLBACK": "licensehub.site.dashboard.overview.overview",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": _static("favicon.svg")}],
    "STYLES": [_static(f"{name}.css") for name in STYLES],
    "SCRIPTS": [_static(f"{name}.js") for name in ("copy", "keyboard", "shortcuts", "find", "live", "time_zone")],
    "ACCOUNT": {"navigation": "licensehub.site.navigation.account_links"},
}
