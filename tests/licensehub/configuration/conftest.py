from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, User

from licensehub.configuration.apply import caller_of
from tests.support.fixtures import person


@pytest.fixture
def carol(db) -> User:
    """An admin who may also do what an operator and a license manager may."""
    user = person("carol", "Company admin")
    for name in ("License manager", "Operator"):
        user.groups.add(Group.objects.get(name=name))
    return user


@pytest.fixture
def admin(carol, program) -> Callable[[], Any]:
    """The caller of the token of the admin."""
    role = Group.objects.create(name="Everything")
    role.permissions.set([permission for group in carol.groups.all() for permission in group.permissions.all()])
    carol.groups.add(role)
    return lambda: caller_of(program(carol, "Everything").text)
