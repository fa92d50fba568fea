"""One REDIS_URL, in the spelling of each of its two clients."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class RedisUrls:
    """`broker` is for kombu, `client` for redis-py."""

    broker: str
    client: str


def derive(url: str) -> RedisUrls:
    """Read `redis://`, `rediss://` or `unix://`; kombu calls the last one `redis+socket://`.

    Raises ValueError for any other scheme.
    """
    parts = urlsplit(url)
    if parts.scheme in ("redis", "rediss") and parts.hostname:
        return RedisUrls(broker=url, client=url)
    if parts.scheme in ("unix", "redis+socket") and parts.path.startswith("/"):
        rest = url.split("://", 1)[1]
        return RedisUrls(broker=f"redis+socket://{rest.replace('db=', 'virtual_host=')}", client=f"unix://{rest}")
    raise ValueError("REDIS_URL must look like redis://host:6379/0, rediss://host:6379/0 or unix:///run/valkey.sock")
