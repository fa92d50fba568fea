"""The error of the embedded mode."""

from __future__ import annotations


class CannotRunError(Exception):
    """Its text is one sentence for the person at the terminal, with the next step."""
