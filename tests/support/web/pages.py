"""Pages as the tests read them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from django.template.response import SimpleTemplateResponse


def text_of(response: Any, *, status: int = 200) -> str:
    """The HTML of a page without line breaks. `response` is one of the test client."""
    assert response.status_code == status
    return " ".join(response.content.decode().split())


@contextlib.contextmanager
def without_html() -> Iterator[None]:
    """For tests that read only `response.context_data`: to write the HTML takes more than half of a page's CPU."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SimpleTemplateResponse, "rendered_content", "")
        yield
