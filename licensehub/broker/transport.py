"""kombu's transport for Redis, which signs each message, and drops what is not signed or cannot be read.

kombu reads a message before it calls anything that could catch an error, so one message that is no JSON would end the
worker. Here such a message is taken out of the queue, counted and reported.
"""

from __future__ import annotations

from queue import Empty
from typing import Any

from kombu.transport.redis import Channel, Transport

from licensehub.broker.dropped import note
from licensehub.broker.signatures import is_signed, signed

# What kombu and the JSON library raise for bytes that are no message.
UNREADABLE = (ValueError, TypeError, RecursionError, AttributeError)


class SignedChannel(Channel):
    """One channel. kombu's types know the methods of no channel of Redis."""

    connection: SignedTransport

    def _put(self, queue: str, message: dict[str, Any], **kwargs: Any) -> None:
        super()._put(queue, signed(message), **kwargs)

    def _put_fanout(self, exchange: str, message: dict[str, Any], routing_key: str, **kwargs: Any) -> None:
        super()._put_fanout(exchange, signed(message), routing_key, **kwargs)  # type: ignore[misc]

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        try:
            message = super()._get(queue)
        except UNREADABLE as error:
            note("unreadable")
            raise Empty from error
        if not is_signed(message):
            note("unsigned")
            raise Empty
        return message

    def _brpop_read(self, **options: Any) -> Any:
        self.connection.delivering = False
        try:
            return super()._brpop_read(**options)  # type: ignore[misc]
        except UNREADABLE:
            if self.connection.delivering:
                raise
            note("unreadable")
            return True

    def _do_restore_message(self, payload: Any, *args: Any, **kwargs: Any) -> None:
        """A message that was delivered and not acknowledged. Nobody may bring one in here either."""
        if is_signed(payload):
            super()._do_restore_message(payload, *args, **kwargs)  # type: ignore[misc]
        else:
            note("unsigned")


class SignedTransport(Transport):
    Channel = SignedChannel
    delivering = False

    def _deliver(self, message: Any, queue: str | None) -> None:
        if not is_signed(message):
            note("unsigned")
            return
        self.delivering = True
        super()._deliver(message, queue)
