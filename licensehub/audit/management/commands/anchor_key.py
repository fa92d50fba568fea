"""`manage.py anchor_key`: makes and rotates the key that signs the anchors, and exports the public keys."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from licensehub.audit.anchors.keys import Keys, WrongKeys, current_keys, encoded, new_keys, write_keys


class Command(BaseCommand):
    help = (
        "make: a new key in ANCHOR_KEY_FILE. rotate: a new key; the public keys of the former ones stay, so that older "
        "anchors can still be checked. export: all public keys, for auditors. With --print, make and rotate "
        "write no file and print the value of ANCHOR_KEYS."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["make", "rotate", "export"])
        parser.add_argument("--print", action="store_true", dest="prints", help="print it, and write no file")

    def handle(self, *args: Any, action: str, prints: bool, **options: Any) -> None:
        try:
            keys = current_keys()
        except WrongKeys as wrong:
            raise CommandError(str(wrong)) from wrong
        if action == "export":
            self._export(keys)
        elif action == "make" and keys.signing:
            raise CommandError("There is a key already. `anchor_key rotate` replaces it.")
        elif action == "rotate" and not keys.signing:
            raise CommandError("There is no key yet. `anchor_key make` makes one.")
        else:
            self._put(new_keys(keys), prints, replace=action == "rotate")

    def _export(self, keys: Keys) -> None:
        if not keys.public:
            raise CommandError("There is no key yet. `anchor_key make` makes one.")
        for name, key in keys.public.items():
            self.stdout.write(f"public:{encoded(key.public_bytes_raw())} # key_id {name}")

    def _put(self, keys: Keys, prints: bool, *, replace: bool) -> None:
        if prints:
            self.stdout.write(f"ANCHOR_KEYS={','.join(keys.words())}")
            return
        if settings.ANCHOR_KEYS:
            raise CommandError("The key comes from ANCHOR_KEYS. With --print, this command prints its new value.")
        try:
            write_keys(settings.ANCHOR_KEY_FILE, keys, replace=replace)
        except OSError as error:
            raise CommandError(f"{settings.ANCHOR_KEY_FILE} cannot be written ({error.strerror}).") from error
        self.stdout.write(f"Key {keys.signing_id} signs from now on. Its file is {settings.ANCHOR_KEY_FILE}.")
        self.stdout.write("Keep a copy of the file, and give auditors the output of `anchor_key export`.")
