"""The follow-up of a run: each step is continued after a kill, in parts, and never done by two processes."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from integrations.connectors.contract import DirectoryPage, TransientError
from integrations.connectors.miro import scim
from integrations.connectors.miro.connector import MiroConnector
from integrations.connectors.miro.rest import teams
from integrations.models import Connection, IntegrationProfile
from subscriptions import sweep
from subscriptions.downloads import directory, follow_up, follow_up_steps, lease, outages, team_admins
from subscriptions.downloads import run as downloading
from subscriptions.downloads.lease import LeaseLost
from subscriptions.downloads.parts import Part, PartOver
from subscriptions.downloads.run import download_subscriptions
from subscriptions.eligibility import evaluate
from subscriptions.models import (
    DownloadedPerson,
    DownloadRun,
    Evaluation,
    ReclaimRequest,
    ReclaimRule,
    RemovalCandidate,
    SoleTeamAdmin,
    Subscription,
)
from subscriptions.models.download import STEPS, FollowUp, StartedBy
from subscriptions.profiles.archive import archive
from subscriptions.rules.evaluation import evaluate_again
from subscriptions.rules.rules import change_rule
from tests.support.fixtures import MEMBERS, World, actions
from tests.support.web.pages import text_of

BEFORE = timedelta(seconds=1)


def run(world: World, **options) -> DownloadRun:
    return download_subscriptions(world.profile, actor=None, started_by=StartedBy.COMMAND, **options)


def let_the_lease_end() -> None:
    DownloadRun.objects.update(lease_until=timezone.now() - BEFORE)


def kill_in(step: FollowUp, monkeypatch, *, after: bool = False) -> None:
    """The next process that comes to the step dies: before its work, or after it and before the step is finished."""
    work_on_it = follow_up.STEP_FUNCTIONS[step]

    def die(*args, **kwargs):
        raise KeyboardInterrupt

    def begin(work):
        monkeypatch.setitem(follow_up.STEP_FUNCTIONS, step, work_on_it)
        if after:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(follow_up_steps, "finish_step", die)
                work_on_it(work)
        raise KeyboardInterrupt

    monkeypatch.setitem(follow_up.STEP_FUNCTIONS, step, begin)


def outcome() -> tuple:
    rows = Subscription.objects.order_by("external_id")
    return (
        list(rows.values_list("external_id", "name", "sole_admin_of", "evaluation__verdict")),
        RemovalCandidate.objects.filter(state="awaiting_approval").count(),
        ReclaimRequest.objects.count(),
    )


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_kill_in_each_step_is_continued(world, monkeypatch, after):
    """A run that is killed in each step ends like a run that is not killed."""
    ReclaimRule.objects.update(file_requests="automatic")
    kill_in(FollowUp.NAMES, monkeypatch, after=after)
    with pytest.raises(KeyboardInterrupt):
        run(world)
    for step, following in zip(STEPS, [*STEPS[1:], None], strict=True):
        found = DownloadRun.objects.get()
        assert (found.state, found.follow_up) == ("evaluating", step)
        assert follow_up.resume(found.pk) is None  # its lease has not ended
        if following:
            kill_in(following, monkeypatch, after=after)
        let_the_lease_end()
        assert sweep.runs_to_follow_up() == [found.pk]
        if following:
            with pytest.raises(KeyboardInterrupt):
                follow_up.resume(found.pk)
        else:
            found = follow_up.resume(found.pk)
    assert (found.state, found.follow_up, found.parts, found.tries, found.problem) == ("complete", "done", 7, 0, "")
    assert found.evaluated_at and found.team_admins_checked and set(found.steps) == {step.value for step in STEPS}
    assert ReclaimRequest.objects.count() == 1
    assert RemovalCandidate.objects.open().count() == Subscription.objects.candidates().count() > 0
    assert actions().count("download.evaluated") == 1
    killed = outcome()
    assert run(world).state == "complete"
    assert outcome() == killed


def test_a_run_in_parts_is_the_same_as_a_run_in_one_go(world, monkeypatch):
    """Each part ends after a page or two: of members, of names, of teams, or between the steps."""
    monkeypatch.setattr(downloading, "MAX_PAGES_AT_ONCE", 1)
    monkeypatch.setattr(scim, "PAGE_SIZE", 50)
    monkeypatch.setattr(teams, "TEAMS_AT_ONCE", 4)
    checks = []

    def check(self):
        checks.append(1)
        if len(checks) % 3 == 1:
            raise PartOver

    monkeypatch.setattr(Part, "check", check)
    parts = 1
    found = run(world, part=Part(100))
    while found.is_under_way:
        assert found.lease_until <= timezone.now() and found.tries == 0
        parts += 1
        if found.state == "running":
            found = run(world, part=Part(100))
        else:
            [pk] = sweep.runs_to_follow_up()
            found = follow_up.resume(pk, part=Part(100))
    assert (found.state, found.parts) == ("complete", parts)
    assert parts >= 5 and found.problem == ""
    assert (found.read, found.new, found.pages) == (MEMBERS, MEMBERS, 2)
    assert found.steps["names"]["done"] == len(world.sandbox.world.directory())
    assert found.steps["team_admins"]["done"] == len(world.sandbox.world.teams)
    in_parts = outcome()
    # Every request that was sent in any part is on the run's row.
    assert found.requests == len(world.miro.requests())
    monkeypatch.undo()
    assert run(world).changed == 0
    assert outcome() == in_parts
    assert "download.resumed" in actions()


def test_of_two_processes_the_one_that_lost_the_lease_writes_nothing_more(world, monkeypatch):
    read, others = MiroConnector.directory, []

    def taken_over(self, cursor=""):
        if not others:
            others.append("begins")
            let_the_lease_end()
            others.append(follow_up.resume(DownloadRun.objects.get().pk))
        yield from read(self, cursor)

    monkeypatch.setattr(MiroConnector, "directory", taken_over)
    with pytest.raises(LeaseLost, match="taken over by another process"):
        run(world)
    [found] = DownloadRun.objects.all()
    assert (found.state, found.follow_up, found.parts) == ("complete", "done", 2)
    assert others[1].pk == found.pk
    assert actions().count("download.evaluated") == 1


def test_a_newer_run_takes_over_what_is_left(world, monkeypatch):
    world.first_download()
    [row] = Subscription.objects.filter(evaluation__verdict="candidate", sole_admin_of="")[:1]
    world.miro.change(row.external_id, last_activity_at="now")
    kill_in(FollowUp.VERDICTS, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        run(world)
    former = DownloadRun.objects.first()

    newer = run(world)

    former.refresh_from_db()
    assert (former.state, former.follow_up, former.evaluated_at) == ("complete", "superseded", None)
    assert (newer.state, newer.follow_up) == ("complete", "done")
    assert Evaluation.objects.get(subscription=row).verdict == "active"
    assert actions().count("download.superseded") == 1
    let_the_lease_end()
    assert follow_up.resume(former.pk) is None


def test_the_archive_of_the_profile_ends_the_follow_up(world, monkeypatch, alice):
    kill_in(FollowUp.CANDIDATES, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        run(world)
    archive(world.profile, typed_name=world.profile.name, actor=alice)
    let_the_lease_end()
    found = DownloadRun.objects.get()
    assert (found.state, found.follow_up) == ("complete", "stopped")
    assert sweep.runs_to_follow_up() == [] and follow_up.resume(found.pk) is None
    assert not RemovalCandidate.objects.exists()


def test_while_the_profile_is_paused_only_the_verdicts_are_written(world, monkeypatch):
    kill_in(FollowUp.NAMES, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        run(world)
    asked = len(world.miro.requests())
    IntegrationProfile.objects.update(state="paused")
    let_the_lease_end()
    found = follow_up.resume(DownloadRun.objects.get().pk)
    assert (found.state, found.problem, len(world.miro.requests())) == ("complete", "", asked)
    assert "is paused" in found.steps["names"]["left_out"]
    assert Subscription.objects.candidates().exists() and not RemovalCandidate.objects.exists()


def test_a_rule_that_is_saved_while_everybody_is_evaluated_counts(world, alice, monkeypatch):
    """The UPDATE with the former rule is committed last. None of its verdicts may stay."""
    rule = ReclaimRule.objects.get()
    evaluate_rows, saved = evaluate.evaluate_rows, []

    def save_meanwhile(rows, terms, **options):
        if not saved:
            saved.append(change_rule(rule, actor=alice, changed={"last_activity_threshold": 3000}))
            evaluate_again(world.profile)
        return evaluate_rows(rows, terms, **options)

    monkeypatch.setattr(evaluate, "evaluate_rows", save_meanwhile)
    world.download()
    assert saved and not Subscription.objects.candidates().exists()
    assert not RemovalCandidate.objects.open().exists()


def test_a_rule_that_is_saved_while_candidates_are_opened_withdraws_them(world, alice, monkeypatch):
    """The process that saved the rule has withdrawn candidates before the batch was committed."""
    rule = ReclaimRule.objects.get()
    propose = follow_up_steps.propose_candidates
    monkeypatch.setattr("subscriptions.candidates.propose.BATCH", 2)

    def save_meanwhile(found, *, before_batch):
        calls = []

        def before():
            before_batch()
            calls.append(1)
            if len(calls) == 2:
                change_rule(rule, actor=alice, changed={"last_activity_threshold": 3000})
                evaluate.evaluate_profile(world.profile)

        return propose(found, before_batch=before)

    monkeypatch.setattr(follow_up_steps, "propose_candidates", save_meanwhile)
    world.download()
    assert RemovalCandidate.objects.exists() and not RemovalCandidate.objects.open().exists()


# --- The vendor -------------------------------------------------------------------------------------------------------


def test_names_go_on_after_an_outage_and_a_long_wait_ends_the_part(world, monkeypatch):
    monkeypatch.setattr(scim, "PAGE_SIZE", 50)
    monkeypatch.setattr(outages, "OUTAGE_DELAYS", (0.01, 90.0))
    read, failures = MiroConnector.directory, [TransientError("Down."), TransientError("Down.")]

    def fail_after_a_page(self, cursor=""):
        pages = read(self, cursor)
        if not cursor:
            yield next(pages)
        if failures:
            raise failures.pop()
        yield from pages

    monkeypatch.setattr(MiroConnector, "directory", fail_after_a_page)
    found = run(world, part=Part(20))
    # Twice down after the first page: the second wait is longer than what is left of this part.
    assert (found.state, found.follow_up, found.cursor) == ("evaluating", "names", "51")
    assert (found.outages, found.waited) == (2, 90.01)
    assert timedelta(seconds=80) < found.lease_until - timezone.now() < timedelta(seconds=91)
    assert sweep.runs_to_follow_up() == []
    let_the_lease_end()
    found = follow_up.resume(found.pk)
    assert (found.state, found.problem) == ("complete", "")
    assert not Subscription.objects.filter(role="organization_internal_user", name="").exists()


def test_a_directory_of_nobody_is_no_error_of_its_token(world, monkeypatch):
    """A directory that is not filled yet. One with other people only would be that of another organization."""
    monkeypatch.setattr(MiroConnector, "directory", lambda self, cursor="": iter([DirectoryPage([], "")]))
    found = run(world)
    assert (found.state, found.problem) == ("complete", "")
    assert not Connection.objects.filter(state="error").exists()


def test_a_step_that_kills_its_process_each_time_is_left_out(world, monkeypatch):
    def die(self, cursor=""):
        raise KeyboardInterrupt

    monkeypatch.setattr(MiroConnector, "team_admins", die)
    with pytest.raises(KeyboardInterrupt):
        run(world)
    for _ in range(follow_up_steps.MAX_TRIES):
        let_the_lease_end()
        with pytest.raises(KeyboardInterrupt):
            follow_up.resume(DownloadRun.objects.get().pk)
    let_the_lease_end()
    found = follow_up.resume(DownloadRun.objects.get().pk)
    assert found.state == "complete" and not found.team_admins_checked
    assert "the process ended during each of 3 attempts" in found.problem
    assert Subscription.objects.candidates().exists()


@pytest.mark.parametrize(
    ("gathering", "rows", "stay"),
    [(directory, DownloadedPerson, False), (team_admins, SoleTeamAdmin, True)],
    ids=["names", "teams"],
)
def test_a_superseded_run_leaves_nothing_to_the_next(world, monkeypatch, gathering, rows, stay):
    """The rows of the teams stay until the next run, those of the names until they are written."""
    monkeypatch.setattr(teams, "TEAMS_AT_ONCE", 1)
    monkeypatch.setattr(scim, "PAGE_SIZE", 30)
    gather, pages = gathering.gather, []

    def die_on_the_third(found, page):
        gather(found, page)
        pages.append(page)
        if len(pages) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(gathering, "gather", die_on_the_third)
    with pytest.raises(KeyboardInterrupt):
        run(world)
    assert rows.objects.exists()
    newer = run(world)
    assert set(rows.objects.values_list("run", flat=True)) == ({newer.pk} if stay else set())


@pytest.mark.parametrize("written", [False, True], ids=["before the write", "before its commit"])
def test_a_kill_around_the_write_of_the_names_loses_none(world, monkeypatch, written):
    """All pages are read by then. The names, and whether anybody is known, are written together or not at all."""
    write = directory.write_gathered

    def die(*args, **kwargs):
        raise KeyboardInterrupt

    def write_and_die(found):
        monkeypatch.setattr(directory, "write_gathered", write)
        if written:
            write(found)
            patch.setattr(lease, "update_owned", die)
            return directory.Written(True, 0)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        monkeypatch.setattr(directory, "write_gathered", write_and_die)
        with pytest.raises(KeyboardInterrupt):
            run(world)
    assert DownloadedPerson.objects.exists() and not Subscription.objects.exclude(name="").exists()
    let_the_lease_end()
    found = follow_up.resume(DownloadRun.objects.get().pk)
    assert (found.state, found.problem) == ("complete", "")
    assert found.steps["names"]["done"] == len(world.sandbox.world.directory())
    assert not Subscription.objects.filter(role="organization_internal_user", name="").exists()
    assert not DownloadedPerson.objects.exists()


# --- What people see --------------------------------------------------------------------------------------------------


def test_pages_say_that_verdicts_are_older_than_the_facts(world, monkeypatch, client, carol):
    world.first_download()
    [row] = Subscription.objects.filter(evaluation__verdict="active")[:1]
    world.miro.change(row.external_id, last_activity_at=None)
    kill_in(FollowUp.VERDICTS, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        run(world)
    found = DownloadRun.objects.first()
    client.force_login(carol)
    name = "admin:subscriptions_{}".format
    person = reverse(name("subscription_change"), args=[row.pk])
    lists = ["/admin/", reverse(name("subscription_changelist")), reverse(name("removalcandidate_changelist")), person]
    for address in lists:
        assert f"</a> of “{world.profile}” evaluates" in text_of(client.get(address)), address
    assert f"Its facts are new since {found}" in text_of(client.get(person))
    page = reverse(name("downloadrun_change"), args=[found.pk])
    text = text_of(client.get(page))
    assert "Step 3 of 6: Verdicts" in text and f"{found.steps['names']['done']} people" in text
    assert 'class="lh-badge lh-info"' in text and "Complete" not in text
    let_the_lease_end()
    assert "No process works on it" in text_of(client.get(page))
    follow_up.resume(found.pk)
    for address in lists:
        assert "evaluates" not in text_of(client.get(address)), address
    assert "What was done" in text_of(client.get(page))
