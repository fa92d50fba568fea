"""PostgreSQL, Valkey and nginx of the scratch host, as `deploy/` sets them up, and the sandbox as the vendor."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from integrations.connectors.miro.sandbox.control import SandboxControl
from integrations.connectors.miro.sandbox.messages import CONTROL_ROOT
from licensehub.embedded import broker
from tests.deploy.support.host import BASE, Host, Process
from tests.deploy.support.units import DEPLOY
from tests.support.databases import OWNER, Cluster, server_programs
from tests.support.guards.network import AllowHttp
from tests.support.servers.sandbox_command import command as sandbox_command
from tests.support.servers.sandbox_command import first_line

# What a package of nginx brings, for one that runs as the user of the test.
NGINX = """
daemon off;
pid {root}/nginx.pid;
error_log {root}/nginx-error.log;
{user}
events {{ worker_connections 256; }}
http {{
    client_body_temp_path {root}/nginx-body;
    proxy_temp_path {root}/nginx-proxy;
    fastcgi_temp_path {root}/nginx-fastcgi;
    uwsgi_temp_path {root}/nginx-uwsgi;
    scgi_temp_path {root}/nginx-scgi;
    include {root}/site.conf;
}}
"""


def start_postgres(port: int) -> Cluster:
    """With TCP and passwords, as Debian's package has it."""
    cluster = Cluster.make(server_programs(), ("listen_addresses=127.0.0.1",), port)
    cluster.start()
    return cluster


def make_roles(cluster: Cluster, host: Host) -> None:
    """Do the same as `sudo -u postgres psql < postgresql.sql`."""
    with as_administrator(cluster, "postgres") as connection:
        connection.execute(f"DROP DATABASE {OWNER}")
        for statement in host.path("/etc/licensehub/secrets/postgresql.sql").read_text().splitlines():
            connection.execute(statement.encode())


def as_administrator(cluster: Cluster, database: str = OWNER) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(host=str(cluster.folder), port=cluster.port, user=OWNER, dbname=database, autocommit=True)


def start_broker(host: Host, port: int) -> Process:
    """With the lines that `make_secrets.py` wrote for it."""
    folder = host.root / "valkey"
    folder.mkdir()
    lines = str(host.path("/etc/licensehub/secrets/redis.conf"))
    command = [str(broker.binary()), lines, "--port", str(port), "--dir", str(folder)]
    return host.start("broker", command, host.clean(), str(folder))


def start_nginx(program: Path, host: Host) -> Process:
    """With the site of the repository, on ports of its own and for localhost."""
    site = host.here((DEPLOY / "nginx" / "licensehub.conf").read_text())
    site = re.sub(r"^ *listen \[::\].*\n", "", site, flags=re.M)
    site = site.replace("listen 80", f"listen 127.0.0.1:{host.http}").replace(
        "listen 443", f"listen 127.0.0.1:{host.https}"
    )
    site = site.replace("https://licensehub.example.com", host.base).replace("licensehub.example.com", "localhost")
    (host.root / "site.conf").write_text(site)
    # On a host, Debian's package names it.
    user = f"user {'www-data' if host.users else 'root'};" if os.getuid() == 0 else ""
    configuration = host.root / "nginx.conf"
    configuration.write_text(NGINX.format(root=host.root, user=user))
    return host.start("nginx", [str(program), "-c", str(configuration)], host.clean(), str(host.root))


@dataclass
class Sandbox:
    """The vendor: its addresses and tokens, and what is true there."""

    urls: dict[str, str]
    control: SandboxControl

    def truth(self) -> dict[str, Any]:
        return self.control.truth()


@contextmanager
def sandbox(host: Host, allow_http: AllowHttp) -> Iterator[Sandbox]:
    """A process of its own. The settings of the host name its addresses."""
    process = sandbox_command("--members", "200", "--seed", "7")
    try:
        urls = first_line(process)
        allow_http(urls["api_url"])
        with host.path("/etc/licensehub/licensehub.env").open("a") as file:
            file.write(f"MIRO_API_URL={urls['api_url']}\nMIRO_SCIM_URL={urls['scim_url']}\n")
        yield Sandbox(urls, SandboxControl(urls["api_url"] + CONTROL_ROOT.rstrip("/")))
    finally:
        process.terminate()
        process.communicate(timeout=20)


def make_secrets(host: Host, *, database: int, broker: int) -> str:
    """Make the secrets as docs/deploy.md says."""
    script, folder = str(DEPLOY / "make_secrets.py"), str(host.path("/etc/licensehub/secrets"))
    servers = ["--database", f"127.0.0.1:{database}", "--broker", f"127.0.0.1:{broker}"]
    done = subprocess.run(
        [sys.executable, "-I", script, folder, *servers], check=True, capture_output=True, text=True, cwd=BASE
    )
    return done.stdout
