"""Pages as the tests read them."""

from __future__ import annotations

from typing import Any


def text_of(response: Any, *, status: int = 200) -> str:
    """The HTML of a page without line breaks. `response` is one of the test client."""
    assert response.status_code == status
    return " ".join(response.content.decode().split())
