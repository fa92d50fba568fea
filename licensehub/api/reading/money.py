"""The savings of a year, as the page *Savings* shows them."""

from __future__ import annotations

from typing import Annotated, Any

from django.http import Http404, HttpRequest
from ninja import Query, Schema

from integrations.models import IntegrationProfile
from licensehub.api.access.caller import caller_of
from licensehub.api.reading.rows import Id, rows_for
from licensehub.api.router import router
from licensehub.ui.time_zones import company_day
from subscriptions.models.money import in_currency
from subscriptions.money.savings import STAGES, Cell, Group, Ledger, Line
from subscriptions.money.small_groups import departments_for, minimum_for

TAGS = ["Money"]


class CellOut(Schema):
    """Seats, and their yearly amount at the price of each, as a decimal number."""

    seats: int
    amount: str


class LineOut(Schema):
    """One license type of one profile. Potential and approved are those of now, the others those of the year."""

    profile: int
    license: str
    potential: CellOut
    approved: CellOut
    verified: CellOut
    again: CellOut
    saved: CellOut


class DepartmentOut(Schema):
    department: str
    cost_center: str
    verified: CellOut
    again: CellOut
    saved: CellOut


class CurrencyOut(Schema):
    """`currency` is empty for seats without a price. Departments with few people may be shown as one."""

    currency: str
    saved: CellOut
    lines: list[LineOut]
    departments: list[DepartmentOut]
    departments_together: CellOut | None


class SavingsOut(Schema):
    year: int
    currencies: list[CurrencyOut]


def _cell(cell: Cell, currency: str) -> dict[str, Any]:
    return {"seats": cell.seats, "amount": str(in_currency(cell.amount, currency))}


def _line(line: Line) -> dict[str, Any]:
    cells = {stage.value: _cell(line.cells[stage], line.currency) for stage in STAGES}
    return {"profile": line.profile.pk, "license": line.license, **cells, "saved": _cell(line.saved, line.currency)}


def _group(group: Group, ledger: Ledger, minimum: int) -> dict[str, Any]:
    shown, small = departments_for(ledger.by_department(group.currency), ledger.profiles.values(), minimum)
    names = ("verified", "again", "saved")
    return {
        "currency": group.currency,
        "saved": _cell(group.saved, group.currency),
        "lines": [_line(line) for line in group.lines],
        "departments": [
            {
                "department": row["department"],
                "cost_center": row["cost_center"],
                **{name: _cell(row[name], group.currency) for name in names},
            }
            for row in shown
        ],
        "departments_together": _cell(sum((row["saved"] for row in small), Cell()), group.currency) if small else None,
    }


@router.get("/savings", tags=TAGS, response=SavingsOut, summary="Savings of a year, by currency")
def savings(
    request: HttpRequest,
    year: Annotated[int | None, Query(None, ge=2011, le=2100, description="This year by default")] = None,
    profile: Id | None = None,
) -> Any:
    caller = caller_of(request)
    caller.refuse_without("subscriptions.view_price")
    known = list(rows_for(request, IntegrationProfile))
    if profile is not None:
        known = [one for one in known if one.pk == profile]
        if not known:
            raise Http404
    ledger = Ledger(known, year or company_day().year)
    minimum = minimum_for(caller.user)
    return {"year": ledger.year, "currencies": [_group(group, ledger, minimum) for group in ledger.groups()]}
