"""The keys: are they there, how old are they, and are they the same in all processes?"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.conf import settings

from integrations.connectors.contract import english, english_plural
from integrations.credentials.key_rotation import under_former_keys, unreadable_connections
from licensehub.audit.anchors.keys import WrongKeys, current_keys
from licensehub.database.clock import database_now
from licensehub.logs.known_secrets import KEYS, mark_of
from licensehub.operations.doctor.findings import HOUR, Context, Finding, Level, Step, check

# Long enough that nobody rotates for the sake of rotating, and short enough that somebody still knows how.
OLD: Final = timedelta(days=730)
GUIDE: Final = english("docs/configuration.md says for each key what happens when it is changed.")


def _keys() -> dict[str, str]:
    found = {name: str(getattr(settings, name, "")) for name in KEYS}
    found["CREDENTIAL_KEYS"] = next(iter(settings.CREDENTIAL_KEYS), "")
    return found


@check("keys")
def keys_exist(context: Context) -> Finding:
    """All keys are there, and decrypt what is stored."""
    missing = [name for name, key in _keys().items() if not key]
    if missing and not (missing == ["BROKER_KEY"] and settings.REDIS_IS_EMBEDDED):
        steps: tuple[Step, ...] = (
            Step(english("Set the missing keys again: in the files of the secrets, in the environment, or in .env.")),
        )
        detail = english("Missing: {names}.").format(names=", ".join(missing))
        return Finding(Level.ACT, english("A key is missing"), detail=detail, steps=steps)
    if unreadable := unreadable_connections():
        detail = english("CREDENTIAL_KEYS cannot decrypt the credentials of “{name}”, or they were changed.")
        steps = (
            Step(english("Add the former key to CREDENTIAL_KEYS again, after the new one.")),
            Step(english("If the former key is lost, set these credentials again on the page of the connection.")),
        )
        waits = english("Its downloads and its approved seats wait, and nothing is lost.")
        title = english("Stored credentials cannot be read")
        return Finding(Level.ACT, title, detail=detail.format(name=unreadable[0]), waits=waits, steps=steps)
    try:
        signing = current_keys().signing is not None
    except WrongKeys as wrong:
        return Finding(Level.ACT, english("The anchor keys cannot be read"), detail=str(wrong))
    if not signing:
        steps = (Step(english("Make one, and give it to all hosts."), "python manage.py anchor_key make"),)
        return Finding(Level.LOOK, english("There is no anchor key"), steps=steps)
    return Finding(Level.OK, english("All keys are there"))


@check("key_ages", every=HOUR)
def key_ages(context: Context) -> Finding:
    """No key has been in use for too long, as far as LicenseHub has seen it. A mark of a key is kept, never the key."""
    now, seen = database_now(), context.memory.setdefault("seen", {})
    ages: dict[str, timedelta] = {}
    for name, key in _keys().items():
        if not key:
            continue
        mark, before = mark_of(name, key), seen.get(name)
        if not before or before["mark"] != mark:
            seen[name] = before = {"mark": mark, "since": now.isoformat()}
        ages[name] = now - datetime.fromisoformat(before["since"])
    if former := under_former_keys():
        text = english_plural(
            "{count} connection is still encrypted under a former key.",
            "{count} connections are still encrypted under a former key.",
            former,
        ).format(count=former)
        steps = (Step(english("Finish the change of the key."), "python manage.py rotate_credentials_key"),)
        return Finding(Level.LOOK, english("A change of CREDENTIAL_KEYS is not finished"), detail=text, steps=steps)
    oldest = max(ages, key=lambda name: ages[name], default="")
    value = english("{key} is the oldest: {days} days").format(key=oldest, days=ages[oldest].days) if oldest else ""
    if oldest and ages[oldest] > OLD:
        steps = (Step(english("Change it when it suits you. {guide}").format(guide=GUIDE)),)
        return Finding(Level.LOOK, english("A key is more than two years old"), value, steps=steps)
    return Finding(Level.OK, english("No key is too old"), value)
