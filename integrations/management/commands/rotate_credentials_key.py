"""`manage.py rotate_credentials_key`: calls `integrations.credentials.key_rotation`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from integrations.credentials.key_rotation import rotate_credentials


class Command(BaseCommand):
    help = (
        "Encrypt all stored credentials again, under the first key of CREDENTIAL_KEYS. Afterwards the other keys can "
        "be removed. It can be run again, and while LicenseHub is running."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        done = rotate_credentials()
        self.stdout.write(f"{done.again} connections were encrypted again, {done.already} had the newest key already.")
        if done.unreadable:
            raise CommandError(
                f"No key can decrypt the credentials of {', '.join(done.unreadable)}. Keep the former keys in "
                "CREDENTIAL_KEYS, or set these credentials again; then run this command again."
            )
        self.stdout.write("You can now remove all keys except the first from CREDENTIAL_KEYS.")
