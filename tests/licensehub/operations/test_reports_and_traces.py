"""Error reports and traces: off by default, and without secrets, addresses, forms and queries when they are on."""

from __future__ import annotations

import json
import logging

import pytest
import sentry_sdk
from django.http import HttpResponse
from django.test import RequestFactory
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

from licensehub.operations.processes import worker
from licensehub.operations.requests import RequestIdMiddleware
from licensehub.operations.telemetry import error_reports, traces

TOKEN = "eyJhbGciOi.J9.a-token-of-a-connection"
PERSON = "jane.doe@northwind.example"


class Kept(Transport):
    """The reports of errors that would have been sent."""

    def __init__(self) -> None:
        super().__init__()
        self.envelopes: list[Envelope] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        self.envelopes.append(envelope)

    @property
    def text(self) -> str:
        return "\n".join(envelope.serialize().decode() for envelope in self.envelopes)


@pytest.fixture
def reports(settings):
    settings.SENTRY_DSN = "https://public-key-of-sentry@errors.example/1"
    kept = Kept()
    assert error_reports.start(transport=kept)
    yield kept
    sentry_sdk.get_client().close()
    sentry_sdk.init()


def fails(request) -> HttpResponse:
    password = f"hunter2-{request.POST['password']}"
    logging.getLogger("x").warning("Refused for %s with access_token=%s", PERSON, TOKEN)
    raise RuntimeError(f"Authorization: Bearer {TOKEN} of {PERSON}, {len(password)}")


def test_an_error_report_has_places_and_ids_and_nothing_else(db, reports, settings):
    request = RequestFactory().post(
        f"/admin/?q={PERSON}", {"password": "typed-by-somebody"}, HTTP_COOKIE="sessionid=abc", HTTP_X_SECRET=TOKEN
    )
    with pytest.raises(RuntimeError):
        RequestIdMiddleware(lambda one: _captured(fails, one))(request)
    logging.getLogger("x").error("The key is %s", settings.BROKER_KEY)
    text = reports.text
    for hidden in (TOKEN, PERSON, "jane.doe", "typed-by-somebody", "hunter2-typed", "sessionid", settings.BROKER_KEY):
        assert hidden not in text, hidden
    [first, *_rest] = [json.loads(item.payload.get_bytes()) for one in reports.envelopes for item in one.items]
    [error] = first["exception"]["values"]
    assert error["type"] == "RuntimeError"
    assert any(frame["function"] == "fails" for frame in error["stacktrace"]["frames"])
    assert first["tags"]["request_id"]
    assert any("Refused for ***" in crumb["message"] for crumb in first["breadcrumbs"]["values"])


def _captured(view, request) -> HttpResponse:
    try:
        return view(request)
    except RuntimeError:
        sentry_sdk.capture_exception()
        raise


def test_control_without_our_search_a_report_tells(db, reports, monkeypatch):
    monkeypatch.setattr(error_reports, "scrubbed", lambda value: value)
    try:
        fails(RequestFactory().post("/", {"password": "x"}))
    except RuntimeError:
        sentry_sdk.capture_exception()
    assert TOKEN in reports.text
    assert PERSON in reports.text


def test_a_trace_goes_on_in_the_worker_and_tells_no_path(db):
    kept = InMemorySpanExporter()
    assert traces.start(kept)
    headers: dict = {}

    def view(request) -> HttpResponse:
        worker.stamp(headers=headers)
        return HttpResponse()

    try:
        RequestIdMiddleware(view)(RequestFactory().get(f"/license/{TOKEN}/?q={PERSON}"))
        with (
            pytest.raises(RuntimeError),
            traces.span("subscriptions.tasks.reclaim", headers[worker.CONTEXT]) as facts,
        ):
            facts["detail"] = f"Bearer {TOKEN} for {PERSON}"
            raise RuntimeError(f"{TOKEN} {PERSON}")
    finally:
        traces.stop()
    page, task = kept.get_finished_spans()
    assert page.name == "GET none"
    assert task.context.trace_id == page.context.trace_id
    assert task.parent.span_id == page.context.span_id
    assert page.attributes["licensehub.request_id"]
    assert task.status.description == "RuntimeError"
    for span in (page, task):
        for hidden in (TOKEN, PERSON, "/license/"):
            assert hidden not in span.to_json()


def test_both_are_off_by_default(settings):
    assert (settings.SENTRY_DSN, settings.OTEL_ENDPOINT) == ("", "")
    assert not error_reports.start()
    assert not traces.start()
    assert traces.to_carry() == {}
    with traces.span("nothing") as facts:
        facts["a"] = 1
