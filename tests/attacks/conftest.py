"""The company admin who attacks."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.support.fixtures import person
from tests.support.web.account_pages import signed_in


@pytest.fixture
def mallory(db) -> User:
    """She asks for the reclaim herself."""
    return person("mallory", "Company admin")


@pytest.fixture
def as_mallory(mallory) -> Client:
    return signed_in(mallory)
