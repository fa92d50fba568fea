"""What the embedded mode says when it cannot run."""

from __future__ import annotations


class CannotRunError(Exception):
    """Its text is one sentence for the person at the terminal, with what to do next."""
