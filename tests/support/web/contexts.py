"""Keeps what a page was made from, for `response.context`, without a full copy for each of its templates.

A page has a hundred templates, most of them icons, and Django's test client copies a context for each: a twelfth of the
CPU of a page.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.template.context import BaseContext
from django.test import client
from django.test.utils import ContextList


def keep(store: dict[str, Any], signal: Any, sender: Any, template: Any, context: BaseContext, **_: Any) -> None:
    """In place of `store_rendered_templates`: the values of the context as they are now."""
    kept = BaseContext()
    kept.dicts = context.dicts[:]
    store.setdefault("templates", []).append(template)
    store.setdefault("context", ContextList()).append(kept)


@pytest.fixture(autouse=True, scope="session")
def _quick_contexts() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "store_rendered_templates", keep)
        yield
