"""The texts about the vendor on pages that belong to no single profile."""

from __future__ import annotations

from django import template

from integrations.connectors import registry
from integrations.connectors.contract import Texts

register = template.Library()


@register.simple_tag
def vendor_texts() -> Texts:
    """`{% vendor_texts as texts %}`: a page about one profile uses `profile.texts` instead."""
    return registry.vendor_texts()
