"""Secrets by reference: a file of configuration names where a secret is, and never has one.

`env:NAME`, `file:/path`, or `vault:path#key`, which hvac reads with VAULT_ADDR and VAULT_TOKEN.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from licensehub.configuration.reading import Entry

MAX_SECRET: Final = 10_000  # bytes
FORMS: Final = "env:NAME, file:/path or vault:path#key"
TIMEOUT: Final = 10  # seconds


def secret_of(entry: Entry) -> str:
    """The secret behind a reference. Raises Wrong, without anything of what was found there."""
    kind, _, rest = entry.text().partition(":")
    readers = {"env": _from_environment, "file": _from_file, "vault": _from_vault}
    if kind not in readers or not rest:
        raise entry.wrong(f"A secret never stands in this file. Name where it is: {FORMS}.")
    secret = readers[kind](entry, rest).strip()
    if not secret:
        raise entry.wrong("There is nothing behind this reference.")
    return secret


def _from_environment(entry: Entry, name: str) -> str:
    if name not in os.environ:
        raise entry.wrong(f"The variable {name} is not set.")
    return os.environ[name]


def _from_file(entry: Entry, name: str) -> str:
    path = Path(name)
    if not path.is_absolute():
        raise entry.wrong("Write the whole path, e.g. file:/run/secrets/token.")
    try:
        with path.open("rb") as file:
            content = file.read(MAX_SECRET + 1)
        if len(content) > MAX_SECRET:
            raise entry.wrong("This file is too large for a secret.")
        return content.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise entry.wrong(f"The file {path} cannot be read ({type(error).__name__}).") from None


def _from_vault(entry: Entry, name: str) -> str:
    """One key of a secret of the KV engine, version 2: MOUNT/PATH#KEY."""
    path, _, key = name.rpartition("#")
    mount, _, inner = path.partition("/")
    if not (mount and inner and key):
        raise entry.wrong("Write vault:MOUNT/PATH#KEY, e.g. vault:secret/licensehub/rest#token.")
    try:
        import hvac
    except ImportError:
        raise entry.wrong("vault: needs the package hvac: .venv/bin/pip install hvac") from None
    try:
        client = hvac.Client(url=os.environ.get("VAULT_ADDR"), token=os.environ.get("VAULT_TOKEN"), timeout=TIMEOUT)
        answer = client.secrets.kv.v2.read_secret_version(path=inner, mount_point=mount, raise_on_deleted_version=True)
        return str(answer["data"]["data"][key])
    except Exception as error:  # noqa: BLE001 - of a library that may be any version; its text could have the secret
        raise entry.wrong(f"Vault gave no secret ({type(error).__name__}). See VAULT_ADDR and VAULT_TOKEN.") from None
