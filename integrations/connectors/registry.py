"""The registered connectors: `settings.CONNECTORS`, kind -> dotted path, imported on first use."""

from __future__ import annotations

from functools import cache
from typing import cast

from django.conf import settings
from django.utils.module_loading import import_string

from integrations.connectors.contract import Connector


@cache
def _import(path: str) -> type[Connector]:
    return cast("type[Connector]", import_string(path))


def connector_class(kind: str) -> type[Connector]:
    """The connector class of this kind. Raises LookupError with a message that lists the known kinds."""
    try:
        return _import(settings.CONNECTORS[kind])
    except KeyError:
        known = ", ".join(settings.CONNECTORS) or "none"
        raise LookupError(f"There is no connector “{kind}”. Known connectors: {known}.") from None
