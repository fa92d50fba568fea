"""Find out if this database belongs to this installation, or is a copy of another one's.

A copy, e.g. for a test, has the same tokens. If it refreshes one, the vendor ends the pair of the original, and
production is disconnected. So an id is kept outside of the database as well: in INSTANCE_ID, else in a file. A database
with another id sends and refreshes nothing until an admin adopts it.
"""

from __future__ import annotations

import logging
import os
import uuid
from functools import lru_cache
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import transaction

from integrations.connectors.contract import english
from integrations.models import Installation
from licensehub.audit.actions import Action
from licensehub.audit.log import Actor, record

log = logging.getLogger(__name__)

COPY: Final = english(
    "This database belongs to another instance of LicenseHub, so it may be a copy. Nothing is sent, and no token is "
    "refreshed, since that would disconnect the original instance. If this is the right database, release sending "
    "here. If it is a copy, first disconnect each connection."
)
NOT_REVOKED: Final = english(
    "The token was deleted here, but not revoked at the vendor. This database may be a copy, and the original "
    "instance may use the same token."
)
NOT_REFRESHED: Final = english(
    "The access token is not refreshed, since this database may be a copy of the database of another instance. "
    "Open Stop all sending."
)


class NoInstanceId(Exception):
    """INSTANCE_ID is not set, and its file can be neither read nor written. The text says why."""


def own_id() -> str:
    """The id of this installation. The first process writes the file. Raises NoInstanceId."""
    return settings.INSTANCE_ID or _id_in(str(settings.INSTANCE_ID_FILE))


def id_if_known() -> str:
    """The id of this installation; empty where there is none."""
    try:
        return own_id()
    except NoInstanceId:
        return ""


@lru_cache(maxsize=1)
def _id_in(name: str) -> str:
    path = Path(name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Written beside it and linked: of several processes one makes the file, and nobody reads half of it.
        new = path.with_name(f".{path.name}-{os.getpid()}")
        new.write_text(f"{uuid.uuid4()}\n")
        try:
            os.link(new, path)
        except FileExistsError:
            pass
        finally:
            new.unlink()
        if found := path.read_text().strip():
            return found
    except (OSError, UnicodeDecodeError) as error:
        raise NoInstanceId(f"{path} cannot be used: {error}") from error
    raise NoInstanceId(f"{path} is empty.")


def is_ours() -> bool:
    """Whether this installation may act with this database. A new database becomes ours."""
    try:
        ours = own_id()
    except NoInstanceId:
        return False
    known = Installation.objects.values_list("instance_id", flat=True).get(pk=1)
    return known == ours or (not known and _take_new(ours))


def _take_new(ours: str) -> bool:
    """Take a database that belongs to nobody yet."""
    if Installation.objects.filter(pk=1, instance_id="").update(instance_id=ours) == 1:
        log.info("This database belongs to the instance %s now.", ours)
    return Installation.objects.filter(pk=1, instance_id=ours).exists()


def adopt(*, actor: Actor) -> bool:
    """An admin says that this is the right database. Returns False if it is no other's. Raises NoInstanceId."""
    ours = own_id()
    with transaction.atomic():
        row = Installation.objects.get(pk=1)
        if row.instance_id in ("", ours):
            return False  # `is_ours` takes a new one
        if Installation.objects.filter(pk=1, instance_id=row.instance_id).update(instance_id=ours) != 1:
            return False
        record(Action.INSTANCE_ADOPTED, actor=actor, target=row, data={"from": row.instance_id, "to": ours})
    return True
