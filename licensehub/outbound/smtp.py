"""Mail by SMTP where each answer of the server ends, in time and in size.

`smtplib` limits each wait for bytes, but neither the sum of the waits nor the lines of an answer: a server that sends a
line every few seconds would hold a worker for ever, and a fast one would fill its memory.
"""

from __future__ import annotations

import smtplib
import socket
from io import BufferedReader
from typing import Any, Final

from django.core.mail.backends import smtp

from licensehub.outbound.connecting import connect
from licensehub.outbound.deadlines import Deadline

MAX_LINES: Final = 200  # of one answer


class _Lines:
    """The lines of the server. `left` of them are read."""

    def __init__(self, file: BufferedReader) -> None:
        self._file = file
        self.left = 0

    def readline(self, most: int) -> bytes:
        self.left -= 1
        if self.left < 0:
            raise OSError("The answer has too many lines.")
        line = self._file.readline(most)
        if line and not line.endswith(b"\n"):
            # "250" of "250 ok" would count as an answer, and a mail as taken.
            raise OSError("The answer is cut off.")
        return line

    def close(self) -> None:
        self._file.close()


class Smtp(smtplib.SMTP):
    def connect(self, *args: Any, **kwargs: Any) -> tuple[int, bytes]:
        """The connection, TLS if it begins with that, and the first answer."""
        with Deadline(self.timeout):
            return super().connect(*args, **kwargs)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return connect(host, port, seconds=timeout)

    def starttls(self, *args: Any, **kwargs: Any) -> tuple[int, bytes]:
        try:
            with Deadline(self.timeout) as deadline:
                deadline.watch_connecting(self._connection())
                return super().starttls(*args, **kwargs)
        except OSError:  # also those of `smtplib` and of TLS
            self.close()
            raise

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None:
            self.file = _Lines(self._connection().makefile("rb"))
        self.file.left = MAX_LINES
        with Deadline(self.timeout) as deadline:
            deadline.watch_connecting(self._connection())
            return super().getreply()

    def _connection(self) -> socket.socket:
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("There is no connection.")
        return self.sock


class TlsSmtp(smtplib.SMTP_SSL, Smtp):
    """TLS from the first byte on."""


class EmailBackend(smtp.EmailBackend):
    @property
    def connection_class(self) -> type[Smtp]:
        return TlsSmtp if self.use_ssl else Smtp
