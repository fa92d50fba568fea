"""Addresses of the lists and pages behind the overview's numbers."""

from __future__ import annotations

from typing import Any

from django.http import QueryDict
from django.urls import NoReverseMatch, reverse


def listed(model: str, **filters: Any) -> str:
    """The list of a model of `subscriptions` under these filters; empty where there is no such list."""
    try:
        address = reverse(f"admin:subscriptions_{model}_changelist")
    except NoReverseMatch:
        return ""
    return f"{address}?{_query(filters)}" if filters else address


def exported(model: str, **filters: Any) -> str:
    """The CSV file with the rows of such a list. Everybody who may see them may export them."""
    return f"{reverse(f'admin:subscriptions_{model}_export', args=['csv'])}?{_query(filters)}"


def _query(filters: dict[str, Any]) -> str:
    query = QueryDict(mutable=True)
    query.update({name: str(value) for name, value in filters.items()})
    return query.urlencode(safe=",")


def page(view: str, pk: int) -> str:
    """The page of one row; empty where there is none."""
    try:
        return reverse(f"admin:{view}_change", args=[pk])
    except NoReverseMatch:
        return ""
