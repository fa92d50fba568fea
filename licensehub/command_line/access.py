"""Which LicenseHub is called, and with which token.

The token comes from a variable or from a file, never from the arguments: other users of the machine see those.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import click

from licensehub.api.client import Client
from licensehub.api.client.transport import is_safe, send

URL: Final = "LICENSEHUB_URL"
TOKEN: Final = "LICENSEHUB_TOKEN"  # noqa: S105 - the name of a variable
TOKEN_FILE: Final = "LICENSEHUB_TOKEN_FILE"  # noqa: S105 - likewise
DEFAULT_FILE: Final = Path("~/.config/licensehub/token")
MAX_TOKEN: Final = 200
# The limit of calls is one of a minute; a call waits for the next minute and no longer.
RETRY_DELAY: Final = 5.0  # seconds
MAX_WAIT: Final = 75.0  # seconds
TOO_MANY: Final = b'"code": "too_many"'


def client_for(url: str, token_file: str) -> Client:
    """The client of the API. Raises click.UsageError with a sentence."""
    return Client(checked_url(url or os.environ.get(URL, "")), read_token(token_file), send=patient)


def checked_url(url: str) -> str:
    """The address, if a token may be sent there."""
    if not url:
        raise click.UsageError(f"Say where LicenseHub answers: set {URL}, e.g. https://licensehub.example, or --url.")
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        host = None
    if host is None or parts.scheme not in ("https", "http") or parts.username or parts.query or parts.fragment:
        raise click.UsageError("The address of LicenseHub looks like https://licensehub.example.")
    if not is_safe(url):
        raise click.UsageError("Over http, others could read the token. Use the https address.")
    return url


def read_token(token_file: str) -> str:
    """The token. A file that others can read is refused."""
    if not token_file and (text := os.environ.get(TOKEN, "").strip()):
        return _checked(text, f"the variable {TOKEN}")
    named = token_file or os.environ.get(TOKEN_FILE, "")
    path = Path(named) if named else DEFAULT_FILE.expanduser()
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise click.UsageError(f"{path} is no file.")
            if mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise click.UsageError(f"Others may read the token in {path}. Run: chmod 600 {path}")
            content = file.read(MAX_TOKEN + 1)
    except OSError as error:
        raise click.UsageError(_no_token(path, named, error)) from error
    return _checked(content.decode(errors="replace").strip(), str(path))


def _no_token(path: Path, named: str, error: OSError) -> str:
    if named:
        return f"The file of the token {path} cannot be read: {error.strerror}."
    return (
        f"There is no token. Make one in LicenseHub under “Your account”, and put it into the variable {TOKEN}, or "
        f"into the file {path} (chmod 600)."
    )


def _checked(text: str, source: str) -> str:
    if not text or len(text) > MAX_TOKEN or not text.isascii() or not text.isprintable() or " " in text:
        raise click.UsageError(f"What is in {source} is no token. A token begins with lh_.")
    return text


def patient(method: str, address: str, headers: Mapping[str, str], body: bytes | None) -> tuple[int, bytes]:
    """Call, and wait while the token has no calls left in this minute."""
    until = time.monotonic() + MAX_WAIT
    while True:
        status, content = send(method, address, headers, body)
        if status != 429 or TOO_MANY not in content or time.monotonic() > until:
            return status, content
        time.sleep(RETRY_DELAY)
