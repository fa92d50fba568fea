"""How much a download costs above the pages it cannot do without.

    python benchmarks/download.py [MEMBERS]

`fetch` reads all pages and drops them: the limit. `first` and `again` are whole downloads (merge, names, verdicts,
candidates) into an empty SQLite database and into the same one again; as ratios to `fetch`, all in one
run, so that a busy machine slows all of them. `peak_mb` is this process's largest resident set.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))


def timed(act: Callable[[], object]) -> float:
    """Seconds."""
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def main(members: int) -> dict[str, float | int]:
    import django

    django.setup()
    from django.core.management import call_command

    from integrations import connections
    from integrations.connectors.miro.sandbox.server import start
    from subscriptions import profiles
    from subscriptions.download import download_subscriptions
    from subscriptions.models.download import StartedBy

    call_command("migrate", verbosity=0)
    sandbox = start(members=members, seed=1)
    urls = sandbox.urls()
    from django.conf import settings

    settings.CONNECTOR_ADDRESSES["miro_enterprise"] = {
        "api": urls["api_url"],
        "authorize": urls["authorize_url"],
        "scim": urls["scim_url"],
    }
    profile = profiles.create_profile(
        name="Bench", organization_id=urls["organization_id"], kind="miro_enterprise", actor=None
    )
    connections.set_credentials(profile, "rest", {"access_token": urls["access_token"]}, actor=None)
    connections.set_credentials(profile, "scim", {"token": urls["scim_token"]}, actor=None)
    profiles.publish(profile, actor=None)
    connector = connections.connector_for(profile)

    fetch = timed(lambda: sum(len(page.members) for page in connector.members()))
    first = timed(lambda: download_subscriptions(profile, actor=None, started_by=StartedBy.COMMAND))
    again = timed(lambda: download_subscriptions(profile, actor=None, started_by=StartedBy.COMMAND))
    sandbox.stop()
    return {
        "members": members,
        "fetch_s": round(fetch, 2),
        "first_to_fetch": round(first / fetch, 1),
        "again_to_fetch": round(again / fetch, 1),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LICENSEHUB_VAR"] = folder
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "licensehub.settings")
        sys.stdout.write(json.dumps(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5000)) + "\n")
