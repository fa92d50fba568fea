"""Name the code that runs, at the foot of each page of a person who is signed in."""

from __future__ import annotations

from django import template

from licensehub.build import version

register = template.Library()


@register.simple_tag
def build() -> str:
    """E.g. `LicenseHub 0.1.0+1f2e3d4c`: the name of the product, in each language."""
    return f"LicenseHub {version()}"
