"""Pages as the tests read them."""

from __future__ import annotations

from django.http import HttpResponse


def text_of(response: HttpResponse, *, status: int = 200) -> str:
    """The HTML of a page without line breaks."""
    assert response.status_code == status
    return " ".join(response.content.decode().split())
