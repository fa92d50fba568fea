"""Caddy with the Caddyfile of `deploy/containers`, for `localhost`, on unprivileged ports, and with another socket."""

from __future__ import annotations

import re
from pathlib import Path

from tests.deploy.support import programs
from tests.deploy.support.container_files import FOLDER
from tests.deploy.support.host import Host, Process
from tests.deploy.support.visitor import Visitor

# Its certificate is one of its own for `localhost`, which it does not add to those that this machine trusts.
OPTIONS = """
    http_port {http}
    https_port {https}
    admin off
    skip_install_trust
    local_certs
"""


def start_caddy(host: Host, socket: Path, **changed: str) -> Process:
    """`changed` are other values of options, e.g. `lb_try_duration="1s"`."""
    text = (FOLDER / "Caddyfile").read_text().replace("unix//run/licensehub/web.sock", f"unix/{socket}")
    for option, value in changed.items():
        text, found = re.subn(rf"(?m)^(\s*{option}) \S+$", rf"\1 {value}", text)
        assert found == 1, option
    # The options for all sites come first.
    file = host.root / "Caddyfile"
    file.write_text(text.replace("{", "{" + OPTIONS.format(http=host.http, https=host.https), 1))
    homes = {"XDG_DATA_HOME": str(host.root / "caddy"), "XDG_CONFIG_HOME": str(host.root / "caddy")}
    command = [str(programs.caddy()), "run", "--adapter", "caddyfile", "--config", str(file)]
    return host.start("caddy", command, {**host.clean(), **homes, "LICENSEHUB_HOST": "localhost"}, str(host.root))


def visitor(host: Host, **headers: str) -> Visitor:
    """Trusts the certificate that Caddy makes for itself."""
    made = host.root / "caddy" / "caddy" / "pki" / "authorities" / "local" / "root.crt"
    host.wait_until(lambda: "certificate obtained successfully" in host.running[-1].text(), "a certificate")
    return Visitor(host.base, made, **headers)
