"""Servers of error reports and traces that hang, answer for ever, or point elsewhere; and what they are told."""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import sentry_sdk
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from licensehub.operations.telemetry import error_reports, error_transport, traces
from licensehub.outbound.sessions import PlainSession
from tests.attacks.servers.test_hostile_servers import HOSTILE, ends_in_time, takes_little_memory
from tests.support.servers.scripted_server import Reply, ScriptedServer

MANNERS = ["byte by byte", "headers byte by byte", "huge", "a bomb"]
KEY = "key-of-the-company"


@pytest.fixture
def servers(allow_http) -> Iterator[list[ScriptedServer]]:
    found = [ScriptedServer(), ScriptedServer()]
    for one in found:
        one.replies = [Reply(data={})]
        allow_http(one.url)
    yield found
    for one in found:
        one.stop()


@pytest.fixture
def server(servers) -> ScriptedServer:
    return servers[0]


@pytest.fixture
def other(servers) -> ScriptedServer:
    return servers[1]


@pytest.fixture
def reports(settings, server) -> Iterator[None]:
    settings.SENTRY_DSN = server.url.replace("://", f"://{KEY}@") + "/1"
    assert error_reports.start()
    yield
    sentry_sdk.get_client().close(timeout=0.1)
    sentry_sdk.init()


@pytest.fixture
def exporter(settings, server, monkeypatch) -> Iterator[None]:
    """Sends each span at once."""
    settings.OTEL_ENDPOINT = server.url
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"x-team={KEY}")
    monkeypatch.setattr("opentelemetry.sdk.trace.export.BatchSpanProcessor", SimpleSpanProcessor)
    monkeypatch.setattr(traces.atexit, "register", lambda *_: None)
    yield
    traces.stop()


def report(text: str = "Something failed.") -> None:
    """Report an error, and wait until it is sent or given up."""
    sentry_sdk.capture_message(text)
    sentry_sdk.flush(timeout=5)


def trace() -> None:
    assert traces.start()
    with traces.span("a task"):
        pass


@pytest.mark.parametrize("manner", MANNERS)
def test_a_server_of_reports_holds_no_request_and_no_memory(server, reports, monkeypatch, manner):
    """Control: by the package's own transport, the thread of reports waits for minutes, or takes any memory."""
    monkeypatch.setattr(error_transport, "SECONDS", 0.3)
    server.replies = [HOSTILE[manner], Reply(data={})]
    with ends_in_time(), takes_little_memory():
        report("The first one.")
        report("The second one.")
    assert any(b"The second one." in gzip.decompress(seen.body) for seen in server.seen)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_neither_follows_a_redirect(server, other, reports, exporter, status):
    """Control: urllib3's pool follows it, with the report and the key."""
    server.replies = [Reply(status, raw=b"", headers={"Location": f"{other.url}/api/1/envelope/"})]
    report()
    trace()
    assert {urlsplit(seen.path).path for seen in server.seen} == {"/api/1/envelope/", "/v1/traces"}
    assert not other.seen


@pytest.mark.parametrize("manner", MANNERS)
def test_a_server_of_traces_holds_no_thread_and_no_memory(server, exporter, monkeypatch, manner):
    """Control: by the package's own session, the thread of traces waits for minutes, or takes any memory."""
    monkeypatch.setattr(traces, "SECONDS", 0.3)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.5")
    server.replies = [HOSTILE[manner]]
    with ends_in_time(), takes_little_memory():
        trace()
    assert {urlsplit(seen.path).path for seen in server.seen} == {"/v1/traces"}


def test_a_server_of_traces_does_not_hold_a_process_that_stops(monkeypatch):
    """Control: the end of the package waits for half a minute."""
    monkeypatch.setattr(traces, "EXIT_SECONDS", 0.05)

    class Hangs(TracerProvider):
        def shutdown(self) -> None:
            time.sleep(20)

    began = time.monotonic()
    traces._end(Hangs(shutdown_on_exit=False))
    assert time.monotonic() - began < 10


def test_a_call_to_others_does_not_tell_that_errors_are_reported(other, reports):
    """Control: the package adds two headers to each call: the key of SENTRY_DSN, our version, and an id."""
    with PlainSession({}, None) as session:
        session.get(f"{other.url}/x", timeout=5)
    [seen] = other.seen
    assert not {"baggage", "sentry-trace"} & {name.lower() for name in seen.headers} and KEY not in str(seen)


def test_an_unknown_version_of_the_package_sends_nothing(settings, monkeypatch, caplog):
    settings.SENTRY_DSN = "https://key@errors.example/1"
    monkeypatch.setattr(error_transport, "is_known", lambda: False)
    assert not error_reports.start() and "does not know this version" in caplog.text
