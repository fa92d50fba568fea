"""The rows that the cases of `many_rows` need: an organization of many people, and each state of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import Group, User
from django.db import connection
from django.utils import timezone

from benchmarks import generate
from integrations.connectors.contract import Person
from integrations.models import IntegrationProfile
from subscriptions.approvals import decide, request
from subscriptions.approvals.leaving import Keep
from subscriptions.candidates import propose
from subscriptions.eligibility import evaluate
from subscriptions.models import (
    Bucket,
    DownloadRun,
    Evaluation,
    Notice,
    Protection,
    Reclaim,
    ReclaimRequest,
    ReclaimRule,
    RemovalCandidate,
    RequestedRemoval,
    Subscription,
)
from subscriptions.models.subscription import FACTS
from subscriptions.reclaims import restores
from tests.support.fixtures import in_effect, without_caps

MOVED = "CASE WHEN id %% 3 = 0 THEN %s ELSE last_activity_at END"
STAGED = f"""
INSERT INTO subscriptions_downloadedmember (run_id, external_id, {", ".join(FACTS)})
SELECT %s, CASE WHEN id %% 10 = 3 THEN 'new' || external_id ELSE external_id END,
       {", ".join(MOVED if name == "last_activity_at" else name for name in FACTS)}
  FROM subscriptions_subscription
"""  # noqa: S608 - names of our own columns
REPEATED = "INSERT INTO subscriptions_downloadedmember SELECT * FROM subscriptions_downloadedmember"
REPLACED_BY_RUNS = """
INSERT INTO subscriptions_activitysnapshot (subscription_id, run_id, last_activity_at)
SELECT s.id, r.id, %s FROM subscriptions_subscription AS s, subscriptions_downloadrun AS r
 WHERE r.id IN (SELECT id FROM subscriptions_downloadrun ORDER BY id DESC LIMIT 2)
"""
REPLACED_BY_RECHECKS = """
INSERT INTO subscriptions_rechecksnapshot (subscription_id, seen_at, last_activity_at)
SELECT id, %s, %s FROM subscriptions_subscription
"""


def organization(members: int) -> None:
    """Make an organization. Three of four people are candidates, and some were reclaimed before."""
    # Only this table: ANALYZE of all tables would lock those that all databases share.
    statistics = "ANALYZE subscriptions_subscription"
    profile = generate.organization(members=members, reclaims=members // 10, statistics=statistics)
    idle: dict[str, Any] = {"last_activity_at": timezone.now() - timedelta(days=400), "gone_at": None, "active": True}
    idle |= {"license": "full", "reclaimable": True, "role": "organization_internal_user"}
    Subscription.objects.extra(where=["id %% 4 <> 0"]).update(**idle)
    evaluate.evaluate_profile(profile)
    propose.propose_candidates(run())
    without_caps(profile)
    ReclaimRule.objects.update(batch_cap_people=10**6)


def profile() -> IntegrationProfile:
    return IntegrationProfile.objects.get()


def run() -> DownloadRun:
    return DownloadRun.objects.latest("pk")


def user(name: str) -> User:
    found, _ = User.objects.get_or_create(username=name, defaults={"email": f"{name}@admins.example", "is_staff": True})
    if name in ("decides", "raises"):
        found.groups.add(Group.objects.get(name="Approver"))
        in_effect(found)
    return found


def sql(statement: str, *values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values or None)


def staged() -> DownloadRun:
    now = timezone.now()
    run = DownloadRun.objects.create(
        profile=profile(), started_by="command", started_at=now, lease_until=now, read=Subscription.objects.count()
    )
    sql(STAGED, run.pk, now)
    return run


def repeated() -> DownloadRun:
    run = staged()
    sql(REPEATED)
    return run


def people(before: str = "") -> list[Person]:
    ids = Subscription.objects.values_list("external_id", flat=True)
    return [Person(before + pk, name=f"New {pk}", department="D", cost_center="C") for pk in ids]


def ids() -> list[int]:
    return list(Subscription.objects.values_list("pk", flat=True))


def other_letters() -> None:
    Subscription.objects.update(name="Zoë")


def stale() -> None:
    Evaluation.objects.update(verdict="active")


def protected() -> None:
    emails = Subscription.objects.values_list("email", flat=True)[: Subscription.objects.count() // 3]
    same = {"profile": profile(), "reason": "x", "owner": "x", "created_by": user("asks")}
    Protection.objects.bulk_create(Protection(value=email.lower(), **same) for email in emails)
    Evaluation.objects.update(verdict="not_evaluated")


def protected_without_buckets() -> None:
    protected()
    Bucket.objects.all().delete()


def run_out() -> None:
    """A few protections have run out."""
    protected()
    few = list(Protection.objects.values_list("pk", flat=True)[:3])
    Protection.objects.filter(pk__in=few).update(ends_at=timezone.now())


def stale_ids() -> list[int]:
    stale()
    return ids()


def asked() -> ReclaimRequest:
    return request.request_reclaim(RemovalCandidate.objects.all(), actor=user("asks"), reason="Unused")


def rejected(keep: Keep) -> ReclaimRequest:
    made = asked()
    decide.reject(made, actor=user("decides"), comment="No", keep=keep)
    return made


def restore_rejected() -> ReclaimRequest:
    made = restoring()
    decide.reject(made, actor=user("decides"), comment="No")
    return made


def requested_and_stale() -> None:
    asked()
    stale()


def over_its_cap() -> ReclaimRequest:
    made = asked()
    ReclaimRequest.objects.filter(pk=made.pk).update(cap=1)
    made.refresh_from_db()
    return made


def overdue() -> None:
    asked()
    ReclaimRequest.objects.update(expires_at=timezone.now())


def asking() -> ReclaimRequest:
    ReclaimRule.objects.update(notify_user=True)
    return asked()


def silent() -> ReclaimRequest:
    """Everybody was asked, and the days to answer are over."""
    made = asking()
    Notice.objects.update(state="sent", sent_at=timezone.now() - timedelta(days=30))
    return made


def answered() -> None:
    asking()
    RequestedRemoval.objects.update(answer="release")


def approved() -> ReclaimRequest:
    made = asked()
    decide.approve(made, actor=user("decides"))
    return made


def in_state(state: str) -> Callable[[], None]:
    def prepare() -> None:
        made, now = approved(), timezone.now()
        people = list(made.removals.values_list("pk", flat=True))
        values = {"state": state, "sending_at": now, "lease_until": now - timedelta(hours=1)}
        if state == "done":
            values["finished_at"] = now
        Reclaim.objects.filter(removal__in=people).update(**values)
        Subscription.objects.update(active=state != "done")

    return prepare


def lapsed() -> None:
    """The approval of a few people has ended, among many others."""
    made = approved()
    few = list(made.removals.values_list("pk", flat=True)[:20])
    Reclaim.objects.exclude(removal__in=few).update(state="done", finished_at=timezone.now())
    ReclaimRequest.objects.filter(pk=made.pk).update(valid_until=timezone.now())


def restoring() -> ReclaimRequest:
    in_state("done")()
    return restores.request_restore(Reclaim.objects.all(), actor=user("asks"), reason="x")


def ended() -> None:
    in_state("done")()
    Reclaim.objects.update(finished_at=timezone.now() - timedelta(days=3))


def old_history(days: int = 800) -> None:
    then = timezone.now() - timedelta(days=days)
    DownloadRun.objects.update(finished_at=then)
    later = then + timedelta(days=1)
    values = {"state": "complete", "started_by": "command", "finished_at": later, "lease_until": later}
    DownloadRun.objects.create(profile=profile(), **values)
    # Those of the generator are of many runs, which are all of one month now.
    sql("DELETE FROM subscriptions_activitysnapshot")
    sql(REPLACED_BY_RUNS, then)
    sql(REPLACED_BY_RECHECKS, then, then)


def automatic() -> None:
    ReclaimRule.objects.update(file_requests="automatic")
