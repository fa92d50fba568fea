"""The line on every admin page of a reader whose roles hold for some profiles only."""

from __future__ import annotations

from typing import Any

from django import template
from django.template import RequestContext

from integrations.scopes.account_scopes import names_in_scope

register = template.Library()


@register.inclusion_tag("admin/profiles_banner.html", takes_context=True)
def profiles_banner(context: RequestContext) -> dict[str, Any]:
    """Empty for everybody else."""
    return {"profiles": profiles_of_reader(context)}


@register.simple_tag(takes_context=True)
def profiles_of_reader(context: RequestContext) -> str:
    """The names of the profiles for which the roles of the reader hold; empty for all."""
    request = context.get("request")
    return ", ".join(names_in_scope(request.user)) if request else ""
