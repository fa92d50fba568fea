"""Measure the sign-in while strangers guess: 10,000 tries, and how long the page takes for everybody else.

Half of the guessers go through some accounts, which are soon paused. The other half has a new name and a new address
for each try, so no limit stops them, and LicenseHub computes a hash for each that gets its turn.
"""

from __future__ import annotations

import multiprocessing
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import requests

from benchmarks import environment
from benchmarks.rows import Row, at_most

GUESSERS = 16
TRIES = 10_000
# The accounts of the first half.
ACCOUNTS = 50
PATH = "/admin/login/"
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
VISIT_EVERY = 0.05
# A person signs in, in a browser that LicenseHub knows.
SIGN_IN_EVERY = 2.0


def run() -> list[Row]:
    environment.prepare()
    environment.prepare_pages()
    names = _accounts()
    # The guessers are another process: here, only the server makes the visitor wait.
    with environment.gunicorn() as url, ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as other:
        quiet, quiet_sign_in = _times(url, names[0], _for_seconds(6))
        started = time.monotonic()
        guessing = other.submit(guess_all, url, names)
        busy, sign_in = _times(url, names[0], lambda: not guessing.done())
        seconds, statuses = time.monotonic() - started, guessing.result()
    note = f"{statuses.total():,} tries in {seconds:.0f} s, {statuses[429]:,} refused; quiet: {quiet * 1000:.0f} ms"
    name = f"sign-in page under {GUESSERS} guessers, p95"
    return [
        at_most(name, busy, most=0.3, limit=quiet, note=note),
        at_most("passwords checked of one account, in it", _checked(), most=_limit(), unit="checks"),
        Row("sign-in of a known browser in it, p95", quiet_sign_in, sign_in, sign_in / quiet_sign_in),
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


def _for_seconds(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() < end


def _times(url: str, name: str, going: Callable[[], bool]) -> tuple[float, float]:
    """The 95th percentile of the page and of the sign-ins of this person, in seconds."""
    sign_ins: list[float] = []

    def sign_in() -> None:
        while going():
            sign_ins.append(_known_browser(url, name))
            time.sleep(SIGN_IN_EVERY)

    person = threading.Thread(target=sign_in)
    person.start()
    pages = []
    while going():
        started = time.perf_counter()
        requests.get(f"{url}{PATH}", timeout=60).raise_for_status()
        pages.append(time.perf_counter() - started)
        time.sleep(VISIT_EVERY)
    person.join()
    return _p95(pages), _p95(sign_ins)


def _p95(times: list[float]) -> float:
    return sorted(times)[int(len(times) * 0.95)]


def guess_all(url: str, names: list[str]) -> Counter[int]:
    """All tries. Returns how often each status was answered."""
    with ThreadPoolExecutor(GUESSERS) as pool:
        return sum(pool.map(lambda number: _guess(url, number, names), range(GUESSERS)), Counter())


def _guess(url: str, number: int, names: list[str]) -> Counter[int]:
    session, statuses = requests.Session(), Counter[int]()
    token = TOKEN.search(session.get(f"{url}{PATH}", timeout=60).text)
    assert token  # noqa: S101 - a benchmark
    for attempt in range(TRIES // GUESSERS):
        if number % 2:
            name, address = f"nobody{number}.{attempt}", f"198.{number}.{attempt // 250}.{attempt % 250 + 1}"
        else:
            name, address = names[(attempt + number) % len(names)], f"198.51.{number}.{attempt // 100}"
        form = {"csrfmiddlewaretoken": token[1], "username": name, "password": f"guess {attempt}"}
        answer = session.post(f"{url}{PATH}", form, headers={"X-Forwarded-For": address}, timeout=120)
        statuses[answer.status_code] += 1
    return statuses


def _known_browser(url: str, name: str) -> float:
    """A person who signed in here before still can, although the account is paused. Returns the seconds it takes."""
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
