"""`{{ run.problem|translated }}`: a stored English sentence in the language of the reader."""

from __future__ import annotations

from django import template

from licensehub.translations.stored import translated

register = template.Library()
register.filter("translated", translated)
