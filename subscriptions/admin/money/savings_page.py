"""The page of the savings: the ledger by currency, the months, the departments, and the rows behind a number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from urllib.parse import urlencode

from django.contrib.admin import site
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from integrations.models import IntegrationProfile
from licensehub.ui.csv_file import Moment
from licensehub.ui.export import FORMS, export_response
from licensehub.ui.formatting import day, day_and_time, number
from licensehub.ui.lists.id_filter import is_id
from licensehub.ui.names import joined
from licensehub.ui.time_zones import company_day
from subscriptions.admin.widgets.counts import seats as seats_text
from subscriptions.models import DownloadRun, Price, Reclaim, RemovalCandidate
from subscriptions.money.contracts import next_renewals, organization_word
from subscriptions.money.currencies import amount_text, currencies
from subscriptions.money.savings import STAGES, Cell, Group, Ledger, Line, Stage, years_with_savings
from subscriptions.money.small_groups import departments_for, minimum_for, sees_names

SEES, ADD = "subscriptions.view_price", "subscriptions.add_price"
TITLES = {
    Stage.POTENTIAL: (gettext_lazy("Potential"), gettext_lazy("candidates today"), "person_search"),
    Stage.APPROVED: (gettext_lazy("Approved"), gettext_lazy("not yet reclaimed"), "approval_delegation"),
    Stage.VERIFIED: (gettext_lazy("Verified"), gettext_lazy("read back as inactive"), "verified"),
    Stage.AGAIN: (gettext_lazy("Bought again"), gettext_lazy("within 90 days, or reclaimed once more"), "undo"),
    Stage.SAVED: (gettext_lazy("Saved"), gettext_lazy("verified − bought again"), "savings"),
}
# The page shows at most this many rows behind a number, and departments. The export has all rows.
SHOWN = 12


@dataclass(frozen=True, slots=True)
class Choice:
    """The values in the address of the page. A value that is not valid is left out."""

    profile: IntegrationProfile | None
    year: int
    stage: Stage
    currency: str
    line_profile: int | None
    license: str
    month: int = 0
    department: tuple[str, str] | None = None

    @property
    def rows(self) -> dict[str, Any]:
        """The rows that are chosen, for `Ledger.chosen_rows`."""
        return {
            "currency": self.currency,
            "profile_id": self.line_profile,
            "license": self.license,
            "month": self.month,
            "department": self.department,
        }

    def here(self) -> str:
        """The address of the chosen number."""
        department, center = self.department or (None, None)
        return self.query(month=self.month or None, department=department, center=center)

    def query(self, **changed: Any) -> str:
        """The address of the same page with other values; None leaves one out. Month and department are not kept."""
        values: dict[str, Any] = {
            "profile": self.profile.pk if self.profile else None,
            "year": self.year,
            "stage": self.stage.value,
            "currency": self.currency or "none",
            "of": self.line_profile,
            "license": self.license or None,
        }
        kept = {name: value for name, value in {**values, **changed}.items() if value is not None}
        return f"?{urlencode(kept)}"


def savings_view(request: HttpRequest) -> HttpResponse:
    if not request.user.has_perm(SEES):
        raise PermissionDenied
    profiles, ledger, choice = _read(request)
    groups = ledger.groups()
    if "currency" not in request.GET and groups:
        choice = replace(choice, currency=_first_to_show(groups))
    lines = [line for group in groups for line in group.lines]
    renewals = next_renewals()
    names = sees_names(request.user)
    context = {
        **site.each_context(request),
        "title": _("Savings"),
        "profiles": profiles,
        "choice": choice,
        "links": {profile.pk: choice.query(profile=profile.pk, of=None, license=None) for profile in profiles},
        "all_link": choice.query(profile=None, of=None, license=None),
        "years": [(year, choice.query(year=year)) for year in years_with_savings(ledger.profiles.values())],
        "facts_of": _facts_of(),
        "tiles": [_tile(group) for group in groups if group.currency or group.saved.seats or len(groups) == 1],
        "heads": [TITLES[stage] for stage in (*STAGES, Stage.SAVED)],
        "groups": [_shown_group(group, choice, renewals, several=len(profiles) > 1) for group in groups],
        "has_prices": Price.objects.valid().exists(),
        "may_enter": request.user.has_perm(ADD),
        "chart": month_chart(ledger.by_month(choice.currency), choice) if lines else None,
        "currency_name": _currency_name(choice.currency),
        **_departments_context(ledger, choice, minimum=minimum_for(request.user)),
        "names": names,
        **(_rows_context(ledger, choice) if names else {}),
        "forms": [(label, reverse("admin:subscriptions_savings_export", args=[form])) for form, label in FORMS.items()],
    }
    return TemplateResponse(request, "admin/subscriptions/savings/page.html", context)


def _departments_context(ledger: Ledger, choice: Choice, *, minimum: int) -> dict[str, Any]:
    """`minimum`: departments with fewer seats are added up."""
    departments, small = departments_for(ledger.by_department(choice.currency), ledger.profiles.values(), minimum)
    together = [_shown_together(small, choice)] if small else []
    return {
        "departments": [*(_shown_department(line, choice) for line in departments[:SHOWN]), *together],
        "more_departments": max(0, len(departments) - SHOWN),
    }


def export_view(request: HttpRequest, form: str) -> HttpResponseBase:
    """All rows behind the chosen number. They are people."""
    if not request.user.has_perm(SEES) or not sees_names(request.user):
        raise PermissionDenied
    _profiles, ledger, choice = _read(request)
    rows = list(_found(ledger, choice))
    columns = (
        (_("Person"), lambda row: row[0].subscription.display_name),
        (_("E-mail"), lambda row: row[0].subscription.email),
        (_("Vendor ID"), lambda row: row[0].subscription.external_id),
        (_("Department"), lambda row: row[0].subscription.department),
        (_("Cost center"), lambda row: row[0].subscription.cost_center),
        (_("Profile"), lambda row: row[0].profile.name),
        (_("License type"), lambda row: _license(row[0])),
        (_("Counts as"), lambda row: str(TITLES[row[1]][0])),
        (_("Request"), lambda row: _request_number(row[0])),
        (_("On"), Moment(lambda row: row[0].at)),
        (_("Amount per year"), lambda row: row[2]),
        (_("Currency"), lambda row: choice.currency),
    )
    return export_response(request, form, columns, rows, name=f"savings-{choice.stage}", count=len(rows))


def _read(request: HttpRequest) -> tuple[list[IntegrationProfile], Ledger, Choice]:
    known = list(IntegrationProfile.objects.in_use())
    chosen = next((profile for profile in known if str(profile.pk) == request.GET.get("profile")), None)
    covered = IntegrationProfile.objects.of_organization(chosen) if chosen else IntegrationProfile.objects.all()
    this = company_day().year
    given = request.GET.get("year", "")
    year = int(given) if given.isdecimal() and len(given) == 4 and 2011 <= int(given) <= this else this
    stage = request.GET.get("stage", "")
    currency = request.GET.get("currency", "")
    of, month = request.GET.get("of", ""), request.GET.get("month", "")
    # PostgreSQL takes no text with a NUL.
    license, center = (request.GET.get(name, "").replace("\0", "") for name in ("license", "center"))
    department = request.GET["department"].replace("\0", "") if "department" in request.GET else None
    ledger = Ledger(list(covered), year)
    choice = Choice(
        profile=chosen,
        year=year,
        stage=Stage(stage) if stage in list(Stage) else Stage.VERIFIED,
        currency=currency if currency in currencies() else "",
        line_profile=int(of) if is_id(of) and int(of) in ledger.profiles else None,
        license=license[:40],
        month=int(month) if month in map(str, range(1, 13)) else 0,
        department=(department, center) if department is not None and sees_names(request.user) else None,
    )
    return known, ledger, choice


def _first_to_show(groups: Sequence[Group]) -> str:
    """The currency of the most reclaimed seats, else of the most candidates: a page of zeros would say nothing."""

    def seats(group: Group, stage: Stage) -> int:
        return sum(line.cells[stage].seats for line in group.lines)

    return max(
        groups, key=lambda group: (bool(group.currency), seats(group, Stage.VERIFIED), seats(group, Stage.POTENTIAL))
    ).currency


def _facts_of() -> str:
    run = DownloadRun.objects.with_facts().first()
    return day_and_time(run.finished_at) if run else ""


def _currency_name(currency: str) -> str:
    return currencies().get(currency, _("Without a price"))


def _tile(group: Group) -> dict[str, str]:
    saved = group.saved
    if not group.currency:
        return {"label": _("Saved without a price"), "number": number(saved.seats), "unit": _("seats"), "text": ""}
    name = _currency_name(group.currency)
    return {
        "label": _("Saved ({name})").format(name=name),
        "number": amount_text(saved.amount, group.currency),
        "text": _seats(saved),
    }


def _seats(cell: Cell) -> str:
    return seats_text(cell.seats)


def _shown_group(group: Group, choice: Choice, renewals: dict[str, date], *, several: bool) -> dict[str, Any]:
    found = {renewals.get(organization_word(line.profile)) for line in group.lines} - {None}
    days = [day(moment) for moment in sorted(moment for moment in found if moment)]
    return {
        "until": _("an estimate until the renewal on {days}").format(days=joined(days))
        if days and group.currency
        else "",
        "name": _currency_name(group.currency),
        "currency": group.currency,
        "lines": [_shown_line(line, choice, several=several) for line in group.lines],
    }


def _shown_line(line: Line, choice: Choice, *, several: bool) -> dict[str, Any]:
    price = line.price
    text = (
        _("{amount} per year since {day}").format(
            amount=amount_text(price.yearly, price.currency), day=day(price.valid_from)
        )
        if price
        else ""
    )
    cells = [(stage, line.cells[stage]) for stage in STAGES]
    return {
        "label": f"{line.label}, {line.profile.name}" if several else line.label,
        "price": text,
        "cells": [_shown_cell(stage, cell, line, choice) for stage, cell in (*cells, (Stage.SAVED, line.saved))],
    }


def _shown_cell(stage: Stage, cell: Cell, line: Line, choice: Choice) -> dict[str, Any]:
    here = (stage, line.currency, line.profile.pk, line.license)
    amount = -cell.amount if stage == Stage.AGAIN else cell.amount
    return {
        "title": str(TITLES[stage][0]),
        "amount": amount_text(amount, line.currency) if line.currency else "",
        "seats": _seats(cell),
        "link": choice.query(
            stage=stage.value, currency=line.currency or "none", of=line.profile.pk, license=line.license
        ),
        "is_saved": stage == Stage.SAVED,
        "is_chosen": here == (choice.stage, choice.currency, choice.line_profile, choice.license),
    }


def _shown_department(line: dict[str, Any], choice: Choice) -> dict[str, Any]:
    saved, currency = line["saved"], choice.currency
    place = {"of": None, "license": None, "department": line["department"], "center": line["cost_center"]}
    links = {stage.value: choice.query(stage=stage.value, **place) for stage in _stages_of(Stage.SAVED)}
    return {
        **line,
        "name": line["department"] or _("No department known"),
        "amount": amount_text(saved.amount, currency) if currency else number(saved.seats),
        "links": {**links, "saved": choice.query(stage=Stage.SAVED.value, **place)},
    }


def _shown_together(small: list[dict[str, Any]], choice: Choice) -> dict[str, Any]:
    """Departments and cost centers that are too small to be shown one by one."""
    total = {name: sum((line[name] for line in small), Cell()) for name in ("verified", "again", "saved")}
    shown = _shown_department({"department": "", "cost_center": "", **total}, choice)
    name = ngettext("{count} smaller group", "{count} smaller groups together", len(small))
    return {**shown, "name": name.format(count=number(len(small)))}


def _stages_of(stage: Stage) -> Sequence[Stage]:
    """The stages whose rows are behind a number: for *saved* there are two."""
    return (Stage.VERIFIED, Stage.AGAIN) if stage == Stage.SAVED else (stage,)


def _found(ledger: Ledger, choice: Choice, *, most: int | None = None) -> Iterator[tuple[Any, Stage, Any]]:
    """(row, stage, yearly amount or None) behind the chosen number, the newest first. Bought again is negative."""
    for stage in _stages_of(choice.stage):
        rows = ledger.chosen_rows(stage, **choice.rows)
        related = ["subscription", "profile"]
        if stage in (Stage.VERIFIED, Stage.AGAIN):
            related += ["removal__request"]
        rows = rows.select_related(*related).order_by("-at", "-pk")
        for row in rows[:most] if most else rows.iterator(chunk_size=2000):
            price = ledger.prices.by_id.get(row.price)
            amount = (-price.yearly if stage == Stage.AGAIN else price.yearly) if price else None
            yield row, stage, amount


def _rows_context(ledger: Ledger, choice: Choice) -> dict[str, Any]:
    seats, rows, total = 0, 0, Cell()
    for stage in _stages_of(choice.stage):
        sign = -1 if choice.stage == Stage.SAVED and stage == Stage.AGAIN else 1
        cell = ledger.sum_of(ledger.chosen_rows(stage, **choice.rows))
        seats += sign * cell.seats
        rows += cell.seats
        total.amount += sign * cell.amount
    found = sorted(_found(ledger, choice, most=SHOWN), key=lambda row: row[0].at, reverse=True)
    shown = found[:SHOWN]
    amount = -total.amount if choice.stage == Stage.AGAIN else total.amount
    return {
        "rows_title": str(TITLES[choice.stage][0]),
        "rows_seats": seats_text(seats),
        "rows_sum": amount_text(amount, choice.currency) if choice.currency else "",
        "rows": [_shown_row(row, stage, amount, choice.currency) for row, stage, amount in shown],
        "rows_left": rows - len(shown),
        "rows_query": choice.here(),
        "rows_of": _rows_of(choice),
    }


def _rows_of(choice: Choice) -> str:
    """`March, Design 2210`: what the rows were chosen by, besides the license."""
    parts = [date_format(date(2000, choice.month, 1), "F")] if choice.month else []
    if choice.department is not None:
        name, center = choice.department
        parts.append(" ".join(filter(None, (name or _("no department known"), center))))
    return ", ".join(parts)


def _shown_row(row: RemovalCandidate | Reclaim, stage: Stage, amount: Any, currency: str) -> dict[str, str]:
    name = "removalcandidate" if isinstance(row, RemovalCandidate) else "reclaim"
    return {
        "name": row.subscription.display_name,
        "text": _what_happened(row, stage),
        "amount": amount_text(amount, currency) if amount is not None else "",
        "link": reverse(f"admin:subscriptions_{name}_change", args=[row.pk]),
    }


def _what_happened(row: RemovalCandidate | Reclaim, stage: Stage) -> str:
    if isinstance(row, RemovalCandidate):
        return _("Candidate since {day}").format(day=day(row.created_at))
    request = _request_number(row)
    if stage != Stage.AGAIN or row.back_at is None or row.finished_at is None:
        return _("{request}, verified {day}").format(request=request, day=day(row.finished_at))
    days = (row.back_at - row.finished_at).days
    return ngettext(
        "{request}, held again {day} after {days} day", "{request}, held again {day} after {days} days", days
    ).format(request=request, day=day(row.back_at), days=number(days))


def _request_number(row: RemovalCandidate | Reclaim) -> str:
    return row.removal.request.number if isinstance(row, Reclaim) else ""


def _license(row: RemovalCandidate | Reclaim) -> str:
    license = row.license or ""
    return row.profile.connector.licenses.get(license, license)


# --- The chart --------------------------------------------------------------------------------------------------------

PITCH, WIDTH, TOP, AXIS, BOTTOM = 25, 17, 24, 130, 46


def month_chart(months: list[dict[str, Any]], choice: Choice) -> dict[str, Any]:
    """Bars above the axis for verified seats, and below it for those bought again; `rows` are those of the table."""
    tallest = max([1, *(month["verified"] for month in months)])
    deepest = max([1, *(month["again"] for month in months)])
    bars = []
    for n, month in enumerate(months):
        up = round((AXIS - TOP) * month["verified"] / tallest, 1)
        down = round(min(BOTTOM - 14, (AXIS - TOP) * month["again"] / tallest, 32 * month["again"] / deepest), 1)
        x = 8 + n * PITCH
        place = {"of": None, "license": None, "month": n + 1}
        links = {stage.value: choice.query(stage=stage.value, **place) for stage in _stages_of(Stage.SAVED)}
        bars.append({**month, "links": links, "x": x, "middle": x + WIDTH / 2, "y": AXIS - up, "up": up, "down": down})
    return {"bars": bars, "width": 8 + len(months) * PITCH, "height": AXIS + BOTTOM + 20, "axis": AXIS, "bar": WIDTH}
