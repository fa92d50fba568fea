"""The errors that a connector raises. Their kind decides what LicenseHub does next."""

from __future__ import annotations


class ConnectorError(Exception):
    """Something that the vendor, or the way to it, answered. The text is one or two sentences for a company admin."""

    def __init__(self, message: str, *, status: int | None = None, code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code


class ConfigError(ConnectorError):
    """A human must act before anything can go on: a dead token, a missing scope, the wrong organization."""

    def __init__(self, message: str, *, slot: str = "", status: int | None = None, code: str = "") -> None:
        super().__init__(message, status=status, code=code)
        self.slot = slot


class PermanentError(ConnectorError):
    """Never for this person: the vendor refuses, and would refuse again."""


class TransientError(ConnectorError):
    """Later: nothing was done. `retry_after` is in seconds."""

    def __init__(self, message: str, *, retry_after: float = 0.0, status: int | None = None, code: str = "") -> None:
        super().__init__(message, status=status, code=code)
        self.retry_after = retry_after


class OutcomeUnknown(ConnectorError):
    """A write was sent and its answer is lost: it may have been done. Read before anything else."""


class BadAnswer(ConnectorError):
    """An answer that cannot be trusted as a whole: looping cursor, member without id, another organization."""


class NotGranted(ConnectorError):
    """An optional thing that this connection's scopes do not allow: shown as not checked, never an error."""
