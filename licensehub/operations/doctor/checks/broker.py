"""The broker: does it answer, does it keep what it got, and does everybody sign?"""

from __future__ import annotations

from typing import Any, Final

from django.conf import settings
from redis.exceptions import RedisError, ResponseError

from integrations.connectors.contract import english
from integrations.installation import findings as installation
from licensehub.broker import kind
from licensehub.operations.doctor.findings import Context, Finding, Level, Step, check
from licensehub.redis_client import connect

TIMEOUT: Final = 3.0
FULL: Final = 0.8
WAITS: Final = english(
    "Nothing is lost: the database knows what is due, and the sweep enqueues it again. Until then nothing starts."
)


@check("broker", needs_database=False)
def broker(context: Context) -> Finding:
    """It answers, drops nothing when it is full, and has its queues after a restart."""
    try:
        with connect(settings.REDIS_URL, timeout=TIMEOUT, decode_responses=True) as client:
            info: dict[str, Any] = client.info()
            saves = _saves(client)
    except (RedisError, OSError) as error:
        steps = (
            Step(english("Check if Redis or Valkey runs, and if REDIS_URL is right on this host.")),
            Step(english("The log of the workers says when they are connected again.")),
        )
        detail = english("The error was {error}.").format(error=type(error).__name__)
        return Finding(Level.ACT, english("The broker does not answer"), detail=detail, waits=WAITS, steps=steps)
    name = "Valkey" if "valkey_version" in info or info.get("server_name") == "valkey" else "Redis"
    value = f"{name} {info.get('valkey_version') or info.get('redis_version')}"
    return _kind(info, value) or _eviction(info, value) or _memory(info, value) or _persistence(info, saves, value)


def _kind(info: dict[str, Any], value: str) -> Finding | None:
    detail = kind.why_refused(info)
    if not detail:
        return None
    steps = (Step(kind.HINT), Step(english("Then restart web, worker and beat.")))
    return Finding(Level.ACT, english("The broker is of a kind that does not work"), value, detail, WAITS, steps)


def _eviction(info: dict[str, Any], value: str) -> Finding | None:
    policy = str(info.get("maxmemory_policy", ""))
    if policy in ("", "noeviction"):
        return None
    return Finding(
        Level.ACT,
        english("The broker drops messages when it is full"),
        value,
        english(
            "Its maxmemory-policy is {policy}. It may also drop the count of calls to the vendor, and then LicenseHub "
            "makes too many."
        ).format(policy=policy),
        WAITS,
        (
            Step(
                english("Set maxmemory-policy to noeviction, also in the configuration file of the broker."),
                "redis-cli CONFIG SET maxmemory-policy noeviction",
            ),
            Step(english("Give LicenseHub a Redis of its own if this one is a cache of others.")),
        ),
    )


def _memory(info: dict[str, Any], value: str) -> Finding | None:
    most, used = int(info.get("maxmemory") or 0), int(info.get("used_memory") or 0)
    if not most or used < FULL * most:
        return None
    detail = english("{percent}% of its memory is used.").format(percent=round(100 * used / most))
    steps = (Step(english("Raise maxmemory, or find out which queue grows.")),)
    return Finding(Level.ACT, english("The broker is nearly full"), value, detail, WAITS, steps)


def _persistence(info: dict[str, Any], saves: str | None, value: str) -> Finding:
    failed = "err" in (info.get("aof_last_write_status"), info.get("rdb_last_bgsave_status"))
    if failed:
        steps = (Step(english("Look at the free disk of the broker, and at its log.")),)
        return Finding(Level.ACT, english("The broker cannot write to its disk"), value, waits=WAITS, steps=steps)
    if info.get("aof_enabled") or saves:
        kept = english("{server}, kept on disk").format(server=value)
        return Finding(Level.OK, english("The broker answers and keeps its queues"), kept)
    if saves is None:
        detail = english(
            "LicenseHub cannot read its configuration. Ask the people who run it whether it uses AOF or RDB."
        )
        return Finding(Level.OK, english("The broker answers"), value, detail)
    detail = english("After a restart of the broker, its queues are empty. The sweep fills them again within minutes.")
    steps = (
        Step(
            english("Switch appendonly on, also in the configuration file of the broker."),
            "redis-cli CONFIG SET appendonly yes",
        ),
    )
    return Finding(Level.LOOK, english("The broker keeps nothing on disk"), value, detail, WAITS, steps)


def _saves(client: Any) -> str | None:
    """Return when the broker writes an RDB file; empty for never, None if we may not ask it."""
    try:
        return str(client.config_get("save").get("save", ""))
    except ResponseError:
        return None


@check("broker_messages")
def messages(context: Context) -> Finding:
    """All messages in the broker were made by processes of LicenseHub with the same BROKER_KEY."""
    found = next((one for one in installation.findings() if one.key == "broker"), None)
    if found is None:
        return Finding(Level.OK, english("All messages were made by LicenseHub"))
    steps = (
        Step(english("Compare BROKER_KEY on all hosts. Correct it where it differs, and restart LicenseHub there.")),
        Step(
            english(
                "If all are the same, find out who else can write to the broker, and change the password of the broker."
            )
        ),
    )
    return Finding(Level.ACT, english("Foreign messages were found in the broker"), detail=found.text, steps=steps)
