"""The fixtures of all tests: each plugin is one file of them. Helpers that are no fixtures are imported from there."""

from __future__ import annotations

import gc

pytest_plugins = [
    "tests.support.database.selection",
    "tests.support.guards.network",
    "tests.support.database.prepared_database",
    "tests.support.database.clean_database",
    "tests.support.web.contexts",
    "tests.support.guards.midnight",
    "tests.support.servers.workers",
    "tests.support.fixtures",
    "tests.support.people.organization",
    "tests.support.people.profile_states",
    "tests.support.people.members",
    "tests.support.people.notices",
    "tests.support.people.colleagues",
    "tests.support.database.backups",
    "tests.support.anchors",
    "tests.support.guards.event_catalog",
    "tests.support.people.api",
    "tests.support.servers.webhooks",
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
