"""kombu's transport for Redis, which signs each message, and drops what is not signed, is old or cannot be read.

kombu reads a message before it calls anything that could catch an error, so one message that is no JSON would end the
worker. Here such a message is taken out of the queue, counted and reported.
"""

from __future__ import annotations

from queue import Empty
from typing import Any

from kombu.transport import virtual
from kombu.transport.redis import Channel, QoS, Transport

from licensehub.broker.dropped import note
from licensehub.broker.signatures import signed, why_dropped


class SignedQoS(QoS):
    """Brings back what was delivered and not acknowledged. What cannot be read is removed, and holds up nothing."""

    channel: Any

    def ack(self, delivery_tag: str) -> None:
        """Acknowledge a message. If the broker cannot be reached, it delivers the message once more, later.

        The message counts as ended here in any case. kombu would count it as under way for ever, and a worker that has
        as many messages as it may take asks for no other one: it would be connected, and do nothing.
        """
        try:
            super().ack(delivery_tag)
        finally:
            virtual.QoS.ack(self, delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Reject a message. It counts as ended here in any case, as for `ack`."""
        try:
            super().reject(delivery_tag, requeue=requeue)
        finally:
            virtual.QoS.ack(self, delivery_tag)

    def restore_by_tag(self, tag: str, client: Any = None, leftmost: bool = False) -> None:
        try:
            super().restore_by_tag(tag, client=client, leftmost=leftmost)
        except Exception as error:
            if isinstance(error, self.channel.connection_errors):
                raise
            note("unreadable")
            with self.channel.conn_or_acquire(client) as redis, redis.pipeline() as pipe:
                self._remove_from_indices(tag, pipe).execute()  # type: ignore[attr-defined]  # of kombu


class SignedChannel(Channel):
    """One channel. kombu's types know the methods of no channel of Redis.

    Nobody can list what the JSON library raises for hostile bytes, so each error is caught that is not Redis's own.
    """

    QoS = SignedQoS
    connection: SignedTransport
    connection_errors: tuple[type[Exception], ...]

    def _put(self, queue: str, message: dict[str, Any], **kwargs: Any) -> None:
        super()._put(queue, signed(message), **kwargs)

    def _put_fanout(self, exchange: str, message: dict[str, Any], routing_key: str, **kwargs: Any) -> None:
        super()._put_fanout(exchange, signed(message), routing_key, **kwargs)  # type: ignore[misc]  # of kombu

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        try:
            message = super()._get(queue)
        except Exception as error:
            if self._is_of_redis(error):
                raise
            note("unreadable")
            raise Empty from error
        if why := why_dropped(message):
            note(why)
            raise Empty
        return message

    def _brpop_read(self, **options: Any) -> Any:
        self.connection.delivering = False
        try:
            return super()._brpop_read(**options)  # type: ignore[misc]  # of kombu
        except Exception as error:
            if self.connection.delivering or self._is_of_redis(error):
                raise
            note("unreadable")
            return True

    def _is_of_redis(self, error: Exception) -> bool:
        """Whether the queue is empty, or Redis is away."""
        return isinstance(error, (Empty, OSError, *self.connection_errors))

    def _do_restore_message(self, payload: Any, *args: Any, **kwargs: Any) -> None:
        """A message that was delivered and not acknowledged. Nobody may bring one in here either."""
        if why := why_dropped(payload):
            note(why)
        else:
            super()._do_restore_message(payload, *args, **kwargs)  # type: ignore[misc]  # of kombu


class SignedTransport(Transport):
    Channel = SignedChannel
    delivering = False

    def _deliver(self, message: Any, queue: str | None) -> None:
        if why := why_dropped(message):
            note(why)
            return
        self.delivering = True
        super()._deliver(message, queue)
