"""Propose 150,000 candidates out of a million, and approve a request for 50,000 people."""

from __future__ import annotations

from io import StringIO

from benchmarks import environment
from benchmarks.rows import Row, at_most

MEMBERS = 1_000_000
PEOPLE = 50_000
PROPOSED_IN, APPROVED_IN = 10.0, 5.0
MEMORY = 20.0
LIMIT = """
CREATE UNLOGGED TABLE benchmark_limit AS
SELECT id, profile_id, to_jsonb(s) AS evidence FROM subscriptions_subscription AS s
 WHERE EXISTS (SELECT 1 FROM subscriptions_evaluation AS j WHERE j.subscription_id = s.id AND j.verdict = 'candidate')
"""


def propose(members: int = MEMBERS) -> list[Row]:
    """The limit: insert the same rows, as JSON, into a table without a key."""
    from benchmarks.generate import organization

    environment.prepare()
    organization(members=members)
    environment.execute("TRUNCATE subscriptions_removalcandidate CASCADE", "DROP TABLE IF EXISTS benchmark_limit")
    from subscriptions.candidates.propose import propose_candidates
    from subscriptions.models import DownloadRun

    limit, _ = environment.timed(lambda: environment.execute(LIMIT))
    found = DownloadRun.objects.latest("pk")
    before = environment.peak()
    proposed: list[int] = []
    ours, _ = environment.timed(lambda: proposed.append(propose_candidates(found)))
    name = f"propose {proposed[0]:,} of {members:,}"
    return [
        at_most(name, ours, most=PROPOSED_IN, limit=limit, note="with evidence and audit"),
        at_most(f"{name}, memory", environment.peak() - before, most=MEMORY, unit="MB"),
    ]


def approve(people: int = PEOPLE) -> list[Row]:
    """The limit: one row for each person, by one INSERT into a table without a key."""
    from benchmarks.generate import organization

    environment.prepare()
    organization(members=people * 8)
    from django.contrib.auth.models import Group, User
    from django.core.management import call_command
    from django.urls import reverse

    from subscriptions.approvals import decide
    from subscriptions.approvals.request import raise_cap, request_reclaim
    from subscriptions.models import RemovalCandidate

    asks, raises, decides = (
        User.objects.create_user(name, f"{name}@bench.example", "a long password of " + name, is_staff=True)
        for name in ("asks", "raises", "decides")
    )
    Group.objects.get(name="Approver").user_set.add(raises, decides)
    for approver in (raises, decides):
        call_command("confirm_account", approver.username, stdout=StringIO())
    ready = RemovalCandidate.objects.filter(state="ready").order_by("pk").values_list("pk", flat=True)[:people]
    chosen = RemovalCandidate.objects.filter(pk__in=list(ready))
    requested, _ = environment.timed(lambda: request_reclaim(chosen, actor=asks, reason="Benchmark"))
    from subscriptions.models import ReclaimRequest

    request = ReclaimRequest.objects.get()
    raise_cap(request, actor=raises, reason="Benchmark")
    environment.execute("DROP TABLE IF EXISTS benchmark_limit", "VACUUM", "ANALYZE")
    rows = f"CREATE UNLOGGED TABLE benchmark_limit AS SELECT * FROM subscriptions_requestedremoval LIMIT {people}"  # noqa: S608 - names of our own tables
    limit, _ = environment.timed(lambda: environment.execute(rows))
    request.refresh_from_db()
    reverse("admin:index")  # a process that serves pages has loaded all addresses
    done: list[int] = []
    ours, _ = environment.timed(lambda: done.append(decide.approve(request, actor=decides, comment="Benchmark")))
    name = f"approve a request of {done[0]:,}"
    return [at_most(name, ours, most=APPROVED_IN, limit=limit, note=f"signed and audited; asked in {requested:.1f} s")]
