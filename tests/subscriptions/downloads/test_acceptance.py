"""Accept, by two people, or discard: what becomes of a download that was not believed."""

from __future__ import annotations

import threading

import pytest
from django.contrib.auth.models import User
from django.db import connection as database
from django.urls import reverse
from django.utils import timezone

from integrations.connectors.miro.connector import MiroConnector
from integrations.models import IntegrationProfile
from subscriptions.downloads import acceptance, follow_up
from subscriptions.downloads.facts import validation
from subscriptions.downloads.facts.merge import Merged
from subscriptions.downloads.run import download_subscriptions
from subscriptions.errors import NotActionable, Refused
from subscriptions.models import DownloadedMember, DownloadRun, RemovalCandidate, RunState, Subscription
from subscriptions.models.download import StartedBy
from subscriptions.profiles import lifecycle
from tests.support.fixtures import MEMBERS, actions
from tests.support.people.operators import an_operator
from tests.support.web.pages import text_of

WHY = "The company sold a division on Friday."
GONE = MEMBERS // 4


def run(world) -> DownloadRun:
    return download_subscriptions(world.profile, actor=None, started_by=StartedBy.COMMAND)


@pytest.fixture
def shrunk(world, request) -> DownloadRun:
    """A quarter of all people is missing, and one has changed."""

    def make() -> None:
        world.first_download()
        rows = list(Subscription.objects.order_by("external_id"))
        for row in rows[:GONE]:
            world.miro.change(row.external_id, removed=True)
        world.miro.change(rows[-1].external_id, license="free")
        assert run(world).state == "quarantined"

    world.cache.scene(request, make, world.sandbox)
    return DownloadRun.objects.latest("pk")


def gone() -> int:
    return Subscription.objects.exclude(gone_at=None).count()


def test_it_is_kept_and_says_what_accepting_would_do(shrunk):
    effect = acceptance.effect_of(shrunk)
    assert shrunk.acceptable
    assert effect.counts == Merged(new=0, changed=1, gone=GONE)
    assert len(set(effect.names)) == 20
    assert gone() == 0


def test_what_is_foreseen_is_what_is_merged(shrunk, olivia, oscar):
    """Somebody returns, somebody is new, and somebody has changed."""
    rows = list(Subscription.objects.order_by("-external_id"))
    Subscription.objects.filter(pk=rows[1].pk).update(gone_at=shrunk.started_at)
    DownloadedMember.objects.filter(run=shrunk, external_id=rows[2].external_id).update(external_id="999")
    foreseen = acceptance.effect_of(shrunk).counts
    assert foreseen == Merged(new=1, changed=2, gone=GONE + 1)
    acceptance.propose(shrunk, reason=WHY, actor=olivia)
    shrunk.refresh_from_db()
    acceptance.accept(shrunk, actor=oscar)
    assert Merged(new=shrunk.new, changed=shrunk.changed, gone=shrunk.gone) == foreseen


def test_whose_facts_are_newer_than_the_run_is_left_alone(shrunk, olivia, oscar):
    """They were looked at again after the download had begun: neither gone nor changed by what it read before."""
    rows = list(Subscription.objects.order_by("external_id"))
    looked_at = [rows[0].pk, rows[-1].pk]  # one that is missing from the run, and the one that differs in it
    Subscription.objects.filter(pk__in=looked_at).update(facts_at=timezone.now(), name="Aaron Newer")
    effect = acceptance.effect_of(shrunk, names=MEMBERS)
    assert effect.counts == Merged(new=0, changed=0, gone=GONE - 1)
    assert len(effect.names) == GONE - 1
    assert "Aaron Newer" not in effect.names
    acceptance.propose(shrunk, reason=WHY, actor=olivia)
    shrunk.refresh_from_db()
    acceptance.accept(shrunk, actor=oscar)
    assert (shrunk.gone, shrunk.changed, gone()) == (GONE - 1, 0, GONE - 1)


def test_two_people_accept_it_and_its_members_become_the_facts(shrunk, world, olivia, oscar):
    acceptance.propose(shrunk, reason=WHY, actor=olivia)
    shrunk.refresh_from_db()
    acceptance.accept(shrunk, actor=oscar)
    assert (shrunk.state, shrunk.gone, shrunk.changed, shrunk.decided_by) == ("evaluating", GONE, 1, oscar)
    assert follow_up.resume(shrunk.pk).state == "complete"
    assert shrunk.unchanged == shrunk.read - 1
    assert gone() == GONE
    assert not DownloadedMember.objects.exists()
    assert [word for word in actions() if word.startswith("download.")][-4:] == [
        "download.proposed",
        "download.accepted",
        "download.resumed",
        "download.evaluated",
    ]
    assert not RemovalCandidate.objects.filter(state="ready", subscription__gone_at__isnull=False).exists()
    assert run(world).state == "complete"


def test_nobody_confirms_their_own_proposal(shrunk, olivia):
    root = an_operator("root", superuser=True)
    for person in (olivia, root):
        DownloadRun.objects.filter(pk=shrunk.pk).update(proposed_by=None)
        acceptance.propose(shrunk, reason=WHY, actor=person)
        shrunk.refresh_from_db()
        with pytest.raises(Refused, match="another person must confirm"):
            acceptance.accept(shrunk, actor=person)
    assert gone() == 0


def test_the_update_itself_refuses_the_proposer(shrunk, olivia, monkeypatch):
    """Also when the sentence before it is left out."""
    acceptance.propose(shrunk, reason=WHY, actor=olivia)
    shrunk.refresh_from_db()
    monkeypatch.setattr(acceptance, "why_not_confirm", lambda run, user: "")
    with pytest.raises(NotActionable):
        acceptance.accept(shrunk, actor=olivia)
    assert gone() == 0


@pytest.mark.parametrize("reason", ["", "  ", "yes"])
def test_a_reason_is_needed(shrunk, olivia, reason):
    with pytest.raises(Refused, match="Say in a sentence"):
        acceptance.propose(shrunk, reason=reason, actor=olivia)


def test_an_acceptance_is_proposed_once(shrunk, olivia, oscar):
    acceptance.propose(shrunk, reason=WHY, actor=olivia)
    with pytest.raises(NotActionable, match="already"):
        acceptance.propose(DownloadRun.objects.get(pk=shrunk.pk), reason=WHY, actor=oscar)
    assert DownloadRun.objects.get(pk=shrunk.pk).proposed_by == olivia
    assert actions().count("download.proposed") == 1


def test_without_a_proposal_nothing_is_accepted(shrunk, oscar):
    with pytest.raises(Refused, match="Nobody has proposed"):
        acceptance.accept(shrunk, actor=oscar)


@pytest.mark.parametrize("state", [RunState.COMPLETE, RunState.DISCARDED, RunState.RUNNING, RunState.FAILED])
def test_a_run_that_is_no_longer_quarantined_is_not_discarded(shrunk, olivia, state):
    """The page that offers it may be an hour old."""
    DownloadRun.objects.filter(pk=shrunk.pk).update(state=state)
    with pytest.raises(NotActionable, match="has changed"):
        acceptance.discard(shrunk, actor=olivia)
    assert DownloadRun.objects.get(pk=shrunk.pk).state == state
    assert "download.discarded" not in actions()


def test_discarded(shrunk, olivia, oscar):
    acceptance.discard(shrunk, actor=olivia)
    shrunk.refresh_from_db()
    assert (shrunk.state, shrunk.acceptable, shrunk.decided_by) == ("discarded", False, olivia)
    assert not DownloadedMember.objects.exists()
    assert actions()[-1] == "download.discarded"
    with pytest.raises(Refused, match="is discarded"):
        acceptance.propose(shrunk, reason=WHY, actor=oscar)


def test_a_newer_complete_download_takes_its_place(shrunk, world, olivia, oscar, monkeypatch):
    acceptance.propose(shrunk, reason=WHY, actor=olivia)
    with monkeypatch.context() as patched:
        patched.setattr(validation, "SHRINK_LIMIT", 1.0)
        assert run(world).state == "complete"
    shrunk.refresh_from_db()
    with pytest.raises(Refused, match="newer download is complete"):
        acceptance.accept(shrunk, actor=oscar)
    assert not DownloadedMember.objects.exists()


def test_a_second_quarantined_run_does_not_block_the_next(shrunk, world):
    assert run(world).state == "quarantined"
    assert DownloadRun.objects.filter(state="quarantined", acceptable=True).count() == 2


def test_a_paused_profile_accepts_nothing(shrunk, olivia):
    lifecycle.pause(shrunk.profile, actor=None)
    shrunk.refresh_from_db()
    with pytest.raises(Refused, match="paused"):
        acceptance.propose(shrunk, reason=WHY, actor=olivia)


def test_a_profile_that_is_paused_meanwhile_accepts_nothing(shrunk, olivia, oscar, monkeypatch):
    """The UPDATE itself asks for the state of the profile: it may change after the page was read."""
    acceptance.propose(shrunk, reason=WHY, actor=olivia)
    shrunk.refresh_from_db()

    def paused_after_it(run, user):
        lifecycle.pause(IntegrationProfile.objects.get(), actor=None)
        return ""

    monkeypatch.setattr(acceptance, "why_not_confirm", paused_after_it)
    with pytest.raises(NotActionable):
        acceptance.accept(shrunk, actor=oscar)
    shrunk.refresh_from_db()
    assert (shrunk.state, gone()) == ("quarantined", 0)


@pytest.mark.parametrize("fault", ["cursor_loop", "missing_id"])
def test_what_was_not_read_to_its_end_can_only_be_discarded(world, olivia, fault):
    world.first_download()
    world.miro.fault(fault, times=-1)
    found = run(world)
    assert (found.state, found.acceptable) == ("quarantined", False)
    with pytest.raises(Refused, match="not read to its end"):
        acceptance.propose(found, reason=WHY, actor=olivia)
    acceptance.discard(found, actor=olivia)


def test_another_organization_can_only_be_discarded(world, olivia, monkeypatch):
    told = MiroConnector.allocation

    def lie(self):
        from dataclasses import replace

        return replace(told(self), organization_id="666")

    monkeypatch.setattr(MiroConnector, "allocation", lie)
    found = run(world)
    assert (found.state, found.acceptable) == ("quarantined", False)


def test_without_the_audit_nothing_is_merged(shrunk, olivia, oscar, monkeypatch):
    acceptance.propose(shrunk, reason=WHY, actor=olivia)
    shrunk.refresh_from_db()

    def fail(*args, **kwargs):
        raise RuntimeError("the audit is away")

    monkeypatch.setattr(acceptance, "record", fail)
    with pytest.raises(RuntimeError):
        acceptance.accept(shrunk, actor=oscar)
    shrunk.refresh_from_db()
    assert (shrunk.state, gone()) == ("quarantined", 0)


@pytest.mark.usefixtures("real_transactions")
def test_two_confirm_at_once_and_it_is_merged_once(shrunk, olivia, oscar):
    third = an_operator("third")
    acceptance.propose(shrunk, reason=WHY, actor=olivia)
    barrier, ended = threading.Barrier(2), []

    def confirm(user: User) -> None:
        mine = DownloadRun.objects.select_related("profile", "proposed_by").get(pk=shrunk.pk)
        barrier.wait()
        try:
            acceptance.accept(mine, actor=user)
            ended.append("accepted")
        except (NotActionable, Refused):
            ended.append("too late")
        finally:
            database.close()

    both = [threading.Thread(target=confirm, args=[user]) for user in (oscar, third)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert sorted(ended) == ["accepted", "too late"]
    assert actions().count("download.accepted") == 1
    assert gone() == GONE


# --- Pages ------------------------------------------------------------------------------------------------------------


def page(run: DownloadRun) -> str:
    return reverse("admin:subscriptions_downloadrun_change", args=[run.pk])


def decide(run: DownloadRun, name: str) -> str:
    return reverse("admin:subscriptions_downloadrun_decide", args=[run.pk, name])


def test_the_page_leads_two_people_through_it(shrunk, client, olivia, oscar):
    client.force_login(olivia)
    text = text_of(client.get(page(shrunk)))
    assert f"mark <strong>{GONE} people as gone</strong>, add 0 new and change the facts of 1." in text
    client.post(decide(shrunk, "propose"), {"reason": WHY})
    text = text_of(client.get(page(shrunk)))
    assert "You proposed it" in text
    client.post(decide(shrunk, "accept"))
    assert gone() == 0
    client.force_login(oscar)
    text = text_of(client.get(page(shrunk)))
    assert WHY in text
    assert f"Confirm: mark {GONE} as gone" in text
    text = text_of(client.post(decide(shrunk, "accept"), follow=True))
    assert f"is accepted: {GONE} people are marked as gone, 0 new, 1 changed." in text
    assert "Two people accepted it" in text
    assert gone() == GONE


def test_others_see_it_and_decide_nothing(shrunk, client, carol):
    client.force_login(carol)
    assert "An operator or a company admin can accept" in text_of(client.get(page(shrunk)))
    for name in ("propose", "accept", "discard"):
        assert client.post(decide(shrunk, name), {"reason": WHY}).status_code == 403
    shrunk.refresh_from_db()
    assert shrunk.state == "quarantined"


def test_a_link_decides_nothing(shrunk, client, olivia):
    client.force_login(olivia)
    assert client.get(decide(shrunk, "discard")).status_code == 405
