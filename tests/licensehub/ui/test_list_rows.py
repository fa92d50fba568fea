"""Our table of a list is the one of unfold, drawn with less work."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from unfold.templatetags import unfold_list

from licensehub.ui.templatetags import list_rows
from tests.support import all_pages


def test_all_lists_have_the_cells_of_unfold(world, alice, bob, client: Client):
    all_pages.prepare(world, asks=alice, decides=bob)
    client.force_login(User.objects.create_superuser("admin", "admin@northwind.example", "a long password"))
    cells = 0
    for name in all_pages.LISTS:
        context: Any = client.get(reverse(f"admin:{name}_changelist")).context
        ours, theirs = (table(context, context["cl"]) for table in (list_rows.table_of, unfold_list.result_list))
        assert ours["result_headers"] == theirs["result_headers"], name
        assert [list(row) for row in ours["results"]] == [list(row) for row in theirs["results"]], name
        assert list_rows._draws_each_cell(context["cl"]), name
        cells += sum(map(len, ours["results"]))
    assert cells > 500
