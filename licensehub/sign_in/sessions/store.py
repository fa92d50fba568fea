"""Django's sessions in the database, so that nobody who reads or writes the database can use one.

The row has a digest of the key, and only the browser has the key. The signature of the data covers this digest, too, so
the data of one session counts for nothing in the row of another one.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from django.contrib.sessions.backends.db import SessionStore as DatabaseStore
from django.utils import timezone

# Of the column for the key. 160 bits are as many as the key has itself.
DIGITS = 40


def stored_key(key: str | None) -> str:
    """The key of a session as the database has it; empty for a session without one."""
    return sha256(key.encode()).hexdigest()[:DIGITS] if key else ""


class SessionStore(DatabaseStore):
    @property
    def key_salt(self) -> str:
        return f"{super().key_salt}.{stored_key(self.session_key)}"

    def _get_session_from_db(self) -> Any:
        found = self.model.objects.filter(session_key=stored_key(self.session_key), expire_date__gt=timezone.now())
        if (row := found.first()) is None:
            self._session_key = None
        return row

    def exists(self, session_key: str) -> bool:
        return super().exists(stored_key(session_key))

    def create_model_instance(self, data: dict[str, Any]) -> Any:
        row = super().create_model_instance(data)
        row.session_key = stored_key(self.session_key)
        return row

    def delete(self, session_key: str | None = None) -> None:
        if key := session_key or self.session_key:
            super().delete(stored_key(key))
