"""Texts of other machines, which people read on pages and in logs."""

from __future__ import annotations


def one_line(text: str) -> str:
    """The text on one line, without characters that are not printed. PostgreSQL stores no NUL and no half surrogate."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
