"""Measure which steps and pages become slower with more people: at 10,000, 100,000 and 1,000,000.

The time of a step is divided by the number of people, the time of a page is not. All steps run the code of a download.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from django.urls import reverse

from benchmarks import environment
from benchmarks.rows import Row
from benchmarks.rows.web import lists

if TYPE_CHECKING:
    from integrations.models import IntegrationProfile

SIZES = (10_000, 100_000, 1_000_000)
CHURN = 5.0


def run(sizes: tuple[int, ...] = SIZES) -> list[Row]:
    environment.prepare()
    environment.prepare_pages()
    environment.without_rate_limit()
    with environment.valkey():
        found = [_measured(size) for size in sizes]
    return [_row(name, sizes, [one[name] for one in found]) for name in found[0]]


def _row(name: str, sizes: Sequence[int], values: Sequence[float]) -> Row:
    """The limit is the smallest organization, ours the largest."""
    what, _, unit = name.rpartition(", ")
    note = "; ".join(f"{size:,}: {value:,.1f} {unit}" for size, value in zip(sizes, values, strict=True))
    return Row(f"growth: {what}", values[0], values[-1], values[-1] / values[0], note, unit=unit)


def _measured(size: int) -> dict[str, float]:
    environment.execute(
        "TRUNCATE integrations_integrationprofile, subscriptions_subscription, subscriptions_evaluation CASCADE"
    )
    with environment.served(size, churn=CHURN) as url:
        profile = environment.connected(url)
        found = {
            "download, first, µs": _each(size, lambda: environment.download(profile)),
            "download, nothing changed, µs": _each(size, lambda: environment.download(profile)),
        }
        environment.turn(url, 2)
        found["download, 5 % churn, µs"] = _each(size, lambda: environment.download(profile))
    return {**found, **_after(profile, size), **_pages()}


def _each(people: int, act: Callable[[], object]) -> float:
    """Microseconds by the clock for each person."""
    return environment.timed(act)[0] / people * 1e6


def _after(profile: IntegrationProfile, size: int) -> dict[str, float]:
    """The steps that follow a download."""
    from subscriptions.candidates.propose import propose_candidates
    from subscriptions.eligibility.buckets import count_buckets
    from subscriptions.eligibility.evaluate import evaluate_profile
    from subscriptions.models import Subscription
    from subscriptions.search import refresh_search

    found = {
        "texts of the search, µs": _each(size, lambda: refresh_search(profile)),
        "verdicts, first, µs": _each(size, lambda: evaluate_profile(profile)),
        "verdicts, nothing new, µs": _each(size, lambda: evaluate_profile(profile)),
        "buckets for the previews, µs": _each(size, lambda: count_buckets(profile)),
    }
    run = profile.download_runs.filter(state="complete").latest("pk")
    idle = Subscription.objects.candidates().count()
    found["propose, for each candidate, µs"] = _each(idle, lambda: propose_candidates(run))
    environment.execute("VACUUM ANALYZE")
    return found


def _pages() -> dict[str, float]:
    """The median of each page, in milliseconds."""
    subscriptions = reverse("admin:subscriptions_subscription_changelist")
    times = lists.measure(
        {
            "overview": reverse("admin:index"),
            "subscriptions": subscriptions,
            "subscriptions, last page": f"{subscriptions}?p=last",
            "subscriptions of one verdict": f"{subscriptions}?verdict=candidate",
            "search for an address": f"{subscriptions}?q=last4700@northwind.example",
            "candidates": reverse("admin:subscriptions_removalcandidate_changelist"),
        }
    )
    return {f"{name}, ms": statistics.median(of_page) * 1000 for name, of_page in times.items()}
