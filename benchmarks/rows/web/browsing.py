"""Measure the pages of 50 admins over HTTP while a download and a reclaim run in workers."""

from __future__ import annotations

import random
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import requests

from benchmarks import environment
from benchmarks.rows import Row, at_most

if TYPE_CHECKING:
    from integrations.models import IntegrationProfile

ADMINS = 50
MEMBERS = 50_000
RECLAIMED = 500
WORKERS = 2
# Seconds from one page of an admin to the next.
THINK = (2.0, 8.0)
ALONE, BUSY = 40.0, 90.0  # seconds
# A page that is not answered with 200.
ERROR = 60.0


def run() -> list[Row]:
    from django.conf import settings

    from licensehub.celery import app
    from subscriptions import tasks
    from subscriptions.models import DownloadRun, Reclaim
    from tests.chaos.support.processes import sandbox_process

    environment.prepare()
    environment.prepare_pages()
    with environment.valkey(), sandbox_process(members=MEMBERS, seed=7) as urls, environment.gunicorn() as url:
        profile = _approved(urls)
        app.conf["broker_url"] = settings.REDIS_URL.replace("unix://", "redis+socket://")
        addresses = {"MIRO_API_URL": urls["api_url"], "MIRO_SCIM_URL": urls["scim_url"]}
        cookies, pages = _cookies(), _pages(profile)
        alone = _browse(url, cookies, pages, ALONE)
        with tempfile.TemporaryDirectory() as folder:
            peaks = str(Path(folder) / "peaks")
            with environment.workers(WORKERS, REDIS_URL=settings.REDIS_URL, BENCHMARK_PEAKS=peaks, **addresses):
                tasks.download_due.delay(profile.pk)
                tasks.reclaim.delay(profile.pk)
                busy = _browse(url, cookies, pages, BUSY)
                read = DownloadRun.objects.order_by("-pk").values_list("read", flat=True)[0]
    done = Reclaim.objects.filter(state="done").count()
    note = f"{len(busy):,} pages; {read:,} people read and {done} reclaimed meanwhile"
    name = f"{ADMINS} admins over {MEMBERS:,} people, p95 of a page"
    return [
        at_most(name, _p95(busy), most=0.3, limit=_p95(alone), note=note),
        at_most("errors in it", busy.count(ERROR), most=0, unit="pages"),
    ]


def _approved(urls: dict[str, str]) -> IntegrationProfile:
    """A profile that was downloaded and has an approved request; another download is due."""
    from django.conf import settings
    from django.core.management import call_command

    from integrations.connectors.miro.sandbox.control import SandboxControl
    from integrations.models import IntegrationProfile
    from licensehub.database.clock import database_now
    from tests.chaos.support.storm import Plan, approved_people
    from tests.support.fixtures import person

    addresses = {"api": urls["api_url"], "authorize": urls["authorize_url"], "scim": urls["scim_url"]}
    settings.CONNECTOR_ADDRESSES = {"miro_enterprise": addresses}
    people = (person("alice", "License manager"), person("bob", "Approver"))
    call_command("confirm_account", "bob", stdout=StringIO())
    environment.without_rate_limit()
    miro = SandboxControl(urls["api_url"])
    miro.limits(on=False)
    profile = approved_people(Plan(approved=RECLAIMED, by_hand=0, doubts=0, seed=7), urls, people)
    miro.limits(on=True)
    IntegrationProfile.objects.filter(pk=profile.pk).update(download_due_at=database_now())
    return profile


def _cookies() -> list[dict[str, str]]:
    """One session for each admin."""
    from django.contrib.auth.models import User
    from django.test import Client

    found = []
    for number in range(ADMINS):
        client = Client(SERVER_NAME="localhost")
        client.force_login(User.objects.create_superuser(f"admin{number}", f"admin{number}@northwind.example", None))
        found.append({name: morsel.value for name, morsel in client.cookies.items()})
    return found


def _pages(profile: IntegrationProfile) -> list[str]:
    """The pages that an admin opens in a day."""
    from django.urls import reverse

    from subscriptions.models import Subscription

    lists = ("subscription", "removalcandidate", "reclaimrequest", "reclaim", "downloadrun")
    subscriptions, *others = (reverse(f"admin:subscriptions_{name}_changelist") for name in lists)
    people = Subscription.objects.filter(profile=profile).order_by("pk").values_list("pk", flat=True)[:20]
    return [
        reverse("admin:index"),
        *(
            f"{subscriptions}{query}"
            for query in ("", "?verdict=candidate", "?q=ann", "?q=person4711@northwind.example")
        ),
        *others,
        *(reverse("admin:subscriptions_subscription_change", args=[pk]) for pk in people),
    ]


def _browse(url: str, cookies: list[dict[str, str]], pages: list[str], seconds: float) -> list[float]:
    """The seconds of each page that was opened in this time, by all admins."""
    until = time.monotonic() + seconds

    def one(number: int) -> list[float]:
        session, chance, found = requests.Session(), random.Random(number), list[float]()  # noqa: S311 - made up
        session.cookies.update(cookies[number])
        while time.monotonic() < until:
            time.sleep(chance.uniform(*THINK))
            started = time.perf_counter()
            answer = session.get(f"{url}{chance.choice(pages)}", timeout=60, allow_redirects=False)
            found.append(time.perf_counter() - started if answer.status_code == 200 else ERROR)
        return found

    with ThreadPoolExecutor(ADMINS) as pool:
        return [seconds for found in pool.map(one, range(ADMINS)) for seconds in found]


def _p95(times: list[float]) -> float:
    return sorted(times)[int(len(times) * 0.95)]
