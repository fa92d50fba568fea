"""Makes the secrets of an installation: `python3 deploy/make_secrets.py /etc/licensehub/secrets`, as root.

Each secret is a file that only its owner can read. A secret that exists is never changed, so it is harmless to run this
again, e.g. after an update that needs one more. It needs the standard library only. docs/deploy.md says what each is.
"""

from __future__ import annotations

import argparse
import base64
import os
import secrets
import sys
from pathlib import Path
from urllib.parse import urlsplit

# Folder -> variable and user of the database.
USERS = {
    "owner": ("DATABASE_OWNER_URL", "licensehub_owner"),
    "web": ("DATABASE_URL", "licensehub_web"),
    "worker": ("DATABASE_URL", "licensehub_worker"),
    "beat": ("DATABASE_URL", "licensehub_beat"),
}
DATABASE = "licensehub"
# What a download needs beside the tables.
TEMPORARY_TABLES = ("web", "worker")


def main(arguments: list[str]) -> int:
    """Write what is missing."""
    parser = argparse.ArgumentParser(description="Make the secrets of LicenseHub. What exists is not changed.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--database", default="127.0.0.1:5432", metavar="HOST:PORT", help="where PostgreSQL is")
    parser.add_argument("--broker", default="127.0.0.1:6379", metavar="HOST:PORT", help="where Redis or Valkey is")
    given = parser.parse_args(arguments)
    os.umask(0o077)
    written = [*_keys(given.folder), *_database(given.folder, given.database), *_broker(given.folder, given.broker)]
    sys.stdout.write("".join(f"wrote {path}\n" for path in written) or "All secrets exist already.\n")
    return 0


def _keys(folder: Path) -> list[Path]:
    values = {name: secrets.token_urlsafe(48) for name in ("SECRET_KEY", "APPROVAL_KEY", "AUDIT_KEY", "BROKER_KEY")}
    values["CREDENTIAL_KEYS"] = base64.urlsafe_b64encode(os.urandom(32)).decode()
    values["ANCHOR_KEYS"] = f"private:{base64.b64encode(os.urandom(32)).decode()}"
    # Mails go to the log until the address of the mail server stands here.
    values["EMAIL_URL"] = "consolemail://"
    return [path for name, value in values.items() if (path := _write(folder / name, value))]


def _database(folder: Path, server: str) -> list[Path]:
    """The addresses of the users, and the statements that make these users. Each user has lines of its own.

    A user that an update brings gets the address of the others, and its lines come behind theirs.
    """
    known = folder / "web" / "DATABASE_URL"
    address = urlsplit(known.read_text().strip() if known.exists() else f"postgres://{server}/{DATABASE}")
    server, lines, written = address.netloc.rpartition("@")[2], [], []
    for area, (variable, user) in USERS.items():
        password = secrets.token_hex(24)
        url = address._replace(netloc=f"{user}:{password}@{server}").geturl()
        if path := _write(folder / area / variable, url):
            written.append(path)
            lines += [f"CREATE ROLE {user} LOGIN PASSWORD '{password}';", *_on_database(area, user)]
    if not lines:
        return []
    statements = folder / "postgresql.sql"
    with statements.open("a", encoding="utf-8") as file:
        file.write("".join(f"{line}\n" for line in lines))
    return [*written, statements]


def _on_database(area: str, user: str) -> list[str]:
    if area == "owner":
        return [
            f"CREATE DATABASE {DATABASE} OWNER {user} TEMPLATE template0 ENCODING 'UTF8';",
            f"REVOKE ALL ON DATABASE {DATABASE} FROM PUBLIC;",
        ]
    rights = "CONNECT, TEMPORARY" if area in TEMPORARY_TABLES else "CONNECT"
    return [f"GRANT {rights} ON DATABASE {DATABASE} TO {user};"]


def _broker(folder: Path, server: str) -> list[Path]:
    """The address of the broker, and the lines of its configuration."""
    password = secrets.token_hex(24)
    address = _write(folder / "REDIS_URL", f"redis://:{password}@{server}/0")
    if address is None:
        return []
    lines = ["bind 127.0.0.1", f"requirepass {password}", "appendonly yes", "maxmemory-policy noeviction"]
    configuration = _write(folder / "redis.conf", "\n".join(lines))
    return [path for path in (address, configuration) if path]


def _write(path: Path, text: str) -> Path | None:
    """None where the file exists already."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(f"{text}\n")
    except FileExistsError:
        return None
    return path


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
