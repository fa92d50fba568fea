"""Refuses what answers like a Redis but cannot be the broker: a node of a cluster, and a Sentinel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.conf import settings
from redis.exceptions import RedisError

from integrations.connectors.contract import english
from licensehub.redis_client import connect

TIMEOUT: Final = 3.0
CLUSTER: Final = english(
    "REDIS_URL names a node of a Redis Cluster. Celery changes several keys at once, which a cluster keeps on "
    "different nodes."
)
SENTINEL: Final = english("REDIS_URL names a Sentinel, which keeps no messages.")
HINT: Final = english(
    "Name a single Redis or Valkey. If it is to move to another host after a failure, name an address that moves with "
    "it, such as that of a TCP proxy."
)
_REFUSED: Final = {"cluster": CLUSTER, "sentinel": SENTINEL}


def why_refused(info: Mapping[str, Any]) -> str:
    """Return why a server with these answers to INFO cannot be the broker; empty if it can."""
    return _REFUSED.get(str(info.get("server_mode") or info.get("redis_mode")), "")


def problem() -> str:
    """Return why the broker of REDIS_URL is refused; empty if it is not, and while it is away: the worker waits."""
    try:
        with connect(settings.REDIS_URL, timeout=TIMEOUT, decode_responses=True) as client:
            info: dict[str, Any] = client.info("server")
    except (RedisError, OSError):
        return ""
    return why_refused(info)
