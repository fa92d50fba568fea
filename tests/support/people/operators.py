"""Accounts with the role Operator, who decide what becomes of downloads."""

from __future__ import annotations

from django.contrib.auth.models import Group, User


def an_operator(name: str, *, superuser: bool = False) -> User:
    user = User.objects.create_user(name, f"{name}@northwind.example", is_staff=True, is_superuser=superuser)
    user.groups.add(Group.objects.get(name="Operator"))
    return user
