"""The bar above each page of a row that was changed outside of LicenseHub."""

from __future__ import annotations

from typing import Any

from django import template
from django.db.models import Model
from django.template import RequestContext

from subscriptions.evidence.rows.comparison import findings_about

register = template.Library()


@register.inclusion_tag("admin/changed_outside.html", takes_context=True)
def changed_outside(context: RequestContext) -> dict[str, Any]:
    """Empty on a page that is not about one row, and for rows as LicenseHub wrote them."""
    row = context.get("original") or context.get("control")
    if not isinstance(row, Model) or not row.pk:
        return {"findings": []}
    if context["request"].method == "POST":
        # A form with errors has written what was entered into the row, and has stored nothing.
        row = type(row)._base_manager.get(pk=row.pk)
    return {"findings": findings_about(row)}
