"""20 processes and many expiries: never more refreshes than expiries, and no refresh token is sent twice."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import timezone

from integrations.models import Connection
from tests.support.servers.workers import environment_for_children

PROCESSES = 20
MAX_WAIT = 240.0  # seconds

pytestmark = [pytest.mark.worker]


def wait_for(folder: Path, pattern: str, count: int, running: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + MAX_WAIT
    while len(list(folder.glob(pattern))) < count:
        # A process that fails writes its traceback; warnings about the broker, which is not there, are expected.
        log = (folder / "log").read_text()
        assert "Traceback" not in log, log[-2000:]
        assert running.poll() in (None, 0)
        assert time.monotonic() < until, f"{pattern}: {len(list(folder.glob(pattern)))} of {count}"
        time.sleep(0.02)


@pytest.mark.usefixtures("real_transactions")
@pytest.mark.parametrize("expiries", [40, pytest.param(200, marks=pytest.mark.chaos)])
def test_twenty_processes_and_many_expiries(connected, miro, at_sandbox, tmp_path, expiries):
    """Half of the tokens are due by the clock; Miro refuses the other half before their time."""
    miro.set_toggles(rate_limits=False)
    environment = environment_for_children(MIRO_API_URL=at_sandbox["api_url"], MIRO_SCIM_URL=at_sandbox["scim_url"])
    arguments = [str(connected.profile_id), str(expiries), str(tmp_path)]
    command = [sys.executable, "-m", "tests.support.vendor.refresher", *arguments]
    with (tmp_path / "log").open("wb") as log:
        running = subprocess.Popen(
            [*command, str(PROCESSES)], env=environment, cwd=settings.BASE_DIR, stdout=log, stderr=log
        )
        try:
            wait_for(tmp_path, "ready-*", PROCESSES, running)
            for number in range(expiries):
                if number % 2:
                    miro.expire_tokens()
                else:
                    Connection.objects.filter(pk=connected.pk).update(refresh_at=timezone.now())
                (tmp_path / f"go-{number}").touch()
                wait_for(tmp_path, f"done-{number}-*", PROCESSES, running)
            assert running.wait(MAX_WAIT) == 0
        finally:
            running.terminate()
            running.wait()
    counted = miro.oauth()["counters"]
    assert counted["refresh_reuse"] == 0
    assert expiries * 0.95 <= counted["refreshes"] <= expiries
    connected.refresh_from_db()
    assert connected.state != "error"
