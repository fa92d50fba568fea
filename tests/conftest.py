"""The fixtures of all tests: each plugin is one file of them. Helpers that are no fixtures are imported from there."""

from __future__ import annotations

import gc

pytest_plugins = [
    "tests.support.selection",
    "tests.support.network",
    "tests.support.prepared_database",
    "tests.support.clean_database",
    "tests.support.contexts",
    "tests.support.midnight",
    "tests.support.servers",
    "tests.support.fixtures",
    "tests.support.organization",
    "tests.support.profile_states",
    "tests.support.members",
    "tests.support.notices",
    "tests.support.colleagues",
    "tests.support.backups",
    "tests.support.anchors",
    "tests.support.event_catalog",
    "tests.support.api",
    "tests.support.webhooks",
]


# The import of all modules makes almost no garbage.
gc.disable()


def pytest_sessionstart() -> None:
    """Compile the translations: the repository does not contain them."""
    from licensehub.translations.catalogs import compile_stale

    compile_stale()


def pytest_collection_finish() -> None:
    """Collections would look through all modules again and again: about a twentieth of the CPU of the tests."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    gc.enable()
