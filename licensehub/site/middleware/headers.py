"""The rules for each answer: what a browser may use and keep, and texts without invisible characters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from django.http import HttpRequest
from django.http.response import HttpResponse, HttpResponseBase

from licensehub.ui.invisible import visible_page

# What LicenseHub uses itself: copying a text, full screens, and passkeys. Everything else is off, also for a script
# that somebody brings in. https://www.w3.org/TR/permissions-policy/
_OWN: Final = ("clipboard-write", "fullscreen", "publickey-credentials-create", "publickey-credentials-get")
_NONE: Final = (
    "accelerometer",
    "autoplay",
    "browsing-topics",
    "camera",
    "clipboard-read",
    "display-capture",
    "encrypted-media",
    "gamepad",
    "geolocation",
    "gyroscope",
    "hid",
    "identity-credentials-get",
    "idle-detection",
    "local-fonts",
    "magnetometer",
    "microphone",
    "midi",
    "payment",
    "picture-in-picture",
    "screen-wake-lock",
    "serial",
    "storage-access",
    "usb",
    "xr-spatial-tracking",
)
PERMISSIONS_POLICY: Final = ", ".join([*(f"{name}=(self)" for name in _OWN), *(f"{name}=()" for name in _NONE)])


class AnswerMiddleware:
    """Put it near the beginning, so that the pages of errors pass it, too."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        response.headers.setdefault("Permissions-Policy", PERMISSIONS_POLICY)
        is_page = response.headers.get("Content-Type", "").startswith("text/html")
        if is_page:
            # Names and addresses stay in no browser and in no proxy, also on a page of a library that says nothing.
            response.headers.setdefault("Cache-Control", "no-store, private")
        if is_page and isinstance(response, HttpResponse) and response.charset.lower() == "utf-8":
            content = response.content
            if (shown := visible_page(content)) is not content:
                response.content = shown
                if "Content-Length" in response.headers:
                    response.headers["Content-Length"] = str(len(shown))
        return response
