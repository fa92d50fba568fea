"""The texts of the report's mail."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.utils.formats import date_format
from django.utils.translation import gettext as _

from licensehub.ui.formatting import day, number
from subscriptions.models import MonthlyReport
from subscriptions.money.currencies import amount_text
from subscriptions.reports.figures import amounts, total


def month_name(row: MonthlyReport) -> str:
    """`October 2026`"""
    return date_format(row.month, "F Y")


def subject_of(row: MonthlyReport) -> str:
    return _("Report of {month}: licenses").format(month=month_name(row))


def text_of(row: MonthlyReport) -> str:
    """One paragraph for each profile."""
    found = [_of_profile(data) for data in row.data["profiles"]]
    if not found:
        return _("No profile has a complete download, so there are no figures.")
    return "\n\n".join(found)


def money_text(found: Mapping[str, Decimal]) -> str:
    """`$61,200 and €432`; empty without an amount."""
    return _(" and ").join(amount_text(amount, currency) for currency, amount in sorted(found.items()) if amount)


def _of_profile(data: dict[str, Any]) -> str:
    bought = _("of {count} bought").format(count=number(data["bought"])) if data["bought"] else ""
    cost, saved = money_text(amounts(data, "amount")), money_text(amounts(data, "saved"))
    lines = [
        data["name"],
        _("Seats: {seats} {bought}").format(seats=number(total(data, "seats")), bought=bought).strip(),
        _("Inactive: {count}").format(count=number(total(data, "inactive"))),
        _("Open candidates: {count}").format(count=number(data["candidates"])),
        _("Reclaimed in the month: {count}").format(count=number(total(data, "reclaimed"))),
        _("Restored in the month: {count}").format(count=number(total(data, "restored"))),
    ]
    if cost:
        lines.append(_("Cost of the seats: {amount} per year").format(amount=cost))
    if saved:
        lines.append(_("Saved in the month: {amount} per year").format(amount=saved))
    lines.append(_oldest(data))
    return "\n".join(lines)


def _oldest(data: dict[str, Any]) -> str:
    if not data["oldest"]:
        return _("No request is open.")
    return _("Oldest open request: since {day}").format(day=day(datetime.fromisoformat(data["oldest"]["since"])))
