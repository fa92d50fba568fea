"""The guard of the tests, and the servers that they start."""

from __future__ import annotations

import contextlib
import socket

import pytest
import requests


def test_unplanned_http_fails_even_where_the_code_catches_all():
    unplanned = pytest.raises(pytest.fail.Exception, match=r"Unplanned HTTP: GET https://api\.miro\.com/v2$")
    with unplanned, contextlib.suppress(Exception):
        requests.get("https://api.miro.com/v2?token=1", timeout=1)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "192.0.2.1"])
def test_an_unplanned_connection_fails(host):
    with pytest.raises(pytest.fail.Exception, match="Unplanned connection"):
        socket.create_connection((host, 9), timeout=1)


def test_an_allowed_server_is_reached(real_transactions, live_server, allow_http):
    allow_http(live_server.url)
    assert requests.get(f"{live_server.url}/health/live", timeout=30).json() == {"status": "ok"}


@pytest.mark.worker
def test_a_worker_becomes_ready_and_can_be_killed(celery_worker_process, valkey):
    worker = celery_worker_process()
    assert valkey.ping()
    worker.kill()
    assert worker.process.returncode
