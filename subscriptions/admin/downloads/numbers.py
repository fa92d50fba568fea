"""The numbers of a download run. Those of people whom it wrote open these people."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from licensehub.ui.formatting import EMPTY, number
from subscriptions.admin.subscriptions.filters import RunFilter
from subscriptions.downloads.rows_of_run import Part, RowsOfRun
from subscriptions.models import DownloadRun


@dataclass(frozen=True, slots=True)
class Tile:
    """One number. `link` is empty where it has no rows, or none that are kept."""

    label: str
    number: str
    text: str
    link: str = ""


def tiles_of(run: DownloadRun, *, with_links: bool) -> list[Tile]:
    pages = ngettext("{} page", "{} pages", run.pages).format(number(run.pages))
    calls = ngettext("{shown} request", "{shown} requests", run.requests).format(shown=number(run.requests))
    unchanged = number(run.unchanged) if run.has_facts else EMPTY
    parts = {
        Part.NEW: (_("New"), _("not known before")),
        Part.CHANGED: (_("Changed"), _("activity, license or role")),
        Part.GONE: (_("Gone"), _("left the organization")),
    }
    return [
        Tile(_("Read"), number(run.read), f"{pages}, {calls}"),
        *(_tile(RowsOfRun(run, part), *words, with_links) for part, words in parts.items()),
        Tile(_("Unchanged"), unchanged, _("no change")),
    ]


def _tile(rows: RowsOfRun, label: str, text: str, with_links: bool) -> Tile:
    if not rows.run.has_facts:
        return Tile(label, EMPTY, text)
    shown = Tile(label, number(rows.number), text)
    if not (with_links and rows.number and rows.are_kept):
        return shown
    people = reverse("admin:subscriptions_subscription_changelist")
    return Tile(label, shown.number, text, f"{people}?{urlencode({RunFilter.parameter_name: rows.value})}")


def what_is_kept(run: DownloadRun) -> str:
    """The sentence below the numbers that says which of them open no list of people; empty without facts."""
    if not run.has_facts:
        return ""
    if run.thinned:
        return _(
            "Older changes are kept by month, or not at all. So who changed or left with this download is not known."
        )
    return _(
        "A download stores only what is new to it. So there is no list of the people whom it read without a change."
    )
