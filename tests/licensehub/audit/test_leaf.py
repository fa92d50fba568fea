"""The audit and the user interface are leaves: they name nobody above them, also not in a string."""

from __future__ import annotations

import re

import pytest
from django.conf import settings

ABOVE = {
    "audit": r"\b(integrations|subscriptions)\b|licensehub\.(ui|site|embedded)\b",
    "ui": r"\b(integrations|subscriptions)\b|licensehub\.(site|embedded)\b",
}


@pytest.mark.parametrize("leaf", sorted(ABOVE))
def test_a_leaf_names_nobody_above_it(leaf):
    files = list((settings.BASE_DIR / "licensehub" / leaf).rglob("*.py"))
    assert len(files) > 5
    found = [
        f"{path.name}:{number}: {line.strip()}"
        for path in files
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        if re.search(ABOVE[leaf], line)
    ]
    assert found == []
