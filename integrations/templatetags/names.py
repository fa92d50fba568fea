"""`{{ user|name_of }}` and `{% for event in events|named %}`: people by their name, see `licensehub.ui.names`."""

from __future__ import annotations

from django import template

from licensehub.ui.formatting import name_of
from licensehub.ui.names import named

register = template.Library()
register.filter("name_of", name_of)
register.filter("named", named)
