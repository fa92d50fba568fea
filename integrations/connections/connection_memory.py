"""Keeps the facts that calls found out about a vendor, per connection, until its credentials are replaced or erased."""

from __future__ import annotations

import logging

from django.db import DatabaseError, transaction

from integrations.models import Connection

logger = logging.getLogger(__name__)


class StoredMemory:
    """The `Memory` of a profile's connector."""

    def __init__(self, profile_id: int) -> None:
        self._profile_id = profile_id

    def recall(self, slot: str, name: str) -> str:
        row = Connection.objects.filter(profile=self._profile_id, slot=slot).only("learned").first()
        return str(row.learned.get(name, "")) if row else ""

    def keep(self, slot: str, name: str, value: str) -> None:
        """Store a fact. After a database error it is not stored, and the next call finds it out again."""
        try:
            with transaction.atomic():
                for row in Connection.objects.select_for_update().filter(profile=self._profile_id, slot=slot):
                    Connection.objects.filter(pk=row.pk).update(learned={**row.learned, name: value})
        except DatabaseError:
            logger.exception("A fact about the connection “%s” was found out and not kept.", slot)
        else:
            logger.info("Profile %s, connection “%s”: %s is “%s” from now on.", self._profile_id, slot, name, value)
