"""Measure the sign-in while strangers guess: 10,000 tries, and how long the page takes for everybody else."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator

import requests

from benchmarks import environment
from benchmarks.rows import Row, at_most

GUESSERS = 16
TRIES = 10_000
# Each guesser goes through these accounts, from addresses of their own.
ACCOUNTS = 50
PATH = "/admin/login/"
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
VISIT_EVERY = 0.05


def run() -> list[Row]:
    environment.prepare()
    environment.prepare_pages()
    names = _accounts()
    with _served() as url:
        quiet = _page_times(url, until=time.monotonic() + 5)
        statuses: Counter[int] = Counter()
        guessing = [threading.Thread(target=_guess, args=(url, number, names, statuses)) for number in range(GUESSERS)]
        started = time.monotonic()
        for thread in guessing:
            thread.start()
        busy = _page_times(url, while_any=guessing)
        seconds = time.monotonic() - started
        known = _known_browser(url, names[0])
    tried = sum(statuses.values())
    note = f"{tried:,} tries in {seconds:.0f} s, {statuses[429]:,} refused; quiet: {quiet * 1000:.0f} ms"
    name = f"sign-in page under {GUESSERS} guessers, p95"
    return [
        at_most(name, busy, most=0.3, limit=quiet, note=note),
        at_most("passwords checked of one account, in it", _checked(), most=_limit(), unit="checks"),
        Row("sign-in of a known browser after it", 0, known, 0, note="the account is still paused for others"),
    ]


def _limit() -> int:
    """The tries of one account in a pause, and those that were under way when the last of them was counted."""
    from django.conf import settings

    return int(settings.SIGN_IN_TRIES + settings.PASSWORD_CHECKS + settings.PASSWORD_CHECKS_WAITING)


def _checked() -> int:
    """The most that axes has counted for one account."""
    from axes.models import AccessAttempt
    from django.db.models import Sum

    rows = AccessAttempt.objects.values("username").annotate(total=Sum("failures_since_start"))
    return max((row["total"] for row in rows), default=0)


def _accounts() -> list[str]:
    from django.contrib.auth.models import User

    names = [f"person{number}" for number in range(ACCOUNTS)]
    for name in names:
        User.objects.create_user(name, f"{name}@northwind.example", f"a long password of {name}", is_staff=True)
    return names


@contextlib.contextmanager
def _served() -> Iterator[str]:
    """gunicorn as `manage.py run` starts it, behind one proxy, so that each guesser has addresses."""
    from licensehub.embedded.processes import LOOPBACK, free_port

    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--config", "python:licensehub.gunicorn", "licensehub.wsgi"]
    command += ["--bind", f"{LOOPBACK}:{port}", "--workers", "2", "--threads", "4", "--no-control-socket"]
    surroundings = {**os.environ, "BEHIND_PROXY": "on", "HTTPS": "off"}
    server = subprocess.Popen(command, env=surroundings)  # noqa: S603 - our own command
    url = f"http://{LOOPBACK}:{port}"
    try:
        _wait_for(url)
        yield url
    finally:
        server.terminate()
        server.wait(30)


def _wait_for(url: str) -> None:
    for _ in range(200):
        with contextlib.suppress(requests.ConnectionError):
            if requests.get(f"{url}/health/live", timeout=5).ok:
                return
        time.sleep(0.1)
    raise RuntimeError("gunicorn did not start.")


def _page_times(url: str, *, until: float = 0.0, while_any: list[threading.Thread] | None = None) -> float:
    """The 95th percentile of the time of the sign-in page, in seconds, for one visitor after another."""
    times = []
    while time.monotonic() < until or any(thread.is_alive() for thread in while_any or ()):
        started = time.perf_counter()
        requests.get(f"{url}{PATH}", timeout=60).raise_for_status()
        times.append(time.perf_counter() - started)
        time.sleep(VISIT_EVERY)
    return sorted(times)[int(len(times) * 0.95)]


def _guess(url: str, number: int, names: list[str], statuses: Counter[int]) -> None:
    """Try all accounts in turn, from a new address every hundred tries."""
    session = requests.Session()
    token = TOKEN.search(session.get(f"{url}{PATH}", timeout=60).text)
    assert token  # noqa: S101 - a benchmark
    for attempt in range(TRIES // GUESSERS):
        form = {"csrfmiddlewaretoken": token[1], "username": names[(attempt + number) % len(names)]}
        headers = {"X-Forwarded-For": f"198.51.{number}.{attempt // 100}"}
        answer = session.post(f"{url}{PATH}", {**form, "password": f"guess {attempt}"}, headers=headers, timeout=120)
        statuses[answer.status_code] += 1


def _known_browser(url: str, name: str) -> float:
    """A person who signed in here before still can. Returns the seconds that it takes."""
    from django.core import signing

    from licensehub.sign_in.sessions.devices import COOKIE, SALT

    session = requests.Session()
    session.cookies.set(COOKIE, signing.dumps({name: "benchmark"}, salt=SALT))
    token = TOKEN.search(session.get(f"{url}{PATH}", timeout=60).text)
    assert token  # noqa: S101 - a benchmark
    form = {"csrfmiddlewaretoken": token[1], "username": name, "password": f"a long password of {name}"}
    started = time.perf_counter()
    answer = session.post(f"{url}{PATH}", form, allow_redirects=False, timeout=60)
    assert answer.status_code == 302, answer.status_code  # noqa: S101 - a benchmark
    return time.perf_counter() - started
