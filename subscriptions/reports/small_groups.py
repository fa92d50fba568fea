"""The lines of a report for readers who may see no names: see `money.small_groups`."""

from __future__ import annotations

from typing import Any

from subscriptions.money.small_groups import apart_and_together
from subscriptions.reports.figures import amounts

COUNTS = ("seats", "inactive", "reclaimed", "again", "restored")


def with_groups_together(data: dict[str, Any], minimum: int) -> dict[str, Any]:
    """The figures of a profile, with its small departments and cost centers in one line at the end.

    That line is `together`. It has `groups`, how many they are, and `amounts` and `savings` by currency.
    """
    shown, small = apart_and_together(data["lines"], lambda line: int(line["seats"]), minimum)
    if not small:
        return data
    of_small = {"lines": small}
    together = {
        **{name: sum(int(line[name]) for line in small) for name in COUNTS},
        "department": "",
        "cost_center": "",
        "currency": "",
        "amount": "0",
        "saved": "0",
        "groups": len(small),
        "amounts": {currency: str(amount) for currency, amount in amounts(of_small, "amount").items()},
        "savings": {currency: str(amount) for currency, amount in amounts(of_small, "saved").items()},
    }
    # The sums of the page are those of all lines.
    return {**data, "lines": shown, "together": together}


def rows_of_file(data: dict[str, Any]) -> list[dict[str, Any]]:
    """The lines for a file. The groups that are put together have one row, and one for each further currency."""
    together = data.get("together")
    if not together:
        return list(data["lines"])
    amounts_of, savings_of = together["amounts"], together["savings"]
    currencies = sorted({*amounts_of, *savings_of})
    rows = [{**together, **_money(together, currencies[0])} if currencies else together]
    words = {name: together[name] for name in ("department", "cost_center", "groups")}
    rows += [{**dict.fromkeys(COUNTS, 0), **words, **_money(together, one)} for one in currencies[1:]]
    return [*data["lines"], *rows]


def _money(together: dict[str, Any], currency: str) -> dict[str, str]:
    amount, saved = together["amounts"].get(currency, "0"), together["savings"].get(currency, "0")
    return {"currency": currency, "amount": amount, "saved": saved}
