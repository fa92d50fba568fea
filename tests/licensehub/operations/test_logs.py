"""The log: one id from the page to the worker and to the audit, and no secret in any line."""

from __future__ import annotations

import json
import logging
import re
import sys
from typing import Any

import pytest
from django.urls import reverse

from licensehub.audit.actions import Action
from licensehub.audit.models import AuditEvent
from licensehub.logs import known_secrets, log_context
from licensehub.operations import logs, tasks
from licensehub.operations.processes import worker
from tests.licensehub.operations.test_processes import wait_until
from tests.support.fixtures import person


class Kept(logging.Handler):
    """The finished lines."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(formatter)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


@pytest.fixture
def as_json(monkeypatch):
    """The lines that LOG_FORMAT=json writes, as objects."""
    keeper = Kept(logs.JsonFormatter())
    for name in ("licensehub.operations.requests", "licensehub.audit.log"):
        monkeypatch.setattr(logging.getLogger(name), "level", logging.INFO)
        logging.getLogger(name)._cache.clear()
    logging.getLogger().addHandler(keeper)
    yield lambda: [json.loads(line) for line in keeper.lines]
    logging.getLogger().removeHandler(keeper)


def test_one_id_ties_the_page_its_events_and_its_messages(db, as_user, as_json, monkeypatch):
    sent: list[dict] = []

    def deliver(*ids: int) -> None:
        headers: dict = {}
        worker.stamp(headers=headers)
        sent.append(headers)

    monkeypatch.setattr(tasks.run_all_checks, "delay", deliver)
    client = as_user(person("nils", "Operator"))
    stop = reverse("admin:integrations_sendingcontrol_action", args=["stop"])
    forged = {"HTTP_X_REQUEST_ID": "11111111-1111-1111-1111-111111111111"}
    answer = client.post(stop, {"reason": "A planned stop"}, **forged)
    request_id = answer.headers["X-Request-ID"]
    assert request_id != forged["HTTP_X_REQUEST_ID"]
    event = AuditEvent.objects.get(action=Action.ALL_SENDING_STOPPED)
    assert str(event.correlation) == request_id
    [recorded] = [line for line in as_json() if line["event"] == "Recorded" and line["action"] == event.action]
    assert recorded["request_id"] == recorded["correlation"] == request_id
    assert recorded["events"] == f"{event.sequence}-{event.sequence}"
    [answered] = [line for line in as_json() if line["event"] == "Answered"]
    assert (answered["request_id"], answered["status"], answered["path"]) == (request_id, 302, stop)
    assert "in_request" not in answered
    # A message takes it along, and the next request has another one.
    answer = client.post(reverse("admin:integrations_checkresult_doctor"))
    assert sent[0][worker.CONTEXT] == {"request_id": answer.headers["X-Request-ID"]}
    assert answer.headers["X-Request-ID"] != request_id
    # Nothing of it is left for whoever uses this thread next.
    assert log_context.to_carry() == {}
    assert log_context.correlation() is None


@pytest.mark.worker
def test_the_worker_goes_on_with_the_id_of_the_page(celery_worker_process):
    request_id = log_context.begin_request()
    tasks.send_mail_trial.delay(4711)
    log_context.end()
    tasks.run_all_checks.delay()
    process = celery_worker_process(LOG_FORMAT="json")
    wait_until(lambda: process.log.read_text().count("succeeded") >= 2, "no task ended")
    lines = [json.loads(line) for line in process.log.read_text().splitlines() if line.startswith("{")]
    mine = [line for line in lines if line.get("task") == tasks.send_mail_trial.name]
    assert {line["request_id"] for line in mine} == {request_id}
    assert {line["trial_id"] for line in mine} == {4711}
    others = [line for line in lines if line.get("task") == tasks.run_all_checks.name]
    assert others
    assert not any("request_id" in line or "trial_id" in line for line in others)


def test_a_message_can_bring_no_line_of_its_own():
    for carried in ({"request_id": "x\n{}"}, {"request_id": "x" * 65}, {"request_id": {"a": 1}}, [], None, "x"):
        log_context.begin_task("task", "1", carried, {})
        assert log_context.to_carry() == {}, carried
    log_context.end()


HIDDEN = 'Tr3e"\\house-ä'
LINES = [
    "could not connect to redis://:{}@10.0.0.7:6379/0",
    "POST /v2/oauth/token refresh_token={}&grant_type=refresh_token",
    "{{'access_token': '{}', 'scope': 'x'}}",
    '{{"password": "{}"}}',
    "Authorization: Bearer {}",
    "GET /callback?code={}&state=abcdefghijk",
    "Not Found: /license/{}/",
    "Not Found: /welcome/{}/set-password/",
]


@pytest.mark.parametrize("formatter", [logs.JsonFormatter(), logs.TextFormatter()], ids=["json", "text"])
def test_no_secret_stands_in_a_line(formatter, settings, monkeypatch):
    settings.EMAIL_HOST_PASSWORD = HIDDEN
    settings.BROKER_KEY = "the-broker-key-of-this-test-only"

    def written(message: str, *arguments: object, exc_info: Any = None) -> str:
        record = logging.LogRecord("x", logging.ERROR, "x.py", 1, message, arguments, exc_info)
        return formatter.format(record)

    for secret in ("eyJhbGciOi.J9.abcdef-123", "plain-and-long-0123456789"):
        for line in LINES:
            text = written("%s", line.format(secret))
            assert secret not in text, line
            assert "***" in text
    # The secrets of the settings are found wherever they stand, also in a traceback, and with a quotation mark.
    for secret in (HIDDEN, settings.BROKER_KEY, settings.SECRET_KEY, settings.CREDENTIAL_KEYS[0]):
        try:
            raise RuntimeError(f"cannot use {secret}")
        except RuntimeError:
            text = written("It failed with %s", secret, exc_info=sys.exc_info())
        assert "RuntimeError" in text
        for form in (secret, json.dumps(secret)[1:-1]):
            assert form not in text
    # A token of the REST API that stands where none belongs.
    token = f"lh_{'a1' * 6}_{'B-_9' * 10}xyz"
    assert f"/api/v1/lh_{'a1' * 6}_***/" in written("Not Found: %s", f"/api/v1/{token}/")
    # What is no secret stays readable.
    plain = "The token of profile 3 was renewed; state: published, code 200."
    assert plain in written(plain)
    # The control: the same line without the search.
    monkeypatch.setattr(logs, "without_any_secret", str)
    assert settings.BROKER_KEY in written("%s", settings.BROKER_KEY)


def test_each_secret_of_the_settings_is_known(settings):
    """A new variable that looks like a secret fails here until somebody has decided."""
    source = "".join(path.read_text() for path in (settings.BASE_DIR / "licensehub/settings").glob("*.py"))
    read = set(re.findall(r"^([A-Z][A-Z0-9_]+)(?:: [^=]+)? = .*(?:env|reader)\.", source, re.MULTILINE))
    looks = {name for name in read if re.search(r"(KEY|KEYS|TOKEN|SECRET|PASSWORD|DSN)(_FALLBACKS)?$", name)}
    known = {*known_secrets.KEYS, *known_secrets.LISTS, *known_secrets.OTHERS, *known_secrets.ADDRESSES}
    assert len(looks) > 6
    assert looks - known == set()
