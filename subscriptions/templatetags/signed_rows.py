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
    return {"findings": findings_about(row) if isinstance(row, Model) and row.pk else []}
