"""Our table of a list is the one of unfold, drawn with less work."""

from __future__ import annotations

from datetime import date, time
from decimal import Decimal
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.templatetags import unfold_list

from licensehub.ui.templatetags import list_rows
from tests.support.web import all_pages

HOSTILE = "<script>alert(\"1\")</script> & 'more'"


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


class Columns(ModelAdmin):
    """A list of accounts with two columns: `name` links to the page of the row, and `value` shows `shows`."""

    list_display = ("name", "value")
    shows: Any = "plain"

    def name(self, user: User) -> str:
        return user.username

    @admin.display(description="The value")
    def value(self, user: User) -> Any:
        return self.shows

    def get_actions(self, request: HttpRequest) -> Any:
        return {}


@pytest.fixture
def request_of_admin(db, rf: RequestFactory) -> HttpRequest:
    request = rf.get("/")
    request.user = User.objects.create_superuser(HOSTILE, "admin@northwind.example", "a long password")
    return request


def change_list(request: HttpRequest, columns: type[Columns]) -> Any:
    cl: Any = columns(User, admin.site).get_changelist_instance(request)
    cl.formset = None
    return cl


def cells(request: HttpRequest, columns: type[Columns]) -> list[SafeString]:
    """The cells of the one row. Before, they are compared with those of unfold."""
    cl = change_list(request, columns)
    assert list_rows._draws_each_cell(cl)
    ours, theirs = (table({"request": request}, cl) for table in (list_rows.table_of, unfold_list.result_list))
    assert {key: value for key, value in ours.items() if key != "results"}.items() <= theirs.items()
    (row,), (expected,) = ours["results"], theirs["results"]
    assert list(row) == list(expected)
    assert all(isinstance(cell, SafeString) for cell in row)
    return list(row)


def value_of(request: HttpRequest, shows: Any) -> str:
    """The cell of the column `value`."""
    return cells(request, type("Showing", (Columns,), {"shows": shows}))[-1]


def test_hostile_text_is_escaped(request_of_admin):
    name, value = cells(request_of_admin, type("Showing", (Columns,), {"shows": HOSTILE}))
    assert "<script>" not in name + value
    assert name.endswith(">&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; &#x27;more&#x27;</a></th>")
    assert value.endswith(">&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; &#x27;more&#x27;</td>")


def test_hostile_text_in_a_list_of_values_is_escaped(request_of_admin):
    assert "<script>" not in value_of(request_of_admin, [HOSTILE, HOSTILE])


def test_a_hostile_label_is_escaped(request_of_admin: HttpRequest):
    class Labeled(Columns):
        @admin.display(description=HOSTILE)
        def value(self, user: User) -> Any:
            return "x"

    assert "<script>" not in cells(request_of_admin, Labeled)[-1]


def test_markup_of_a_column_is_kept(request_of_admin):
    assert value_of(request_of_admin, SafeString("<b>x</b>")).endswith("><b>x</b></td>")


@pytest.mark.parametrize("empty", [None, ""])
def test_an_empty_cell_has_the_sign_for_it(request_of_admin, empty: str | None):
    class OfTheColumn(Columns):
        shows = empty

        @admin.display(description="The value", empty_value="nobody")
        def value(self, user: User) -> Any:
            return self.shows

    assert value_of(request_of_admin, empty).endswith((">-</td>", "></td>"))
    assert ("nobody" in cells(request_of_admin, OfTheColumn)[-1]) == (empty is None)


@pytest.mark.parametrize("boolean", [True, False, None])
def test_a_switch_has_a_sign(request_of_admin, boolean: bool | None):
    class Switch(Columns):
        shows = boolean

        @admin.display(description="The value", boolean=True)
        def value(self, user: User) -> Any:
            return self.shows

    cells(request_of_admin, Switch)


@pytest.mark.parametrize("value", [0, 1234567, Decimal("1234.50"), 1.5])
def test_numbers_are_shown_as_unfold_shows_them(request_of_admin, value: float):
    assert "-</td>" not in value_of(request_of_admin, value)


@pytest.mark.parametrize("moment", [date(2026, 11, 28), time(21, 40)])
def test_a_moment_stays_on_one_line(request_of_admin, moment: date | time):
    assert ' nowrap" data-label="The value">' in value_of(request_of_admin, moment)
    assert "nowrap" not in value_of(request_of_admin, str(moment))


def test_the_first_column_links_to_the_page_of_the_row(request_of_admin):
    name, value = cells(request_of_admin, Columns)
    address = reverse("admin:auth_user_change", args=[request_of_admin.user.pk])
    assert name.startswith('<th class="field-name ') and f'<a href="{address}"' in name
    assert value.startswith('<td class="field-value ') and "<a " not in value


def test_other_columns_can_link(request_of_admin):
    class LinkOfValue(Columns):
        list_display_links = ("value",)

    class LinkOfBoth(Columns):
        list_display_links = ("name", "value")

    class NoLink(Columns):
        list_display_links = None

    assert [cell[:3] for cell in cells(request_of_admin, LinkOfValue)] == ["<td", "<th"]
    assert [cell[:3] for cell in cells(request_of_admin, LinkOfBoth)] == ["<th", "<td"]
    assert ["<a " in cell for cell in cells(request_of_admin, LinkOfBoth)] == [True, True]
    assert ["<a " in cell for cell in cells(request_of_admin, NoLink)] == [False, False]


def test_the_checkbox_of_a_row_has_its_classes_and_its_label(request_of_admin):
    class Selecting(Columns):
        def get_actions(self, request: HttpRequest) -> Any:
            return {"do": (lambda *_: None, "do", "Do it")}

    box, name, _value = cells(request_of_admin, Selecting)
    assert box.startswith(f'<td class="{" ".join(unfold_list.CHECKBOX_CLASSES)}" data-label="Select record"><input ')
    assert name.startswith("<th ")


def drawn_as(**kind: Any) -> type[Columns]:
    """The same list, with a column `value` of a kind that unfold draws by itself."""
    shown = {"label": "plain", "header": ("first line", "second line"), "dropdown": {"title": "more", "items": []}}
    (name,) = kind
    return type(name, (Columns,), {"value": display(description="The value", **kind)(lambda self, user: shown[name])})


def test_other_kinds_of_columns_are_left_to_unfold(request_of_admin):
    class OfTheModel(Columns):
        list_display = ("name", "email")

    class Sorted(Columns):
        ordering_field = "value"

    class Editable(Columns):
        list_editable = ("value",)

    special = (drawn_as(label={"plain": "info"}), drawn_as(header=True), drawn_as(dropdown=True))
    for columns in (*special, OfTheModel, Sorted, Editable):
        cl = change_list(request_of_admin, columns)
        assert not list_rows._draws_each_cell(cl), columns
        if columns is not Editable:
            ours, theirs = (
                draw({"request": request_of_admin}, cl) for draw in (list_rows.table_of, unfold_list.result_list)
            )
            assert [list(row) for row in ours["results"]] == [list(row) for row in theirs["results"]], columns


@pytest.mark.parametrize("attribute", ["is_popup", "preserved_filters"])
def test_other_kinds_of_lists_are_left_to_unfold(request_of_admin, attribute: str):
    cl = change_list(request_of_admin, Columns)
    setattr(cl, attribute, True if attribute == "is_popup" else "_changelist_filters=a%3Db")
    assert not list_rows._draws_each_cell(cl)
    (row,) = list_rows.table_of({"request": request_of_admin}, cl)["results"]
    assert ("data-popup-opener" if attribute == "is_popup" else "_changelist_filters") in row[0]


def test_a_list_without_columns_shows_the_names_of_its_rows(db, client: Client):
    """The roles."""
    client.force_login(User.objects.create_superuser("admin", "admin@northwind.example", "a long password"))
    page = client.get(reverse("admin:auth_group_changelist"))
    assert page.status_code == 200 and "Auditor" in page.content.decode()
