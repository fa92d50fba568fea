"""The commands of the Dockerfile and the compose file, run in a scratch folder, until all services work together."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from licensehub.embedded.processes import free_port
from tests.deploy import servers
from tests.deploy.container_files import FOLDER, image
from tests.deploy.containers import Containers
from tests.deploy.host import Host
from tests.deploy.test_host import LATE
from tests.support.network import AllowHttp

# What the doctor says about processes that find and understand each other.
WELL = ("database", "migrations", "rights", "keys", "broker", "broker_messages", "scheduler", "workers", "queues")
# As Caddy sends it.
THROUGH_CADDY = {"Host": "localhost", "X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7"}


@pytest.fixture
def containers(allow_http: AllowHttp) -> Iterator[Containers]:
    with tempfile.TemporaryDirectory(prefix="lc-", dir="/tmp") as folder:
        host = Host(Path(folder), http=0, https=0)
        made = Containers(host, web=free_port(), broker=free_port())
        allow_http(f"http://127.0.0.1:{made.web}")
        text = (FOLDER / "licensehub.env").read_text().replace("licensehub.example.com", "localhost")
        (host.root / "licensehub.env").write_text(text)
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
        hub = stack.enter_context(servers.as_administrator(cluster))
        assert hub.execute(LATE).rowcount == 1
        for service, number in (("web", 1), ("worker", 1), ("worker", 2), ("beat", 1)):
            containers.start(service, number)
        host.wait_until(lambda: containers.run("web", image().health).returncode == 0, "an answer to the health check")
        look_as_caddy(containers)
        # The doctor is a process of three seconds, which the others must not wait for again and again.
        host.wait_until(lambda: wrong(containers) == {}, "processes that work together", seconds=90, pause=3)
        # Nothing but these two folders was written.
        assert host.stop() == dict.fromkeys(["beat-1", "worker-2", "worker-1", "web-1", "valkey"], 0)


def look_as_caddy(containers: Containers) -> None:
    base = f"http://127.0.0.1:{containers.web}"
    page = requests.get(f"{base}/admin/login/", headers=THROUGH_CADDY, timeout=30)
    assert page.status_code == 200 and page.headers["Strict-Transport-Security"]
    style = re.findall(r'href="(/static/[^"]+\.css)"', page.text)[0]
    assert requests.get(base + style, headers=THROUGH_CADDY, timeout=30).status_code == 200
    # Without Caddy, it leads to HTTPS.
    plain = requests.get(f"{base}/admin/login/", headers={"Host": "localhost"}, allow_redirects=False, timeout=30)
    assert (plain.status_code, plain.headers["Location"]) == (301, "https://localhost/admin/login/")


def wrong(containers: Containers) -> dict[str, object]:
    """The checks of the doctor that are not well, as `docker compose exec web python manage.py doctor` finds them."""
    done = containers.run("web", ["python", "manage.py", "doctor", "--json"])
    checks = {check["id"]: check for check in json.loads(done.stdout)["checks"]}
    return {name: checks[name] for name in WELL if checks[name]["level"] != "ok"}
