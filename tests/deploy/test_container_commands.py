"""The commands of the Dockerfile and the compose file, run in a scratch folder, until all services work together."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from licensehub.embedded.processes import free_port
from tests.deploy.support import servers
from tests.deploy.support.caddy import start_caddy, visitor
from tests.deploy.support.container_files import FOLDER, compose, image
from tests.deploy.support.containers import Containers
from tests.deploy.support.host import Host
from tests.deploy.support.visitor import asking
from tests.deploy.test_host import LATE
from tests.support.guards.network import AllowHttp

# What the doctor says about processes that find and understand each other.
WELL = ("database", "migrations", "rights", "keys", "broker", "broker_messages", "scheduler", "workers", "queues")


@pytest.fixture
def containers(allow_http: AllowHttp) -> Iterator[Containers]:
    with tempfile.TemporaryDirectory(prefix="lc-", dir="/tmp") as folder:
        host = Host(Path(folder), http=free_port(), https=free_port())
        made = Containers(host, web=free_port(), broker=free_port())
        allow_http(host.base)
        text = (FOLDER / "licensehub.env").read_text().replace("https://licensehub.example.com", host.base)
        (host.root / "site.env").write_text(text.replace("licensehub.example.com", "localhost"))
        made.build()
        yield made
        host.stop()


@pytest.mark.timeout(500)
@pytest.mark.worker
def test_the_commands_of_the_containers_work_together(containers: Containers) -> None:
    host, database = containers.host, free_port()
    with ExitStack() as stack:
        servers.make_secrets(host, database=database, broker=containers.broker)
        cluster = servers.start_postgres(database)
        stack.callback(cluster.remove)
        servers.make_roles(cluster, host)
        containers.start_broker()
        for service in ("migrate", "web", "worker", "beat"):
            containers.give_secrets(service)
        done = containers.run("migrate")
        assert done.returncode == 0, done.stdout + done.stderr
        assert containers.run("web", image().health).returncode != 0, "nobody answers yet"
        assert ask(containers, "worker") and ask(containers, "beat"), "no heartbeat yet"
        hub = stack.enter_context(servers.as_administrator(cluster))
        assert hub.execute(LATE).rowcount == 1
        for service, number in (("web", 1), ("worker", 1), ("worker", 2), ("beat", 1)):
            containers.start(service, number)
        host.wait_until(lambda: containers.run("web", image().health).returncode == 0, "an answer to the health check")
        # The doctor is a process of three seconds, which the others must not wait for again and again.
        host.wait_until(lambda: wrong(containers) == {}, "processes that work together", seconds=90, pause=3)
        for service in ("worker", "beat"):
            assert ask(containers, service) == 0
        look_through_caddy(containers)
        # Each wrote into its own volumes only, and did in the database what its user may do.
        data = host.path("/data")
        assert {path.parent.name for path in data.glob("**/audit-head.json")} <= {"web", "worker", "manage"}
        assert "permission denied" not in (cluster.folder / "log").read_text()
        names = ["caddy", "web-1", "beat-1", "worker-2", "worker-1", "valkey"]
        assert host.stop() == dict.fromkeys(names, 0)


def ask(containers: Containers, service: str) -> int:
    """The exit code of the health check of the service."""
    kind, command = compose()["services"][service]["healthcheck"]["test"]
    assert kind == "CMD-SHELL"
    return containers.run(service, ["sh", "-c", command]).returncode


def look_through_caddy(containers: Containers) -> None:
    """While web restarts, requests wait, and none fails."""
    host, socket = containers.host, containers.host.path("/run/licensehub/web.sock")
    # Caddy is another user, and may not do more than its modes say.
    assert socket.stat().st_mode & 0o006 == 0o006 and socket.parent.stat().st_mode & 0o001
    start_caddy(host, socket)
    stranger = visitor(host)
    page = stranger.get("/admin/login/")
    assert page.headers["Strict-Transport-Security"]
    stranger.get(re.findall(r'href="(/static/[^"]+\.css)"', page.text)[0])
    with asking(stranger, "/admin/login/", host) as answers:
        containers.restart("web")
    assert set(answers) == {200}, answers


def wrong(containers: Containers) -> dict[str, object]:
    """The checks of the doctor that are not well, as `docker compose exec web python manage.py doctor` finds them."""
    done = containers.run("web", ["python", "manage.py", "doctor", "--json"])
    checks = {check["id"]: check for check in json.loads(done.stdout)["checks"]}
    return {name: checks[name] for name in WELL if checks[name]["level"] != "ok"}
