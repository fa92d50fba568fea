"""A node of a Redis Cluster and a Sentinel are refused with a sentence: real servers answer."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from licensehub import celery
from licensehub.broker import kind
from licensehub.embedded import broker
from licensehub.operations.doctor.findings import run_checks

START_SECONDS = 30.0


@pytest.fixture
def start_server() -> Iterator[Callable[..., str]]:
    """Starts another Valkey with these options. Returns its address."""
    with ExitStack() as running:

        def start(*options: str) -> str:
            folder = Path(running.enter_context(TemporaryDirectory(prefix="lhk")))
            (folder / "server.conf").touch()
            socket = folder / "v.sock"
            command = [str(broker.binary()), str(folder / "server.conf"), *options]
            command += ["--port", "0", "--unixsocket", str(socket), "--dir", str(folder), "--loglevel", "warning"]
            process = running.enter_context(subprocess.Popen(command))
            running.callback(process.terminate)
            until = time.monotonic() + START_SECONDS
            while not socket.exists():
                assert time.monotonic() < until, "The server did not start."
                time.sleep(0.05)
            return f"unix://{socket}"

        yield start


@pytest.mark.parametrize(
    ("options", "sentence"),
    [(["--cluster-enabled", "yes"], kind.CLUSTER), (["--sentinel"], kind.SENTINEL)],
)
def test_a_broker_of_a_kind_that_does_not_work(db, settings, start_server, options, sentence):
    settings.REDIS_URL = start_server(*options)
    assert kind.problem() == sentence
    finding = run_checks(["broker"])["broker"]
    assert (finding.level, finding.detail, finding.steps[0].text) == ("act", sentence, kind.HINT)
    with pytest.raises(SystemExit, match="does not start: REDIS_URL names a"):
        celery.refuse_wrong_servers()


def test_a_single_server_is_taken_and_one_that_is_away_waited_for(db, settings, start_server):
    settings.REDIS_URL = start_server()
    assert kind.problem() == ""
    assert run_checks(["broker"])["broker"].title != "The broker is of a kind that does not work"
    celery.refuse_wrong_servers()
    settings.REDIS_URL = "unix:///nowhere/v.sock"
    celery.refuse_wrong_servers()
