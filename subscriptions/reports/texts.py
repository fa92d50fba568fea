"""The texts of the report's mail."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from licensehub.ui.formatting import day, number
from licensehub.ui.names import joined
from subscriptions.models import MonthlyReport
from subscriptions.money.currencies import amount_text
from subscriptions.reports.figures import amounts, total


def profile_name(data: dict[str, Any]) -> str:
    return _("{profile} (archived)").format(profile=data["name"]) if data.get("archived") else data["name"]


def month_name(month: date) -> str:
    """`October 2026`"""
    return date_format(month, "F Y")


def subject_of(row: MonthlyReport) -> str:
    return _("Report of {month}: licenses").format(month=month_name(row.month))


def text_of(row: MonthlyReport) -> str:
    """One paragraph for each profile."""
    found = [_of_profile(data) for data in row.data["profiles"]]
    if not found:
        return _("No profile has a complete download, so there are no figures.")
    return "\n\n".join(found)


def money_text(found: Mapping[str, Decimal]) -> str:
    """`$61,200 and €432`; empty without an amount."""
    return joined([amount_text(amount, currency) for currency, amount in sorted(found.items()) if amount])


def cost_text(data: dict[str, Any]) -> str:
    """`Cost of the seats: $61,200 per year; 3 seats have no price`; empty without an amount."""
    cost = money_text(amounts(data, "amount"))
    if not cost:
        return ""
    unpriced = sum(int(line["seats"]) for line in data["lines"] if not line["currency"])
    text = _("Cost of the seats: {amount} per year")
    if unpriced:
        text = ngettext(
            "Cost of the seats: {amount} per year; {count} seat has no price",
            "Cost of the seats: {amount} per year; {count} seats have no price",
            unpriced,
        )
    return text.format(amount=cost, count=number(unpriced))


def bought_text(data: dict[str, Any]) -> str:
    """`296 of 350 bought in use`: only of the license types whose number the vendor tells; empty without one."""
    if not data["bought"]:
        return ""
    return _("{count} of {bought} bought in use").format(count=number(data["in_use"]), bought=number(data["bought"]))


def _of_profile(data: dict[str, Any]) -> str:
    bought, saved = bought_text(data), money_text(amounts(data, "saved"))
    lines = [
        profile_name(data),
        _("Seats: {seats}").format(seats=number(total(data, "seats"))) + (f" ({bought})" if bought else ""),
        _("Inactive: {count}").format(count=number(total(data, "inactive"))),
        _("Open candidates: {count}").format(count=number(data["candidates"])),
        _("Reclaimed in the month: {count}").format(count=number(total(data, "reclaimed"))),
        _("Restored in the month: {count}").format(count=number(total(data, "restored"))),
    ]
    if cost := cost_text(data):
        lines.append(cost)
    if saved:
        lines.append(_("Saved in the month: {amount} per year").format(amount=saved))
    lines.append(_oldest(data))
    return "\n".join(lines)


def _oldest(data: dict[str, Any]) -> str:
    if not data["oldest"]:
        return _("No request is open.")
    return _("Oldest open request: since {day}").format(day=day(datetime.fromisoformat(data["oldest"]["since"])))
