"""All operations of the application on many rows, each with the rows that it needs. They are for PostgreSQL only.

`prepared_rows` makes the organization and these rows. After each `prepare` the statistics are right, until `plans`
makes them wrong.
"""

from __future__ import annotations

from django.utils import timezone

from integrations.connectors.contract import Allocation, Person
from subscriptions import search, stats, sweep
from subscriptions.activity import retention, snapshots
from subscriptions.approvals import closing, collecting, decide, request, splitting, undo
from subscriptions.approvals.leaving import SEND_BACK
from subscriptions.candidates import actions, caps, propose, withdraw
from subscriptions.downloads import directory, team_admins
from subscriptions.downloads.facts import merge, staging, validation
from subscriptions.eligibility import buckets, evaluate, past_counts, people_counts, preview
from subscriptions.eligibility.terms import current_terms
from subscriptions.evidence.rows.people import findings_of_answers, verify_people
from subscriptions.models import (
    DownloadRun,
    Evaluation,
    Protection,
    Reclaim,
    ReclaimRequest,
    ReclaimRule,
    RemovalCandidate,
    SearchText,
    Subscription,
)
from subscriptions.models.protection import count_people
from subscriptions.money import candidate_seats, verified_seats
from subscriptions.notices import delivery
from subscriptions.profiles import archive
from subscriptions.reclaims import restores
from subscriptions.reconciliation import reconcile
from subscriptions.rules import binding, protections
from tests.support.data import prepared_rows as rows
from tests.support.data.plans import Case
from tests.support.people.keeping import PROTECT, pause

# One function, so that its rows are prepared once for all of these cases.
DONE = rows.in_state("done")
WISH = protections.ProtectionInput("Works alone", "Ann")


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
    directory.gather(rows.run(), people + people)
    directory.write_gathered(rows.run())


def _evaluate_these(ids: list[int]) -> None:
    evaluate.evaluate_rows(Subscription.objects.filter(pk__in=ids), current_terms(rows.profile().pk))


def _ask_all(_: object) -> None:
    delivery.profiles_to_ask()
    delivery.repair()
    delivery.Notices(rows.profile()).next_mail()
    delivery.Notices(rows.profile()).put_off("x")


def _preview(_: object) -> None:
    preview.preview_rule(rows.profile(), current_terms(rows.profile().pk))


def _caps(_: object) -> None:
    caps.caps_of(rows.profile())
    caps.free_at(rows.profile())
    for made in ReclaimRequest.objects.filter(state="approved").order_by("-pk")[:3]:
        caps.reached(rows.profile(), made, rolling=10**6)


CASES = [
    Case("merge", lambda run: merge.merge(run, now=timezone.now()), rows.staged),
    Case("preview of a merge", lambda run: (merge.preview_merge(run), merge.leaving(run, count=20)), rows.staged),
    Case("is it plausible", _check_plausible, lambda: (rows.staged(), SearchText.objects.count())[0]),
    Case("repeated members", _drop_repeated, rows.repeated),
    Case("statistics of a run", lambda _: stats.run_stats(rows.profile(), now=timezone.now())),
    Case("numbers of a profile", lambda _: stats.profile_stats(rows.profile(), None)),
    Case("names", _names, rows.people),
    Case("names of people whom nobody knows", _names, lambda: rows.people("x")),
    Case(
        "team admins",
        lambda ids: team_admins.write_sole_admins(rows.profile(), dict.fromkeys(ids, ("Design",))),
        lambda: list(Subscription.objects.values_list("external_id", flat=True))[::10],
    ),
    Case("search, first", lambda _: search.refresh_search(rows.profile()), lambda: SearchText.objects.all().delete()),
    Case("search, other letters", lambda _: search.refresh_search(rows.profile()), rows.other_letters),
    Case(
        "copies beside candidates",
        lambda _: search.refresh_search(rows.profile()),
        lambda: RemovalCandidate.objects.update(person_text="x"),
    ),
    Case("search for people", lambda _: list(Subscription.objects.filter(search.matching("pk", "tester"))[:50])),
    Case(
        "verdicts, first",
        lambda _: evaluate.evaluate_profile(rows.profile()),
        lambda: Evaluation.objects.all().delete(),
    ),
    Case("verdicts, again", lambda _: evaluate.evaluate_profile(rows.profile()), rows.stale),
    Case("verdicts, with protections", lambda _: evaluate.evaluate_profile(rows.profile()), rows.protected),
    Case("verdicts of chosen people", _evaluate_these, rows.stale_ids),
    Case("cool-down", lambda ids: actions.cool_down(ids, days=lambda license: 60, reason="x"), rows.ids),
    Case(
        "propose",
        lambda _: propose.propose_candidates(rows.run()),
        lambda: rows.sql("SET CONSTRAINTS ALL IMMEDIATE; TRUNCATE subscriptions_removalcandidate CASCADE"),
    ),
    Case("withdraw", lambda _: withdraw.withdraw(rows.profile().pk), rows.requested_and_stale),
    Case("buckets", lambda _: buckets.count_buckets(rows.profile()), rows.protected),
    Case("current counts", lambda _: people_counts.current_counts(rows.profile())),
    Case("preview of a rule", _preview),
    Case("preview of a rule, before the first buckets", _preview, rows.protected_without_buckets),
    Case("request", lambda _: rows.asked()),
    Case(
        "request in parts",
        lambda _: splitting.request_split(
            RemovalCandidate.objects.all(), actor=rows.user("asks"), reason="", split=splitting.Split.SEVERAL
        ),
        lambda: ReclaimRule.objects.update(batch_cap_people=RemovalCandidate.objects.count() // 3),
    ),
    Case("request that asks", lambda _: rows.asking()),
    Case("automatic request", lambda _: request.file_automatically(rows.profile()), rows.automatic),
    Case(
        "raise a cap", lambda made: request.raise_cap(made, actor=rows.user("raises"), reason="Many"), rows.over_its_cap
    ),
    Case("approve", lambda made: decide.approve(made, actor=rows.user("decides")), rows.asked),
    Case("reject", lambda made: decide.reject(made, actor=rows.user("decides"), comment="No"), rows.asked),
    Case(
        "reject and pause",
        lambda made: decide.reject(made, actor=rows.user("decides"), comment="No", keep=pause()),
        rows.asked,
    ),
    Case(
        "reject and protect",
        lambda made: decide.reject(made, actor=rows.user("decides"), comment="No", keep=PROTECT),
        rows.asked,
    ),
    Case(
        "take back a rejection with a pause",
        lambda made: undo.take_back_rejection(made, actor=rows.user("decides")),
        lambda: rows.rejected(pause()),
    ),
    Case(
        "take back a rejection with protections",
        lambda made: undo.take_back_rejection(made, actor=rows.user("decides")),
        lambda: rows.rejected(PROTECT),
    ),
    Case(
        "take back a rejection",
        lambda made: undo.take_back_rejection(made, actor=rows.user("decides")),
        lambda: rows.rejected(SEND_BACK),
    ),
    Case(
        "take back the rejection of a restore",
        lambda made: undo.take_back_rejection(made, actor=rows.user("decides")),
        rows.restore_rejected,
    ),
    Case("withdraw a request", lambda made: closing.cancel(made, actor=rows.user("asks")), rows.asked),
    Case("expire", lambda _: closing.expire_requests(), rows.overdue),
    Case("start the days to answer", lambda _: collecting.close_collections(), rows.silent),
    Case("open for approval", lambda _: collecting.close_collections(), rows.answered),
    Case("caps", _caps, DONE),
    Case(
        "request a restore",
        lambda _: restores.request_restore(Reclaim.objects.all(), actor=rows.user("asks"), reason="x"),
        DONE,
    ),
    Case("approve a restore", lambda made: decide.approve(made, actor=rows.user("decides")), rows.restoring),
    Case("people of the past", lambda _: past_counts.count_past(rows.profile()), lambda: rows.old_history(30)),
    Case("verified seats", lambda _: verified_seats.count_verified(rows.profile()), rows.ended),
    Case("candidates of the overview", lambda _: candidate_seats.count_candidates(rows.profile())),
    Case("retention", lambda _: retention.thin_past_activity(), rows.old_history),
    Case("remove old history", lambda _: retention._remove(rows.profile(), timezone.now()), rows.old_history),
    Case("past activity", lambda _: list(snapshots.as_of(rows.profile(), timezone.now())), rows.old_history),
    Case(
        "protect a domain",
        lambda _: protections.create_protection(
            rows.profile(), "domain", "northwind.example", WISH, actor=rows.user("asks")
        ),
    ),
    Case(
        "protect people",
        lambda people: protections.protect_people(rows.profile(), people, WISH, actor=rows.user("asks")),
        lambda: list(Subscription.objects.all()[::3]),
    ),
    Case("end protections", lambda _: protections.end_run_out(), rows.run_out),
    Case("count protected people", lambda _: count_people(Protection.objects.all()), rows.protected),
    Case("abandoned claims", lambda _: sweep.recover_claims(), rows.in_state("claimed")),
    Case("abandoned sends", lambda _: sweep.recover_sends(), rows.in_state("sending")),
    Case("items given up", lambda _: sweep.end_given_up(), rows.in_state("queued")),
    Case("lapsed approvals", lambda _: sweep.lapse_approvals(), rows.lapsed),
    Case("repair", lambda _: sweep.repair(), rows.asking),
    Case("due profiles", lambda _: (sweep.profiles_to_reclaim(), sweep.profiles_to_download()), rows.approved),
    Case("due mails", _ask_all, rows.asking),
    Case("needless mails", lambda _: delivery.repair(), rows.answered),
    Case("reconciliation", lambda _: reconcile.last_sends(rows.profile(), timezone.now()), DONE),
    Case("bind protections", lambda _: binding.bind_protections(rows.profile()), rows.protected),
    Case("compare people with the audit", lambda _: list(verify_people()), rows.approved),
    Case(
        "changed answers of a request",
        lambda request: findings_of_answers(request, list(request.removals.all())),
        rows.approved,
    ),
    Case("archive", lambda _: archive._end_everything(rows.profile(), actor=rows.user("asks")), rows.asked),
]
