"""Export: what is filtered, nothing that a spreadsheet would run, and only for those who may look."""

from __future__ import annotations

import io
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone
from openpyxl import load_workbook

from licensehub.audit.models import AuditEvent
from licensehub.ui import csv_file, xlsx_file
from licensehub.ui.csv_file import Moment, harmless
from licensehub.ui.invisible import visible
from tests.support.people.organization import page
from tests.support.web.exports import rows, sheets
from tests.support.web.pages import text_of

EXPORTS = ["removalcandidate", "reclaimrequest", "reclaim"]


def test_a_formula_becomes_text():
    blanks = ["\t=1", "\r=1", "\n=1", "   =1", "\u00a0=1", "\u3000+1", "\u200b@1", "\ufeff-1", "\tAna"]
    for text in ["=1+1", "+1", "-1", "@SUM(A1)", "|calc", "%0A", "＝1+1", "＋1", "－1", "＠SUM(A1)", *blanks]:
        assert harmless(text).startswith("'")
        assert harmless(text).replace("'", "") == visible(text)


def test_a_formula_behind_another_separator_becomes_text():
    """A spreadsheet of another language splits the line there. Behind its own separator, a cell is quoted."""
    assert harmless("Ana;=1+1") == "Ana;'=1+1"
    assert harmless("Ana;  +1\t@x;－1") == "Ana;'  +1\t'@x;'－1"
    assert harmless("Ana,=1+1") == "Ana,=1+1"
    assert harmless("Ana,=1+1;=2", ";") == "Ana,'=1+1;=2"
    assert harmless("Ana,=1;=2", "\t") == "Ana,'=1;'=2"


def test_other_text_stays():
    for text in ["", "Ana", "a=1", "1-2", " Ana", "O’Neil", "Ana; Bo", "a;b=c"]:
        assert harmless(text) == text


def test_a_number_stays_a_number():
    """Behind an apostrophe, a spreadsheet would leave a negative amount out of the sum."""
    assert [harmless(value) for value in (Decimal("-240.00"), -5, Decimal("12.50"))] == ["-240.00", "-5", "12.50"]
    assert harmless(Decimal("-12.50"), ";") == "-12,50" and harmless("-12.50", ";") == "'-12.50"


@pytest.mark.parametrize(("form", "separator"), [("csv", ","), ("csv-semicolon", ";"), ("csv-tab", "\t")])
def test_a_separator_to_choose(empty_organization, alice, as_user, form, separator):
    empty_organization.hire(1, idle=100, name='Ana; "A"\tB, C')
    empty_organization.propose()

    answer = as_user(alice).get(page("removalcandidate", "export", form))

    assert rows(answer, separator=separator)[0]["Name"] == 'Ana; "A"\tB, C'


def test_the_excel_file_has_the_same_rows(organization, alice, as_user):
    client = as_user(alice)

    [lines] = sheets(client.get(page("removalcandidate", "export", "xlsx") + "?q=person7"))

    [plain] = rows(client.get(page("removalcandidate", "export") + "?q=person7"))
    assert [{header: str(value) for header, value in line.items()} for line in lines] == [plain]


def test_a_limit_in_an_hour_for_each_account(organization, alice, bob, as_user, settings, time_machine):
    settings.EXPORTS_PER_HOUR = 2
    time_machine.move_to(timezone.now())
    client, address = as_user(alice), page("removalcandidate", "export")
    answers = [client.get(address) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
    shown = text_of(answers[2], status=429)
    assert "Your account has exported 2 files in the last hour. More are not allowed." in shown
    assert client.get(page("reclaim", "export", "xlsx")).status_code == 429, "another list counts as well"
    assert as_user(bob).get(address).status_code == 200, "another account has its own"
    events = AuditEvent.objects.filter(action__startswith="list.export").order_by("sequence")
    assert [(event.action, event.actor_name) for event in events] == [
        ("list.exported", "alice"),
        ("list.exported", "alice"),
        ("list.export_refused", "alice"),
        ("list.exported", "bob"),
    ]
    assert events[2].data == {"limit": 2}

    time_machine.shift(timedelta(hours=1, seconds=1))
    assert as_user(alice).get(address).status_code == 200


def made(columns, values):
    """The sheets of a file. Closing the response closes its temporary file."""
    with closing(xlsx_file.response(columns, values, name="x")) as response:
        return sheets(response)


@pytest.mark.django_db
def test_the_excel_file_can_add_counts_and_amounts():
    [lines] = made([("Value", lambda row: row)], [Decimal("240.50"), Decimal(-240), 3, Decimal(10**15), "7"])

    assert [line["Value"] for line in lines] == [240.5, -240, 3, "1000000000000000", "7"]


COLUMNS = [("Day", lambda row: row.date()), ("At", Moment(lambda row: row)), ("Unmarked", lambda row: row)]
AT = datetime(2026, 11, 28, 22, 30, 5, 759000, tzinfo=UTC)


@pytest.mark.django_db
def test_the_excel_file_has_real_dates_in_the_time_zone_of_the_reader():
    """Excel can sort, filter and count with them. A moment that no header explains keeps its difference to UTC."""
    with timezone.override("Europe/Berlin"), closing(xlsx_file.response(COLUMNS, [AT], name="x")) as response:
        head, line = load_workbook(io.BytesIO(b"".join(response.streaming_content))).active.iter_rows()

    assert [cell.value for cell in head] == ["Day", "At (Europe/Berlin)", "Unmarked"]
    assert [cell.value for cell in line] == [
        datetime(2026, 11, 28),  # noqa: DTZ001 - a cell has no zone
        datetime(2026, 11, 28, 23, 30, 5),  # noqa: DTZ001 - as above
        "2026-11-28T23:30:05+01:00",
    ]
    assert [cell.number_format for cell in line] == ["yyyy-mm-dd", "yyyy-mm-dd hh:mm:ss", "General"]
    assert [cell.is_date for cell in line] == [True, True, False]


@pytest.mark.django_db
def test_the_excel_file_has_what_is_no_date_for_excel_as_text():
    """Excel counts the days since 1900. A vendor may send any year, and a cell may be empty."""
    values = [AT.replace(year=1899), AT.replace(year=1900), None, ""]

    [lines] = made([("At", Moment(lambda row: row))], values)

    first = datetime(1900, 11, 28, 22, 30, 5)  # noqa: DTZ001 - a cell has no zone
    assert [line["At (UTC)"] or "" for line in lines] == ["1899-11-28 22:30:05", first, "", ""]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_moments_of_a_csv_file_are_read_by_spreadsheets(separator):
    """Excel and LibreOffice read this form in all languages. Excel keeps one with a T or an offset as text."""
    with timezone.override("Europe/Berlin"):
        response = csv_file.response(COLUMNS, [AT], name="x", separator=separator)

    [line] = rows(response, separator=separator)
    assert line == {
        "Day": "2026-11-28",
        "At (Europe/Berlin)": "2026-11-28 23:30:05",
        "Unmarked": "2026-11-28T23:30:05+01:00",
    }


@pytest.mark.django_db
def test_other_cells_of_the_excel_file_are_text():
    """An id of 19 digits is whole, and a formula is text that stays text when a person edits the cell."""
    values = ["3074457345821140946", 3074457345821140946, "=1+1", "Zoë <b>&", "https://x.example", "7", True]

    [lines] = made([("Value", lambda row: row)], values)

    with closing(xlsx_file.response([("Value", lambda row: row)], values, name="x")) as response:
        sheet = load_workbook(io.BytesIO(b"".join(response.streaming_content))).active
    assert [cell.quotePrefix for (cell,) in sheet.iter_rows(min_row=2)] == [value == "=1+1" for value in values]
    assert [line["Value"] for line in lines] == [str(value) for value in values]


@pytest.mark.django_db
def test_the_excel_file_at_its_limits(monkeypatch):
    """A further sheet after the last row of one, and a text that is longer than a cell."""
    monkeypatch.setattr(xlsx_file, "MAX_ROWS", 3)
    columns = [("Text", lambda row: row)]

    first, second = made(columns, ["a" * 40_000, None, "c"])
    [empty] = made(columns, [])

    assert [len(str(line["Text"] or "")) for line in first] == [32_767, 0]
    assert second == [{"Text": "c"}] and empty == []


def test_exactly_what_is_filtered(organization, alice, as_user):
    client = as_user(alice)
    organization.ask(alice, count=2)

    everybody = rows(client.get(page("removalcandidate", "export")))
    one = rows(client.get(page("removalcandidate", "export") + "?q=person7"))
    waiting = rows(client.get(page("removalcandidate", "export") + "?state__exact=awaiting_approval"))

    assert (len(everybody), len(one), len(waiting)) == (6, 1, 2)
    assert one[0]["Name"] == "Person 7" and one[0]["License"] == "Full"


def test_a_hostile_name(empty_organization, alice, as_user):
    empty_organization.hire(1, idle=100, name='=HYPERLINK("http://x")')
    empty_organization.propose()

    (found,) = rows(as_user(alice).get(page("removalcandidate", "export")))

    assert found["Name"] == '\'=HYPERLINK("http://x")'


@pytest.mark.parametrize("model", EXPORTS)
def test_everybody_who_reads_may_export(organization, alice, carol, dave, as_user, model):
    organization.ask(alice)

    response = as_user(carol).get(page(model, "export"))

    assert response.status_code == 200 and "attachment" in response["Content-Disposition"]
    rows(response)
    assert as_user(dave).get(page(model, "export")).status_code == 403


def test_a_filter_that_makes_no_sense(organization, alice, as_user):
    assert as_user(alice).get(page("removalcandidate", "export") + "?pk__in=x").status_code in (302, 400)


def test_the_button_keeps_the_filters(organization, alice, as_user):
    shown = as_user(alice).get(page("removalcandidate", "changelist") + "?q=person7").content.decode()

    assert page("removalcandidate", "export", "xlsx") + "?q=person7" in shown
