"""The registered connectors: `settings.CONNECTORS`, kind -> dotted path, imported on first use."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from importlib import import_module
from typing import Any, Protocol, cast

from django.conf import settings
from django.utils.module_loading import import_string
from django.utils.translation import get_language, gettext

from integrations.connectors.contract import NEUTRAL, Connector, Texts


class SandboxControl(Protocol):
    """The calls that the demo makes to a running sandbox."""

    def truth(self) -> dict[str, Any]:
        """The sandbox's own record: `members`, `inactive` ids, and `transitions` with `id`, `by`, `from` and `to`."""

    def install(self, redirect_uri: str) -> str:
        """Consent without a browser. Returns the code."""

    def rename(self, member_id: str, *, email: str) -> dict[str, Any]:
        """Give this person another address, as a company admin does. Returns the person."""

    def freeze_activity(self, *, days: int) -> None:
        """The activity dates are those of so many days ago; 0 updates them again."""


class Sandbox(Protocol):
    """The module `sandbox/demo.py` of a connector: how the demo starts the emulator of the vendor and connects it."""

    KIND: str
    PROFILE: str
    CONSENT_SLOT: str

    def command(self, *, port: int, members: int, seed: int, state: str) -> list[str]: ...
    def addresses(self, base: str) -> dict[str, str]: ...
    def control(self, base: str) -> SandboxControl: ...
    def credentials(self, sandbox: SandboxControl) -> dict[str, dict[str, str]]: ...


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
    """The texts for pages that belong to no profile: those of the only connector, or neutral ones."""
    kinds = list(settings.CONNECTORS)
    return in_language(connector_class(kinds[0]).texts if len(kinds) == 1 else NEUTRAL)


def in_language(texts: Texts) -> Texts:
    """These texts in the language of the reader. A connector has them in English."""
    return _in_language(texts, get_language() or "en")


@cache
def _in_language(texts: Texts, language: str) -> Texts:
    """Translate the texts into the active language. `language` is its code, and the key of the cache."""
    return Texts(**{part.name: _translation(getattr(texts, part.name)) for part in fields(texts)})


def _translation(value: str | tuple[str, ...]) -> Any:
    # gettext would translate an empty string into the header of the catalog.
    return tuple(map(_translation, value)) if isinstance(value, tuple) else gettext(value) if value else ""


def addresses_of(kind: str) -> Mapping[str, str]:
    """The addresses that this connector calls: `settings.CONNECTOR_ADDRESSES`, else the environment, else its own."""
    set_here = settings.CONNECTOR_ADDRESSES.get(kind, {})
    declared = connector_class(kind).addresses.items()
    return {
        name: set_here.get(name) or os.environ.get(address.variable) or address.default for name, address in declared
    }


def demo_sandbox() -> Sandbox:
    """The sandbox of the first connector."""
    package = next(iter(settings.CONNECTORS.values())).rsplit(".", 2)[0]
    return cast("Sandbox", import_module(f"{package}.sandbox.demo"))
