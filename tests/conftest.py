"""What every test needs: each plugin is one file of fixtures. Helpers that are no fixtures are imported from there."""

from __future__ import annotations

pytest_plugins = [
    "tests.support.network",
    "tests.support.clean_database",
    "tests.support.servers",
    "tests.support.fixtures",
    "tests.support.organization",
    "tests.support.profile_states",
    "tests.support.members",
    "tests.support.notices",
    "tests.support.backups",
]
