"""The lines of the log: as text for people, or as JSON for a machine. No secret stands in either.

Whatever a library writes comes here as well, with its tracebacks. So the finished line is searched: for the secrets of
the settings, and for what looks like a token, a password or a link that works without a login.
"""

from __future__ import annotations

import logging
import re
from typing import Any, Final

import structlog
from structlog.typing import EventDict, Processor

from licensehub.logs.filters import LINK
from licensehub.logs.known_secrets import MASK, without_secrets

# Each keeps what stands before the secret.
LOOKS_SECRET: Final = (
    re.compile(r"(\b(?:bearer|basic)\s+)[\w.~+/=-]{8,}", re.IGNORECASE),
    re.compile(
        r"((?:access_token|refresh_token|id_token|client_secret|password|passwd|secret|token|authorization)"
        r"\\?[\"']?\s*[=:]\s*\\?[\"']?)[^\s\"'&,;}\\]{6,}",
        re.IGNORECASE,
    ),
    re.compile(r"([?&](?:code|state)=)[^\s\"'&]{6,}"),
    # A token of the REST API, e.g. one that a program writes into an address.
    re.compile(r"(\blh_[a-z0-9]{12}_)[\w-]{20,}"),
    re.compile(r"(://[^\s:/@\"']*:)[^\s/@\"']+(?=@)"),
)
LEFT_OUT: Final = ("in_request",)


def without_any_secret(text: str) -> str:
    """The line with *** in place of everything that is secret, or looks like it."""
    text = LINK.sub(lambda found: f"{found[1] or found[2]}{MASK}", without_secrets(text))
    for pattern in LOOKS_SECRET:
        text = pattern.sub(rf"\1{MASK}", text)
    return text


class TextFormatter(logging.Formatter):
    """One line for people."""

    def format(self, record: logging.LogRecord) -> str:
        return without_any_secret(super().format(record))


def _scrub(logger: Any, name: str, event: EventDict) -> EventDict:
    """Replace secrets before the event becomes JSON, since a quotation mark in a secret looks different there."""
    return {key: without_any_secret(value) if isinstance(value, str) else value for key, value in event.items()}


def _leave_out(logger: Any, name: str, event: EventDict) -> EventDict:
    for key in LEFT_OUT:
        event.pop(key, None)
    return event


PROCESSORS: Final[tuple[Processor, ...]] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.ExtraAdder(allow=("method", "path", "status", "milliseconds", "action", "events", "correlation")),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.format_exc_info,
    _leave_out,
    _scrub,
)


class JsonFormatter(structlog.stdlib.ProcessorFormatter):
    """One object of JSON for each line: timestamp, level, logger, event, and the ids of `log_context`."""

    def __init__(self) -> None:
        super().__init__(
            processors=[
                self.remove_processors_meta,
                structlog.processors.JSONRenderer(default=str),
            ],
            foreign_pre_chain=PROCESSORS,
        )

    def format(self, record: logging.LogRecord) -> str:
        return without_any_secret(super().format(record))
