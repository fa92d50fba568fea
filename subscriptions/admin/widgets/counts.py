"""Numbers with their noun: `1 seat`, `1,204 people`."""

from __future__ import annotations

from django.utils.translation import ngettext


def seats(count: int) -> str:
    return ngettext("{:,} seat", "{:,} seats", count).format(count)


def people(count: int) -> str:
    return ngettext("{:,} person", "{:,} people", count).format(count)
