"""`make test` runs each test on SQLite. PostgreSQL, at the same time, runs only the tests that use a database. A test
with the marker `markup` is left out there, too: it checks finished pages, e.g. their contrast.

Tests with a time limit of their own take minutes. They begin first, so that no process waits for another one's last.
"""

from __future__ import annotations

import os

import pytest
from django.test import SimpleTestCase

from tests.support.databases import ONLY_DATABASE


# After pytest-django, which puts tests with real transactions behind the others.
@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if os.environ.get(ONLY_DATABASE):
        config.hook.pytest_deselected(items=[item for item in items if not asks_database(item)])
        items[:] = [item for item in items if asks_database(item)]
    items.sort(key=lambda item: item.get_closest_marker("timeout") is None)


def asks_database(item: pytest.Item) -> bool:
    """True for a test with the fixture or the marker of a database, or of a Django TestCase; never for `markup`."""
    if item.get_closest_marker("markup") is not None:
        return False
    fixtures = getattr(item, "fixturenames", ())
    test_case = getattr(item, "cls", None)
    return (
        not {"db", "transactional_db"}.isdisjoint(fixtures)
        or item.get_closest_marker("django_db") is not None
        or (test_case is not None and issubclass(test_case, SimpleTestCase))
    )
