"""All lists: a filter is kept at *Apply*, and the export has the rows that the list shows."""

from __future__ import annotations

import csv
import html
import io
import re
from datetime import datetime
from html.parser import HTMLParser
from itertools import groupby
from urllib.parse import parse_qsl, urlencode

import pytest
from django.contrib import admin
from django.urls import reverse

from licensehub.site.audit.audit_admin import ActionFilter, AuditEventAdmin
from licensehub.ui.csv_file import headers
from licensehub.ui.export import ExportMixin
from licensehub.ui.lists.columns import flat
from licensehub.ui.lists.filters import expected_parameters
from tests.support.web.exports import rows, sheets
from tests.support.web.pages import without_html

# Enough of each filter: the first choice and the last ones.
CHOICES = 3
OFFSET = re.compile(r"^\d{4}-\d\d-\d\dT[\d:.]+[+-]\d\d:\d\d$")


class Filters(HTMLParser):
    """`links`: the queries behind the choices; `offers`: field and value of the form; `fields`: what *Apply* sends."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.offers: list[tuple[str, str]] = []
        self.fields: list[tuple[str, str]] = []
        self._form = False
        self._select = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        values = {name: value or "" for name, value in attrs}
        self._form = self._form or (tag == "form" and values.get("id") == "filter-form")
        if tag == "a" and values.get("href", "").startswith("?") and "=" in values["href"]:
            self.links.append(values["href"][1:])
        if not self._form:
            return
        if tag == "input" and values.get("name") and values.get("value"):
            if values.get("type") not in ("radio", "checkbox") or "checked" in values:
                self.fields.append((values["name"], values["value"]))
            if values.get("type") in ("radio", "checkbox"):
                self.offers.append((values["name"], values["value"]))
        if tag == "select":
            self._select = values.get("name", "")
        if tag == "option" and values.get("value"):
            self.offers.append((self._select, values["value"]))
            if "selected" in values:
                self.fields.append((self._select, values["value"]))

    def handle_endtag(self, tag):
        if tag == "form":
            self._form = False


def applied(page: str) -> dict[str, str]:
    """The query that *Apply* sends if nothing was changed. unfold writes `all` for no choice."""
    return {name: value for name, value in Filters(page).fields if value != "all"}


def choices(page: str) -> list[str]:
    """Some queries of each filter."""
    found = Filters(page)
    links = [
        link for link in found.links if not {"o", "p", "e", "_facets", "columns", "view"} & set(dict(parse_qsl(link)))
    ]
    by_name = [list(same) for _, same in groupby(found.offers, key=lambda offer: offer[0])]
    offers = [urlencode([offer]) for same in by_name for offer in [same[0], *same[-CHOICES + 1 :]]]
    by_field = [list(same) for _, same in groupby(links, key=lambda link: sorted(dict(parse_qsl(link))))]
    return list(dict.fromkeys([*offers, *(link for same in by_field for link in [same[0], *same[-CHOICES + 1 :]])]))


def lists() -> list[str]:
    return [
        reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        for model, its_admin in admin.site._registry.items()
        if isinstance(its_admin, ExportMixin)
    ]


def test_a_list_exports_the_rows_that_it_shows(run, admin_client, settings):
    """A chip names each filter, and the number beside a choice is the number of its rows."""
    settings.EXPORTS_PER_HOUR = 1000
    asked = counted = 0
    for address in lists():
        counts = admin_client.get(f"{address}counts/").json()
        for query in ["", *choices(admin_client.get(address).content.decode())]:
            answer = admin_client.get(f"{address}?{query}")
            assert answer.status_code == 200, (address, query)
            shown, page = answer.context["cl"], answer.content.decode()
            exported = rows(admin_client.get(f"{address}export/?{query}"))
            assert len(exported) == shown.result_count, (address, query)
            assert f'export/xlsx/{shown.get_query_string()}"'.replace("&", "&amp;") in page, (address, query)
            names = expected_parameters(shown)
            given = [(name, value) for name, value in parse_qsl(query) if value != "all" and name in names]
            assert [chip.url for chip in shown.chips] == ["?"] * bool(given), (address, query)
            assert all(chip.known and chip.label in html.unescape(page) for chip in shown.chips), (address, query)
            for name, value in given:
                if name in counts:
                    assert counts[name][value] == str(shown.result_count), (address, query)
                    counted += 1
            if shown.model_admin.list_filter_submit and shown.has_filters:
                assert "p" not in applied(admin_client.get(f"{address}?{query}&p=last").content.decode())
                assert applied(page) == {name: value for name, value in parse_qsl(query) if value != "all"}, address
            asked += 1
    assert len(lists()) >= 13 and asked > 40 and counted > 30


def test_the_file_of_what_is_shown_has_the_columns_of_the_list(run, admin_client):
    for address in lists():
        shown = admin_client.get(address).context["cl"]
        its_admin, request = shown.model_admin, shown.request
        names = [name for name in shown.list_display if name != "action_checkbox"]
        expected = headers(flat(its_admin.columns_of(request)[name] for name in names))
        every = headers(its_admin.columns_for(request))
        lines = b"".join(admin_client.get(f"{address}export/shown/csv/").streaming_content).decode("utf-8-sig")
        assert next(csv.reader(io.StringIO(lines))) == expected, address
        assert set(expected) <= set(every), address
        whole = admin_client.get(address, {"columns": ",".join(its_admin.columns_of(request))})
        assert len(whole.context["cl"].list_display) >= len(its_admin.columns), address


def test_each_moment_of_a_file_is_a_date_under_a_header_with_its_time_zone(run, admin_client):
    """A column of moments that is not marked as one has text with a difference to UTC, which Excel does not read."""
    dates = 0
    for address in lists():
        for line in sheets(admin_client.get(f"{address}export/xlsx/"))[0]:
            for header, cell in line.items():
                assert not isinstance(cell, str) or not OFFSET.search(cell), (address, header, cell)
                if isinstance(cell, datetime):
                    assert header.endswith(" (UTC)"), (address, header)
                    dates += 1
    assert dates > 40


def test_a_list_is_sorted_by_each_column_that_has_an_index(run, admin_client):
    asked = 0
    for address in lists():
        shown = admin_client.get(address).context["cl"]
        for name in shown.model_admin.sortable_columns(shown.request):
            with without_html():
                up, down = (admin_client.get(address, {"o": order}).context_data["cl"] for order in (name, f"-{name}"))
            assert admin_client.get(address, {"o": f"-{name}", "q": "a"}).status_code == 200, (address, name)
            assert {row.pk for row in up.result_list} == {row.pk for row in down.result_list}, (address, name)
            assert up.sorted_by == (name, False) and down.sorted_by == (name, True), (address, name)
            if name in up.list_display:
                assert up.get_ordering_field_columns() == {up.list_display.index(name): "asc"}, (address, name)
            asked += 1
    assert asked > 25


def test_what_a_list_does_not_know_gets_a_sentence(run, admin_client):
    address = reverse("admin:subscriptions_subscription_changelist")

    def said(**query: str) -> list[str]:
        return [str(message) for message in admin_client.get(address, query, follow=True).context["messages"]]

    assert said(o="-3") == ["This list cannot be sorted by “3”."]
    assert said(columns="license_shown,nothing") == ["This list has no column “nothing” that you may see."]
    assert said(license="pro") == ["The filter “License” has no choice “pro” any more."]
    assert said(p="nonsense") == ["The address had a part that this list does not know. All rows are shown."]
    assert said(license="full", o="person") == []


def test_the_control_forgets_a_filter_of_links(run, admin_client, monkeypatch):
    class Links(admin.SimpleListFilter):
        title, parameter_name, lookups = "action", "action", ActionFilter.lookups

        def queryset(self, request, queryset):
            return queryset.filter(action=self.value()) if self.value() else queryset

    monkeypatch.setattr(AuditEventAdmin, "list_filter", (Links,))
    page = admin_client.get(reverse("admin:audit_auditevent_changelist") + "?action=profile.published")
    assert applied(page.content.decode()) == {}


def test_odd_values_in_the_address_are_no_error(run, admin_client):
    """A number that `int` refuses, or that fits into no column; more words than SQL takes conditions."""
    words = " ".join(f"{number:x}" for number in range(1100))
    odd = ["²", "9" * 8, "9" * 30, "-1", "'", "٣"]
    asked = 0
    for address in lists():
        shown = admin_client.get(address).context["cl"].model_admin
        filters = {getattr(one, "parameter_name", None) for one in shown.list_filter if isinstance(one, type)}
        queries = [{"q": words}, {"q": "9" * 900}, *({name: value} for name in filters - {None} for value in odd)]
        for query in queries:
            assert admin_client.get(address, query).status_code in (200, 302), (address, query)
            asked += 1
    assert asked > 40


@pytest.mark.parametrize("form", ["xlsx", "csv", "csv-semicolon", "csv-tab", "pdf"])
def test_each_form_has_an_address(run, admin_client, form):
    answer = admin_client.get(reverse("admin:subscriptions_subscription_export", args=[form]))
    assert answer.status_code == (404 if form == "pdf" else 200)
    assert form == "pdf" or b"".join(answer.streaming_content)
