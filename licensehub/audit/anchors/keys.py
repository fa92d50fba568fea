"""The Ed25519 keys of the anchors: one private key signs, and the public keys of former ones still check.

They come from the variable ANCHOR_KEYS, else from the file ANCHOR_KEY_FILE, and never from the database. Both hold
words such as `private:BASE64` and `public:BASE64`, separated by commas or white space. Each key is 32 bytes (RFC 8032).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from django.conf import settings


class WrongKeys(ValueError):
    """The keys cannot be read. The text says why, and holds nothing of a key."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The key that signs, if there is one, and all public keys that check, by their id."""

    signing: Ed25519PrivateKey | None
    public: dict[str, Ed25519PublicKey]

    @property
    def signing_id(self) -> str:
        """Empty without a private key."""
        return id_of(self.signing.public_key()) if self.signing else ""

    def words(self) -> list[str]:
        """Return what ANCHOR_KEYS and the file hold: the private key first."""
        private = [f"private:{encoded(self.signing.private_bytes_raw())}"] if self.signing else []
        former = [key for name, key in self.public.items() if name != self.signing_id]
        return [*private, *(f"public:{encoded(key.public_bytes_raw())}" for key in former)]


def current_keys() -> Keys:
    """The keys of this process. Raises WrongKeys."""
    return keys_of(settings.ANCHOR_KEYS or _text_of(settings.ANCHOR_KEY_FILE))


def keys_of(text: str) -> Keys:
    """The keys in a text. Raises WrongKeys."""
    signing: Ed25519PrivateKey | None = None
    public: dict[str, Ed25519PublicKey] = {}
    for word in re.split(r"[,\s]+", re.sub(r"#.*", "", text)):
        kind, _, value = word.partition(":")
        if kind == "private" and signing is None:
            signing = Ed25519PrivateKey.from_private_bytes(_decoded(value))
            public[id_of(signing.public_key())] = signing.public_key()
        elif kind == "public":
            key = Ed25519PublicKey.from_public_bytes(_decoded(value))
            public[id_of(key)] = key
        elif word:
            raise WrongKeys("The anchor keys are one word private:… and any number of words public:….")
    return Keys(signing, public)


def id_of(key: Ed25519PublicKey) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of the public key."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


def new_keys(former: Keys | None = None) -> Keys:
    """A new private key. The public keys of `former` still check."""
    signing = Ed25519PrivateKey.generate()
    return Keys(signing, {id_of(signing.public_key()): signing.public_key(), **(former.public if former else {})})


def write_keys(path: Path, keys: Keys, *, replace: bool = False) -> None:
    """Write the file, readable by its owner only. Raises FileExistsError for an existing one, unless `replace`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".anchor-keys-")  # mode 0600
    try:
        with os.fdopen(handle, "w") as new:
            new.write("# The keys that sign the anchors of the audit. docs/anchors.md explains them.\n")
            new.write("\n".join(keys.words()) + "\n")
            new.flush()
            os.fsync(new.fileno())
        if replace:
            Path(name).replace(path)
        else:
            os.link(name, path)  # fails where there is a file already
    finally:
        Path(name).unlink(missing_ok=True)


def encoded(raw: bytes) -> str:
    """Base64 without anything that a shell or a URL would change."""
    return base64.urlsafe_b64encode(raw).decode()


def _decoded(value: str) -> bytes:
    try:
        raw = base64.urlsafe_b64decode(value.encode("ascii"))
    except (UnicodeEncodeError, binascii.Error) as error:
        raise WrongKeys("An anchor key is not base64.") from error
    if len(raw) != 32:
        raise WrongKeys("An anchor key has not 32 bytes.")
    return raw


def _text_of(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise WrongKeys(f"The file {path.name} with the anchor keys cannot be read.") from error
