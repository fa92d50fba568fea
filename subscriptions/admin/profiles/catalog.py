"""The catalog of connectors: where a new profile begins."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.admin import site
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from integrations.connectors.contract import Connector
from integrations.connectors.registry import connector_class
from licensehub.ui.lists.folding import contains_words, folded

TEMPLATE = "admin/integrations/integrationprofile/catalog.html"


def found_connectors(query: str) -> list[type[Connector]]:
    """The connectors whose name or description contains every word of the query, in any case."""
    wanted = folded(query).split()
    known = [connector_class(kind) for kind in settings.CONNECTORS]
    return [one for one in known if contains_words(wanted, one.label, one.description)]


def catalog_page(request: HttpRequest) -> HttpResponse:
    query = request.GET.get("q", "").strip()
    context: dict[str, Any] = {
        **site.each_context(request),
        "title": _("New integration profile"),
        "query": query,
        # Dicts, because a template would call a class.
        "connectors": [
            {"kind": found.kind, "label": found.label, "description": found.description, "slots": found.slots}
            for found in found_connectors(query)
        ],
    }
    return TemplateResponse(request, TEMPLATE, context)
