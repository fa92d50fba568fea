"""The figures of a profile as the page shows them: each number with the address of its rows."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.models import AnonymousUser, User
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from licensehub.ui.formatting import EMPTY, day, number
from subscriptions.models import ReclaimRequest
from subscriptions.money.small_groups import minimum_for, sees_names
from subscriptions.reports.figures import amounts, total
from subscriptions.reports.small_groups import with_groups_together
from subscriptions.reports.texts import bought_text, cost_text, money_text, profile_name

# The page shows at most this many departments and cost centers. The file has all.
SHOWN = 500
COUNTS = ("seats", "inactive", "reclaimed", "restored")


def shown_profile(data: dict[str, Any], month: date, user: User | AnonymousUser) -> dict[str, Any]:
    """The figures of a profile. A figure has a link only if the rows behind it do not change after the month, and if
    the reader may see the people.
    """
    everything, data = data, with_groups_together(data, minimum_for(user))
    names = sees_names(user)
    currencies = {line["currency"] for line in everything["lines"] if line["reclaimed"]}
    saved = _savings(data, month, *currencies) if names and len(currencies) == 1 else ""
    places = Counter(map(_place, data["lines"]))
    cost, money = money_text(amounts(everything, "amount")), money_text(amounts(everything, "saved"))
    tiles = [
        _tile(_("Seats"), total(everything, "seats"), bought_text(data)),
        _tile(_("Inactive"), total(everything, "inactive")),
        _tile(_("Open candidates"), data["candidates"]),
        _tile(_("Reclaimed"), total(everything, "reclaimed"), _again(everything), saved and f"{saved}&stage=verified"),
        _tile(_("Restored"), total(everything, "restored")),
        {**_tile(_("Saved"), 0, _("per year"), saved and f"{saved}&stage=saved"), "number": money or EMPTY},
        _oldest(data),
    ]
    return {
        "name": profile_name(data),
        "cost": cost_text(everything),
        "tiles": tiles,
        "lines": [
            *(
                {**_shown_line(data, line, month, names=names), "note": _note(line) if places[_place(line)] > 1 else ""}
                for line in data["lines"][:SHOWN]
            ),
            *([_shown_together(data["together"])] if "together" in data else []),
        ],
        "more": number(len(data["lines"]) - SHOWN) if len(data["lines"]) > SHOWN else "",
        "sums": {name: number(total(everything, name)) for name in COUNTS},
        "amount": cost,
        "saved": money,
    }


def _place(line: dict[str, Any]) -> tuple[str, str]:
    return line["department"], line["cost_center"]


def _note(line: dict[str, Any]) -> str:
    """The difference between the lines of one place: one for each currency, and one for seats without a price."""
    return line["currency"] or _("license types without a price")


def _tile(label: str, count: int, text: str = "", link: str = "") -> dict[str, str]:
    return {"label": label, "number": number(count), "text": text, "link": link}


def _again(data: dict[str, Any]) -> str:
    count = total(data, "again")
    return _("{count} bought again").format(count=number(count)) if count else ""


def _oldest(data: dict[str, Any]) -> dict[str, str]:
    label = _("Oldest open request")
    if not data["oldest"]:
        return {"label": label, "number": EMPTY, "text": _("none is open"), "link": ""}
    pk = data["oldest"]["pk"]
    return {
        "label": label,
        "number": day(datetime.fromisoformat(data["oldest"]["since"])),
        "text": ReclaimRequest(pk=pk).number,
        "link": reverse("admin:subscriptions_reclaimrequest_change", args=[pk]),
    }


def _shown_together(line: dict[str, Any]) -> dict[str, Any]:
    """Departments and cost centers that are too small to be shown one by one."""
    name = ngettext("{count} smaller group", "{count} smaller groups together", line["groups"])
    money = {key: {one: Decimal(amount) for one, amount in line[key].items()} for key in ("amounts", "savings")}
    return {
        **{key: number(line[key]) if line[key] else EMPTY for key in COUNTS},
        "department": name.format(count=number(line["groups"])),
        "cost_center": "",
        "amount": money_text(money["amounts"]) or EMPTY,
        "saved": money_text(money["savings"]) or EMPTY,
        "link": "",
    }


def _shown_line(data: dict[str, Any], line: dict[str, Any], month: date, *, names: bool) -> dict[str, Any]:
    place = {"department": line["department"], "center": line["cost_center"]}
    saved = _savings(data, month, line["currency"], **place)
    shown = {name: number(line[name]) if line[name] else EMPTY for name in COUNTS}
    currency = line["currency"]
    return {
        **shown,
        "department": line["department"] or _("No department known"),
        "cost_center": line["cost_center"],
        # Seats of a type without a price have a line of their own.
        "amount": money_text({currency: Decimal(line["amount"])}) or EMPTY if currency else _("no price"),
        "saved": money_text({currency: Decimal(line["saved"])}) or EMPTY if currency else EMPTY,
        "link": f"{saved}&stage=verified" if names and line["reclaimed"] else "",
    }


def _savings(data: dict[str, Any], month: date, currency: str, **place: str) -> str:
    """The address of the rows behind an amount of the savings, in this month."""
    query = {"of": data["profile"], "year": month.year, "month": month.month, "currency": currency or "none"}
    return f"{reverse('admin:subscriptions_savings')}?{urlencode({**query, **place})}"
