"""All operations of the application on many rows, each with the rows that it needs. They are for PostgreSQL only.

The organization has `members` people, and most of them are candidates. After each `prepare` the statistics are right,
until `plans` makes them wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from benchmarks import generate
from integrations.connectors.contract import Allocation, Person
from integrations.models import IntegrationProfile
from subscriptions import search, stats, sweep
from subscriptions.activity import retention, snapshots
from subscriptions.approvals import closing, collecting, decide, request, splitting, undo
from subscriptions.approvals.leaving import SEND_BACK, Keep
from subscriptions.candidates import actions, caps, propose, withdraw
from subscriptions.downloads import directory, merge, staging, team_admins, validation
from subscriptions.eligibility import buckets, evaluate, past_counts, people_counts, preview
from subscriptions.eligibility.terms import current_terms
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
    SearchText,
    Subscription,
)
from subscriptions.models.protection import count_people
from subscriptions.models.subscription import FACTS
from subscriptions.money import verified_seats
from subscriptions.notices import delivery
from subscriptions.profiles import archive
from subscriptions.reclaims import restores
from subscriptions.reconciliation import reconcile
from subscriptions.rules import binding, protections
from tests.support.fixtures import without_caps
from tests.support.keeping import PROTECT, pause
from tests.support.plans import Case

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
"""
REPLACED_BY_RECHECKS = """
INSERT INTO subscriptions_rechecksnapshot (subscription_id, seen_at, last_activity_at)
SELECT id, %s, %s FROM subscriptions_subscription
"""
WISH = protections.ProtectionInput("Works alone", "Ann")


def organization(members: int) -> None:
    """Make an organization. Three of four people are candidates, and some were reclaimed before."""
    # Only this table: ANALYZE of all tables would lock those that all databases share.
    statistics = "ANALYZE subscriptions_subscription"
    profile = generate.organization(members=members, reclaims=members // 10, statistics=statistics)
    idle: dict[str, Any] = {"last_activity_at": timezone.now() - timedelta(days=400), "gone_at": None, "active": True}
    idle |= {"license": "full", "reclaimable": True, "role": "organization_internal_user"}
    Subscription.objects.extra(where=["id %% 4 <> 0"]).update(**idle)
    evaluate.evaluate_profile(profile)
    propose.propose_candidates(DownloadRun.objects.get())
    without_caps(profile)
    ReclaimRule.objects.update(batch_cap_people=10**6)


def _profile() -> IntegrationProfile:
    return IntegrationProfile.objects.get()


def _run() -> DownloadRun:
    return DownloadRun.objects.latest("pk")


def _user(name: str) -> User:
    return User.objects.get_or_create(username=name, defaults={"email": f"{name}@admins.example"})[0]


def _sql(statement: str, *values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values or None)


# --- The rows that the cases need -------------------------------------------------------------------------------------


def _staged() -> DownloadRun:
    now = timezone.now()
    run = DownloadRun.objects.create(
        profile=_profile(), started_by="command", started_at=now, lease_until=now, read=Subscription.objects.count()
    )
    _sql(STAGED, run.pk, now)
    return run


def _repeated() -> DownloadRun:
    run = _staged()
    _sql(REPEATED)
    return run


def _people(before: str = "") -> list[Person]:
    ids = Subscription.objects.values_list("external_id", flat=True)
    return [Person(before + pk, name=f"New {pk}", department="D", cost_center="C") for pk in ids]


def _ids() -> list[int]:
    return list(Subscription.objects.values_list("pk", flat=True))


def _other_letters() -> None:
    Subscription.objects.update(name="Zoë")


def _stale() -> None:
    Evaluation.objects.update(verdict="active")


def _protected() -> None:
    emails = Subscription.objects.values_list("email", flat=True)[: Subscription.objects.count() // 3]
    same = {"profile": _profile(), "reason": "x", "owner": "x", "created_by": _user("asks")}
    Protection.objects.bulk_create(Protection(value=email.lower(), **same) for email in emails)
    Evaluation.objects.update(verdict="not_evaluated")


def _protected_without_buckets() -> None:
    _protected()
    Bucket.objects.all().delete()


def _run_out() -> None:
    """A few protections have run out."""
    _protected()
    few = list(Protection.objects.values_list("pk", flat=True)[:3])
    Protection.objects.filter(pk__in=few).update(ends_at=timezone.now())


def _stale_ids() -> list[int]:
    _stale()
    return _ids()


def _asked() -> ReclaimRequest:
    return request.request_reclaim(RemovalCandidate.objects.all(), actor=_user("asks"), reason="Unused")


def _rejected(keep: Keep) -> ReclaimRequest:
    made = _asked()
    decide.reject(made, actor=_user("decides"), comment="No", keep=keep)
    return made


def _restore_rejected() -> ReclaimRequest:
    made = _restoring()
    decide.reject(made, actor=_user("decides"), comment="No")
    return made


def _requested_and_stale() -> None:
    _asked()
    _stale()


def _over_its_cap() -> ReclaimRequest:
    made = _asked()
    ReclaimRequest.objects.filter(pk=made.pk).update(cap=1)
    made.refresh_from_db()
    return made


def _overdue() -> None:
    _asked()
    ReclaimRequest.objects.update(expires_at=timezone.now())


def _asking() -> ReclaimRequest:
    ReclaimRule.objects.update(notify_user=True)
    return _asked()


def _silent() -> ReclaimRequest:
    """Everybody was asked, and the days to answer are over."""
    made = _asking()
    Notice.objects.update(state="sent", sent_at=timezone.now() - timedelta(days=30))
    return made


def _answered() -> None:
    _asking()
    RequestedRemoval.objects.update(answer="release")


def _approved() -> ReclaimRequest:
    made = _asked()
    decide.approve(made, actor=_user("decides"))
    return made


def _in_state(state: str) -> Callable[[], None]:
    def prepare() -> None:
        made, now = _approved(), timezone.now()
        people = list(made.removals.values_list("pk", flat=True))
        values = {"state": state, "sending_at": now, "lease_until": now - timedelta(hours=1)}
        if state == "done":
            values["finished_at"] = now
        Reclaim.objects.filter(removal__in=people).update(**values)
        Subscription.objects.update(active=state != "done")

    return prepare


def _lapsed() -> None:
    """The approval of a few people has ended, among many others."""
    made = _approved()
    few = list(made.removals.values_list("pk", flat=True)[:20])
    Reclaim.objects.exclude(removal__in=few).update(state="done", finished_at=timezone.now())
    ReclaimRequest.objects.filter(pk=made.pk).update(valid_until=timezone.now())


def _restoring() -> ReclaimRequest:
    _in_state("done")()
    return restores.request_restore(Reclaim.objects.all(), actor=_user("asks"), reason="x")


def _ended() -> None:
    _in_state("done")()
    Reclaim.objects.update(finished_at=timezone.now() - timedelta(days=3))


def _old_history(days: int = 800) -> None:
    then = timezone.now() - timedelta(days=days)
    DownloadRun.objects.update(finished_at=then)
    later = then + timedelta(days=1)
    values = {"state": "complete", "started_by": "command", "finished_at": later, "lease_until": later}
    DownloadRun.objects.create(profile=_profile(), **values)
    _sql(REPLACED_BY_RUNS, then)
    _sql(REPLACED_BY_RECHECKS, then, then)


def _automatic() -> None:
    ReclaimRule.objects.update(file_requests="automatic")


# --- The cases --------------------------------------------------------------------------------------------------------


def _check_plausible(run: DownloadRun) -> None:
    answer = Allocation(organization_id=run.profile.organization_id, organization_name="", plan="", purchased={})
    validation.check_plausible(run, answer, repeated=0)


def _drop_repeated(run: DownloadRun) -> None:
    staging.counts(run)
    staging.contradiction(run)
    staging.drop_repeated(run)
    staging.empty_all(run.profile)


def _names(people: list[Person]) -> None:
    # The directory shows them on two pages each.
    directory.gather(_run(), people + people)
    directory.write_gathered(_run())


def _evaluate_these(ids: list[int]) -> None:
    evaluate.evaluate_rows(Subscription.objects.filter(pk__in=ids), current_terms(_profile().pk))


def _ask_all(_: object) -> None:
    delivery.profiles_to_ask()
    delivery.repair()
    delivery.Notices(_profile()).next_mail()
    delivery.Notices(_profile()).put_off("x")


def _preview(_: object) -> None:
    preview.preview_rule(_profile(), current_terms(_profile().pk))


def _caps(_: object) -> None:
    caps.caps_of(_profile())
    caps.free_at(_profile())
    for made in ReclaimRequest.objects.filter(state="approved").order_by("-pk")[:3]:
        caps.reached(_profile(), made, rolling=10**6)


CASES = [
    Case("merge", lambda run: merge.merge(run, now=timezone.now()), _staged),
    Case("preview of a merge", lambda run: (merge.preview_merge(run), merge.leaving(run, count=20)), _staged),
    Case("is it plausible", _check_plausible, lambda: (_staged(), SearchText.objects.count())[0]),
    Case("repeated members", _drop_repeated, _repeated),
    Case("statistics of a run", lambda _: stats.run_stats(_profile(), now=timezone.now())),
    Case("numbers of a profile", lambda _: stats.profile_stats(_profile(), None)),
    Case("names", _names, _people),
    Case("names of people whom nobody knows", _names, lambda: _people("x")),
    Case(
        "team admins",
        lambda ids: team_admins.write_sole_admins(_profile(), dict.fromkeys(ids, ("Design",))),
        lambda: list(Subscription.objects.values_list("external_id", flat=True))[::10],
    ),
    Case("search, first", lambda _: search.refresh_search(_profile()), lambda: SearchText.objects.all().delete()),
    Case("search, other letters", lambda _: search.refresh_search(_profile()), _other_letters),
    Case("search for people", lambda _: list(Subscription.objects.filter(search.matching("pk", "tester"))[:50])),
    Case("verdicts, first", lambda _: evaluate.evaluate_profile(_profile()), lambda: Evaluation.objects.all().delete()),
    Case("verdicts, again", lambda _: evaluate.evaluate_profile(_profile()), _stale),
    Case("verdicts, with protections", lambda _: evaluate.evaluate_profile(_profile()), _protected),
    Case("verdicts of chosen people", _evaluate_these, _stale_ids),
    Case("cool-down", lambda ids: actions.cool_down(ids, days=lambda license: 60, reason="x"), _ids),
    Case(
        "propose",
        lambda _: propose.propose_candidates(_run()),
        lambda: _sql("SET CONSTRAINTS ALL IMMEDIATE; TRUNCATE subscriptions_removalcandidate CASCADE"),
    ),
    Case("withdraw", lambda _: withdraw.withdraw(_profile().pk), _requested_and_stale),
    Case("buckets", lambda _: buckets.count_buckets(_profile()), _protected),
    Case("current counts", lambda _: people_counts.current_counts(_profile())),
    Case("preview of a rule", _preview),
    Case("preview of a rule, before the first buckets", _preview, _protected_without_buckets),
    Case("request", lambda _: _asked()),
    Case(
        "request in parts",
        lambda _: splitting.request_split(
            RemovalCandidate.objects.all(), actor=_user("asks"), reason="", split=splitting.Split.SEVERAL
        ),
        lambda: ReclaimRule.objects.update(batch_cap_people=RemovalCandidate.objects.count() // 3),
    ),
    Case("request that asks", lambda _: _asking()),
    Case("automatic request", lambda _: request.file_automatically(_profile()), _automatic),
    Case("raise a cap", lambda made: request.raise_cap(made, actor=_user("raises"), reason="Many"), _over_its_cap),
    Case("approve", lambda made: decide.approve(made, actor=_user("decides")), _asked),
    Case("reject", lambda made: decide.reject(made, actor=_user("decides"), comment="No"), _asked),
    Case(
        "reject and pause",
        lambda made: decide.reject(made, actor=_user("decides"), comment="No", keep=pause()),
        _asked,
    ),
    Case(
        "reject and protect",
        lambda made: decide.reject(made, actor=_user("decides"), comment="No", keep=PROTECT),
        _asked,
    ),
    Case(
        "take back a rejection with a pause",
        lambda made: undo.take_back_rejection(made, actor=_user("decides")),
        lambda: _rejected(pause()),
    ),
    Case(
        "take back a rejection with protections",
        lambda made: undo.take_back_rejection(made, actor=_user("decides")),
        lambda: _rejected(PROTECT),
    ),
    Case(
        "take back a rejection",
        lambda made: undo.take_back_rejection(made, actor=_user("decides")),
        lambda: _rejected(SEND_BACK),
    ),
    Case(
        "take back the rejection of a restore",
        lambda made: undo.take_back_rejection(made, actor=_user("decides")),
        _restore_rejected,
    ),
    Case("withdraw a request", lambda made: closing.cancel(made, actor=_user("asks")), _asked),
    Case("expire", lambda _: closing.expire_requests(), _overdue),
    Case("start the days to answer", lambda _: collecting.close_collections(), _silent),
    Case("open for approval", lambda _: collecting.close_collections(), _answered),
    Case("caps", _caps, _in_state("done")),
    Case(
        "request a restore",
        lambda _: restores.request_restore(Reclaim.objects.all(), actor=_user("asks"), reason="x"),
        _in_state("done"),
    ),
    Case("approve a restore", lambda made: decide.approve(made, actor=_user("decides")), _restoring),
    Case("people of the past", lambda _: past_counts.count_past(_profile()), lambda: _old_history(30)),
    Case("verified seats", lambda _: verified_seats.count_verified(_profile()), _ended),
    Case("retention", lambda _: retention.thin_past_activity(), _old_history),
    Case("past activity", lambda _: list(snapshots.as_of(_profile(), timezone.now())), _old_history),
    Case(
        "protect a domain",
        lambda _: protections.create_protection(_profile(), "domain", "northwind.example", WISH, actor=_user("asks")),
    ),
    Case(
        "protect people",
        lambda people: protections.protect_people(_profile(), people, WISH, actor=_user("asks")),
        lambda: list(Subscription.objects.all()[::3]),
    ),
    Case("end protections", lambda _: protections.end_run_out(), _run_out),
    Case("count protected people", lambda _: count_people(Protection.objects.all()), _protected),
    Case("abandoned claims", lambda _: sweep.recover_claims(), _in_state("claimed")),
    Case("abandoned sends", lambda _: sweep.recover_sends(), _in_state("sending")),
    Case("lapsed approvals", lambda _: sweep.lapse_approvals(), _lapsed),
    Case("repair", lambda _: sweep.repair(), _asking),
    Case("due profiles", lambda _: (sweep.profiles_to_reclaim(), sweep.profiles_to_download()), _approved),
    Case("due mails", _ask_all, _asking),
    Case("needless mails", lambda _: delivery.repair(), _answered),
    Case("reconciliation", lambda _: reconcile.last_sends(_profile(), timezone.now()), _in_state("done")),
    Case("bind protections", lambda _: binding.bind_protections(_profile()), _protected),
    Case("archive", lambda _: archive._end_everything(_profile(), actor=_user("asks")), _asked),
]
