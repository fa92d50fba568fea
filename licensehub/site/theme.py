"""The look of the admin: name, colors and style sheets. `navigation.py` has the entries of the sidebar."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static


def _static(name: str) -> Callable[[HttpRequest], str]:
    """The address of a static file, found at each request: static files are not ready while settings are read."""
    return lambda request: static(f"licensehub/{name}")


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
    "BORDER_RADIUS": "8px",
    "DASHBOARD_CALLBACK": "licensehub.site.dashboard.overview.overview",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": _static("favicon.svg")}],
    "STYLES": [_static(f"{name}.css") for name in ("base", "components", "lists", "charts", "pages", "sign_in")],
    "SCRIPTS": [_static(f"{name}.js") for name in ("copy", "keyboard", "shortcuts", "find", "live", "time_zone")],
    "COLORS": {
        "primary": {
            "50": "oklch(97.2% .014 266)",
            "100": "oklch(94% .032 266)",
            "200": "oklch(88.5% .062 266)",
            "300": "oklch(80% .11 266)",
            "400": "oklch(69.5% .16 267)",
            "500": "oklch(59.5% .19 267)",
            "600": "oklch(52% .19 266)",
            "700": "oklch(46% .17 266)",
            "800": "oklch(39% .14 266)",
            "900": "oklch(33% .11 266)",
            "950": "oklch(25% .08 266)",
        },
    },
    "ACCOUNT": {"navigation": "licensehub.site.navigation.account_links"},
    "SIDEBAR": {
        "show_search": False,
        "show_all_applications": False,
        "navigation": "licensehub.site.navigation.navigation",
    },
}
