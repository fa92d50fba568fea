"""`manage.py rotate_credentials_key`: thin door to `integrations.key_rotation`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from integrations.key_rotation import rotate_credentials


class Command(BaseCommand):
    help = (
        "Encrypt all stored credentials again, under the first key of CREDENTIAL_KEYS. Afterwards the other keys can "
        "be removed. Harmless to run twice, and while LicenseHub is running."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        done = rotate_credentials()
        self.stdout.write(f"{done.again} connections were encrypted again, {done.already} were under the newest key.")
        if done.unreadable:
            raise CommandError(
                f"No key opens the credentials of {', '.join(done.unreadable)}. Keep the former keys in "
                "CREDENTIAL_KEYS, or set these credentials again; then run this command again."
            )
        self.stdout.write("CREDENTIAL_KEYS may hold the first key only, from now on.")
