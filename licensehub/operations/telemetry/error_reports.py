"""Error reports to Sentry, or to a server that speaks the same: off without SENTRY_DSN.

A report has the error, its places in the code and the ids of `log_context`. It has no variables, no form, no cookie, no
query, no header and nobody's name.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from django.conf import settings
from structlog.contextvars import get_contextvars

from licensehub.build import version
from licensehub.operations.telemetry.scrubbing import scrubbed

log = logging.getLogger(__name__)

# Only these facts of a request are sent.
REQUEST: Final = ("method", "url")
DROPPED: Final = ("user", "extra", "modules", "server_name")


def start(**options: Any) -> bool:
    """Called once in each process. Returns whether reports are sent. `options` are those of `sentry_sdk.init`."""
    if not settings.SENTRY_DSN:
        return False
    try:
        import sentry_sdk

        from licensehub.operations.telemetry import error_transport
    except ImportError:
        log.error("SENTRY_DSN is set, but the package sentry-sdk is not installed, so no error is reported.")
        return False
    if not error_transport.is_known():
        log.error("LicenseHub does not know this version of sentry-sdk, so no error is reported.")
        return False
    sentry_sdk.init(
        dsn=settings.SENTRY_DSN,
        release=version(),
        include_local_variables=False,
        include_source_context=False,
        max_request_body_size="never",
        before_send=before_send,  # type: ignore[arg-type]  # its type of an event exists for mypy only
        before_breadcrumb=before_breadcrumb,
        before_send_transaction=lambda event, hint: None,
        auto_session_tracking=False,
        # Else each call to a vendor or a webhook would carry the key of SENTRY_DSN and our version.
        trace_propagation_targets=[],
        **{"transport": error_transport.BoundedTransport, **options},
    )
    return True


def before_send(event: dict[str, Any], hint: dict[str, Any]) -> dict[str, Any]:
    """The report as it leaves."""
    for name in DROPPED:
        event.pop(name, None)
    request = event.get("request") or {}
    event["request"] = {name: str(request[name]).partition("?")[0] for name in REQUEST if request.get(name)}
    for one in (event.get("exception") or {}).get("values", []):
        for frame in (one.get("stacktrace") or {}).get("frames", []):
            frame.pop("vars", None)
    event["tags"] = {**(event.get("tags") or {}), **{key: str(value) for key, value in get_contextvars().items()}}
    cleaned: dict[str, Any] = scrubbed(event)
    return cleaned


def before_breadcrumb(crumb: dict[str, Any], hint: dict[str, Any]) -> dict[str, Any] | None:
    """The log lines before the error. A query to the database or to a vendor has values, so it is left out."""
    return scrubbed({**crumb, "data": {}}) if crumb.get("type") == "log" else None
