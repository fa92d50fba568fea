"""A process of a host does not start without its keys. Each test starts the real program, as its unit does."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from licensehub.audit.anchors.keys import new_keys
from tests.deploy.support.host import Host

LONG = "a key of the test that is long enough for each of them, number {}"
UNITS = {
    "web": "licensehub-web.service",
    "worker": "licensehub-worker@short.service",
    "beat": "licensehub-beat.service",
}


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """All secrets are there. No server answers: nobody is asked before the keys are checked."""
    made = Host(tmp_path, http=0, https=0)
    made.make()
    values = {name: LONG.format(name) for name in ("SECRET_KEY", "APPROVAL_KEY", "AUDIT_KEY", "BROKER_KEY")} | {
        "CREDENTIAL_KEYS": Fernet.generate_key().decode(),
        "ANCHOR_KEYS": ",".join(new_keys().words()),
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "EMAIL_URL": "consolemail://",
        "web/DATABASE_URL": "postgres://web:x@127.0.0.1:1/hub",
        "worker/DATABASE_URL": "postgres://worker:x@127.0.0.1:1/hub",
        "beat/DATABASE_URL": "postgres://beat:x@127.0.0.1:1/hub",
    }
    for name, value in values.items():
        path = made.path(f"/etc/licensehub/secrets/{name}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value)
    yield made
    made.stop()


def ends_with(host: Host, process: str) -> str:
    """The output of the process, which ended by itself with an error."""
    started = host.start_unit(UNITS[process])
    host.running.clear()
    try:
        code = started.process.wait(timeout=60)
    except subprocess.TimeoutExpired:
        started.process.kill()
        started.process.wait()
        pytest.fail(f"The {process} process goes on:\n{started.text()}")
    assert code
    return started.text()


@pytest.mark.parametrize(
    ("process", "file", "content", "said"),
    [
        ("web", "APPROVAL_KEY", b"", ("E005", "E066")),
        ("web", "AUDIT_KEY", b"short", ("E006",)),
        ("web", "web/DATABASE_URL", b"\n", ("E066",)),
        ("worker", "AUDIT_KEY", b"\xff\xfe", ("E006", "E066")),
        ("worker", "CREDENTIAL_KEYS", b"no Fernet key", ("E004",)),
        ("worker", "BROKER_KEY", b" ", ("E051", "E066")),
        ("beat", "BROKER_KEY", b"short", ("E051",)),
        ("beat", "beat/DATABASE_URL", b"", ("E066",)),
    ],
)
def test_a_process_refuses_to_start_without_a_key(
    host: Host, process: str, file: str, content: bytes, said: tuple[str, ...]
) -> None:
    host.path(f"/etc/licensehub/secrets/{file}").write_bytes(content)
    text = ends_with(host, process)
    assert f"The {process} process of LicenseHub does not start:" in text
    assert {word for word in text.replace(":", " ").split() if word.startswith("licensehub.E")} == {
        f"licensehub.{number}" for number in said
    }
    # The sentence names the file, and says what to do.
    assert Path(file).name in text and ("Name a file" in text or "Each key is" in text or "`make install`" in text)


def test_with_all_keys_a_process_gets_as_far_as_its_servers(host: Host) -> None:
    """Else the refusals above would prove nothing."""
    text = ends_with(host, "beat")
    assert "does not start" not in text and "127.0.0.1" in text and "OperationalError" in text
    web = host.start_unit(UNITS["web"])
    host.wait_until(lambda: "Booting worker" in web.text(), "a start of the web process")
    assert "does not start" not in web.text() and web.process.poll() is None
