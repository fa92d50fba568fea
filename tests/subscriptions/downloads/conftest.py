from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from tests.support.people.operators import an_operator


@pytest.fixture
def olivia(db) -> User:
    return an_operator("olivia")


@pytest.fixture
def oscar(db) -> User:
    return an_operator("oscar")
