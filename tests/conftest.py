"""What every test needs, each in a file of its own."""

from __future__ import annotations

pytest_plugins = ["tests.network", "tests.servers", "tests.fixtures"]
