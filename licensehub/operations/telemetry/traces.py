"""Traces by OpenTelemetry, sent by OTLP over HTTP: off without OTEL_EXPORTER_OTLP_ENDPOINT.

A span for each request and each task, with the ids of `log_context`, and nothing that a person typed: no path with its
values but the route, no query, no header. A message carries the trace on to the worker.
https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ has more variables.
"""

from __future__ import annotations

import atexit
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Thread
from typing import Any, Final

from django.conf import settings
from structlog.contextvars import get_contextvars

from licensehub.build import version
from licensehub.operations.telemetry.scrubbing import scrubbed
from licensehub.outbound.sessions import BoundedSession

log = logging.getLogger(__name__)

SECONDS: Final = 10.0  # for one whole exchange; a thread of its own waits
EXIT_SECONDS: Final = 3.0
MAX_ANSWER: Final = 64 * 1024  # bytes


class _Started:
    tracer: Any = None


def start(exporter: Any = None) -> bool:
    """Called once in each process. Returns whether traces are sent. A test gives an exporter that keeps them."""
    if not (settings.OTEL_ENDPOINT or exporter):
        return False
    try:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
    except ImportError:
        log.error("OTEL_EXPORTER_OTLP_ENDPOINT is set, but opentelemetry-sdk is not installed, so nothing is traced.")
        return False
    named = {"service.name": "licensehub", "service.version": version()}
    provider = TracerProvider(resource=Resource.create(named), shutdown_on_exit=False)
    if exporter:
        provider.add_span_processor(SimpleSpanProcessor(exporter))
    else:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        session = BoundedSession({"User-Agent": "LicenseHub"}, seconds=SECONDS, longest=MAX_ANSWER)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(session=session)))
        # The provider's own end waits for half a minute, so a server that hangs would hold each process that stops.
        atexit.register(_end, provider)
    _Started.tracer = provider.get_tracer("licensehub")
    return True


def _end(provider: Any) -> None:
    """Send what is left, for `EXIT_SECONDS` at most."""
    last = Thread(target=provider.shutdown, daemon=True)
    last.start()
    last.join(EXIT_SECONDS)


def stop() -> None:
    _Started.tracer = None


@contextmanager
def span(name: str, carried: Mapping[str, str] | None = None) -> Iterator[dict[str, Any]]:
    """A span around the `with` block. What the block puts into the dict becomes attributes."""
    facts: dict[str, Any] = {}
    if _Started.tracer is None:
        yield facts
        return
    from opentelemetry.trace import StatusCode
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    parent = TraceContextTextMapPropagator().extract(carried or {})
    # The text of an error may hold anything, so only its kind is sent.
    with _Started.tracer.start_as_current_span(
        name, context=parent if carried else None, record_exception=False, set_status_on_exception=False
    ) as current:
        try:
            yield facts
        except BaseException as error:
            current.set_status(StatusCode.ERROR, type(error).__name__)
            raise
        finally:
            ids = {key: value for key, value in get_contextvars().items() if key != "in_request"}
            current.update_name(facts.pop("name", name))
            current.set_attributes({f"licensehub.{key}": scrubbed(value) for key, value in {**ids, **facts}.items()})


def to_carry() -> dict[str, str]:
    """Return the header that a message carries: the W3C `traceparent`."""
    carrier: dict[str, str] = {}
    if _Started.tracer is not None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        TraceContextTextMapPropagator().inject(carrier)
    return {key: value for key, value in carrier.items() if key == "traceparent"}
