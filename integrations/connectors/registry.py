"""The registered connectors: `settings.CONNECTORS`, kind -> dotted path, imported on first use."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from typing import cast

from django.conf import settings
from django.utils.module_loading import import_string

from integrations.connectors.contract import NEUTRAL, Connector, Texts


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


def vendor_texts() -> Texts:
    """For what is about no profile: the texts of the only connector, neutral ones where there are several."""
    kinds = list(settings.CONNECTORS)
    return connector_class(kinds[0]).texts if len(kinds) == 1 else NEUTRAL


def addresses_of(kind: str) -> Mapping[str, str]:
    """Where the calls of this connector go: by `settings.CONNECTOR_ADDRESSES`, the environment, or as declared."""
    set_here = settings.CONNECTOR_ADDRESSES.get(kind, {})
    declared = connector_class(kind).addresses.items()
    return {
        name: set_here.get(name) or os.environ.get(address.variable) or address.default for name, address in declared
    }
