"""The errors that a connector raises. Their kind decides what LicenseHub does next."""

from __future__ import annotations


class ConnectorError(Exception):
    """A call failed, at the vendor or on the way to it. The text is one or two sentences for a company admin."""

    def __init__(self, message: str, *, status: int | None = None, code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code


class ConfigError(ConnectorError):
    """A human must act first: a dead token, a missing scope, the wrong organization."""

    def __init__(self, message: str, *, slot: str = "", status: int | None = None, code: str = "") -> None:
        super().__init__(message, status=status, code=code)
        self.slot = slot


class PermanentError(ConnectorError):
    """The vendor refuses this for this person, and would refuse again."""


class TransientError(ConnectorError):
    """Nothing was done; a later try may succeed. `retry_after` is in seconds."""

    def __init__(self, message: str, *, retry_after: float = 0.0, status: int | None = None, code: str = "") -> None:
        super().__init__(message, status=status, code=code)
        self.retry_after = retry_after


class OutcomeUnknown(ConnectorError):
    """A write was sent and its answer is lost: it may have been carried out. Read the state before any other call."""


class BadAnswer(ConnectorError):
    """An answer that cannot be trusted as a whole: looping cursor, member without id, another organization."""


class NotGranted(ConnectorError):
    """An optional call that the scopes of this connection do not allow. Shown as not checked, never as an error."""
