"""Numbers with their noun: `1 seat`, `1,204 people`."""

from __future__ import annotations

from django.utils.translation import ngettext


def seats(count: int) -> str:
    return f"{count:,} {ngettext('seat', 'seats', count)}"


def people(count: int) -> str:
    return f"{count:,} {ngettext('person', 'people', count)}"
