"""`/health` answers a load balancer, and `X-Forwarded-Proto` is believed only where the settings say so."""

from __future__ import annotations

import http.client
import socket
import subprocess
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError

from licensehub.embedded import processes
from licensehub.site.middleware import health


@pytest.fixture(autouse=True)
def asked_again() -> None:
    health.forget()


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["/health", "/health/ready", "/health/live"])
def test_health_answers_before_the_host_check_and_the_redirect(client, settings, valkey, address):
    settings.ALLOWED_HOSTS = ["licenses.northwind.example"]
    settings.SECURE_SSL_REDIRECT = True

    answer = client.get(address, HTTP_HOST="10.0.0.7")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert "no-store" in answer["Cache-Control"]
    assert client.post(address, HTTP_HOST="10.0.0.7").status_code == 405
    assert client.get("/admin/", HTTP_HOST="10.0.0.7").status_code == 400
    assert client.get(f"{address}/x", HTTP_HOST="10.0.0.7").status_code == 400
    ours = {"HTTP_HOST": "licenses.northwind.example"}
    assert client.get("/admin/", **ours).status_code == 301
    assert client.get("/admin/", **ours, HTTP_X_FORWARDED_PROTO="https").status_code == 301


def test_health_says_when_the_database_does_not_answer(client, monkeypatch, caplog):
    class Away:
        def cursor(self) -> None:
            raise DatabaseError("secret words of the server")

    monkeypatch.setattr(health, "connection", Away())
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.json()) == (503, {"status": "unavailable"})
    # It is asked every few seconds: one line, without a traceback and without the words of the server.
    assert "The database does not answer (DatabaseError)." in caplog.text
    assert "Traceback" not in caplog.text and "secret words" not in caplog.text
    # A restart would not help, so the process is alive.
    assert client.get("/health/live").status_code == 200


@pytest.mark.django_db
def test_ready_means_that_the_broker_answers(client, settings, valkey, broker_away, caplog):
    settings.REDIS_URL = settings.REDIS_URL.replace("unix://", "unix://user:hidden-password@")
    answer = client.get("/health/ready")
    assert (answer.status_code, answer.json()) == (503, {"status": "unavailable"})
    assert client.get("/health/live").status_code == 200
    assert "hidden-password" not in caplog.text
    settings.REDIS_URL = f"unix://{settings.EMBEDDED_BROKER_SOCKET}"
    assert client.get("/health/ready").status_code == 503, "for some seconds"
    health.forget()
    assert client.get("/health/ready").status_code == 200


@pytest.mark.django_db
def test_the_proof_of_an_installation_takes_a_short_number_only(client):
    one, other = (client.get("/health/self", {"nonce": nonce}, HTTP_HOST="10.0.0.7") for nonce in ("abc", "abd"))
    assert (len(one.content), one.content == other.content) == (64, False)
    for nonce in ("", "a b", "ä", "a" * 65):
        assert client.get("/health/self", {"nonce": nonce}).status_code == 400


def scheme(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """A WSGI application that answers with the scheme that gunicorn tells it."""
    start_response("200 OK", [])
    return [environ["wsgi.url_scheme"].encode()]


@pytest.mark.parametrize(("with_config", "believed"), [(True, "http"), (False, "https")], ids=["ours", "control"])
def test_gunicorn_believes_no_header(allow_http, with_config, believed):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    web = next(child for child in processes.processes(port) if child.name == "web")
    argv = [f"{__name__}:scheme" if part == "licensehub.wsgi" else part for part in web.argv]
    if not with_config:
        at = argv.index("--config")
        del argv[at : at + 2]
    allow_http(f"http://127.0.0.1:{port}")
    root = Path(__file__).resolve().parents[4]
    server = subprocess.Popen(argv, cwd=root, stderr=subprocess.DEVNULL)
    try:
        assert asked(port) == believed
    finally:
        server.terminate()
        server.wait(30)


def asked(port: int) -> str:
    """The answer to a request that claims HTTPS, as soon as the server answers."""
    ends_at = time.monotonic() + 60
    while True:
        try:
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
                connection.request("GET", "/", headers={"X-Forwarded-Proto": "https"})
                return connection.getresponse().read().decode()
        except OSError:
            if time.monotonic() > ends_at:
                raise
            time.sleep(0.1)
