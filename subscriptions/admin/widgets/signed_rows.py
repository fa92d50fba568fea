"""The mark of rows that were changed outside of LicenseHub, in the first column of a list."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from licensehub.translations.stored import translated
from subscriptions.evidence.rows.comparison import differences
from subscriptions.evidence.rows.signed_table import SignedTable

if TYPE_CHECKING:
    from unfold.admin import ModelAdmin as Admin
else:
    Admin = object


class SignedRowsMixin(Admin):
    """For a list: the rows of each page are compared with the audit, with one query. The first column is `marked`."""

    signed_table: SignedTable

    def fill_cells(self, rows: Iterable[Any], names: Iterable[str]) -> None:
        shown = list(rows)
        super().fill_cells(shown, names)
        found = differences(self.signed_table, shown)
        for row in shown:
            row.changed_outside = [translated(finding.sentence) for finding in found.get(row.pk, ())]


def marked(row: Any, cell: SafeString) -> SafeString:
    """The cell, with a mark if the row was changed outside of LicenseHub."""
    sentences = getattr(row, "changed_outside", ())
    if not sentences:
        return cell
    return format_html(
        '{} <span class="lh-badge lh-error" title="{}"><span class="material-symbols-outlined" aria-hidden="true">'
        'gpp_bad</span>{}<span class="lh-hidden"> {}</span></span>',
        cell,
        " ".join(sentences),
        _("Changed outside"),
        " ".join(sentences),
    )
