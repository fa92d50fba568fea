"""Candidates have copies of the texts of their person, and the copies are true after every kind of act."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from subscriptions import review
from subscriptions.candidates.propose import open_candidates
from subscriptions.models import DownloadRun, Reclaim, RemovalCandidate, SearchText, Subscription
from subscriptions.privacy.erase import ask_for_erasure, erase
from subscriptions.privacy.retention import erase_due, note_due
from subscriptions.reclaims.restores import restore
from subscriptions.search import refresh_search
from tests.support.fixtures import World
from tests.support.people.restoring import REASON, reclaimed

COPIES = ("person_text", "person_department", "person_cost_center")
Texts = dict[int, tuple[str, str | None, str | None]]


def copies() -> Texts:
    return {pk: (text, *others) for pk, text, *others in RemovalCandidate.objects.values_list("pk", *COPIES)}


def assert_true() -> None:
    """Each candidate has the texts of its person, and no text is missing."""
    texts = {
        pk: tuple(given) for pk, *given in SearchText.objects.values_list("pk", "text", "department", "cost_center")
    }
    people = RemovalCandidate.objects.values_list("pk", "subscription")
    assert copies() == {pk: texts[person] for pk, person in people}
    assert len(people) > 5


def rename(world: World, row: RemovalCandidate, name: str, **changes: str) -> None:
    """Give this person another name at the vendor, and other values in its directory."""
    world.miro.change(row.subscription.external_id, display_name=name)
    for column, value in changes.items():
        setattr(world.sandbox.world.members[row.subscription.external_id], column, value)


def test_copies_are_written_with_the_candidate_and_follow_each_download(world: World):
    world.first_download()
    assert_true()
    plain, other, none = world.candidates(3)
    rename(world, plain, "Zelda Plain", department="Space", cost_center="9999")
    rename(world, other, "Zoë Größmann", department="Weltraum")
    rename(world, none, "", department="", cost_center="")
    world.download()
    assert_true()
    now = copies()
    assert now[plain.pk] == (f"zelda plain {plain.subscription.email}".casefold(), "Space", "9999")
    assert now[other.pk][0].startswith("zoë grössmann ") and now[other.pk][1] == "Weltraum"
    assert now[none.pk][1:] == (None, None)


def test_a_closed_candidate_follows_too_and_a_restore_changes_nothing(world: World, alice, bob):
    (item,) = reclaimed(world, alice, bob, count=1)
    closed = RemovalCandidate.objects.get(removals__reclaim=item)
    assert not closed.is_open
    rename(world, closed, "Zelda Closed", department="Space")
    world.download()
    assert_true()
    assert copies()[closed.pk][0].startswith("zelda closed ")
    restore(Reclaim.objects.get(pk=item.pk), actor=alice, reason=REASON)
    world.download()
    assert_true()


def test_a_candidate_of_a_review_has_them(world: World, alice):
    world.first_download()
    person = Subscription.objects.filter(evaluation__verdict="never_active")[0]
    review.make_candidates([person], reason="Left the project", actor=alice)
    assert RemovalCandidate.objects.filter(subscription=person).exists()
    assert_true()


def test_they_are_written_before_the_texts_of_the_search(world: World):
    """A new person is a candidate some moments before they have texts. Then the copies are those of the facts."""
    world.first_download()
    before = copies()
    people = dict(RemovalCandidate.objects.values_list("pk", "subscription"))
    RemovalCandidate.objects.all().delete()
    SearchText.objects.all().delete()
    open_candidates(DownloadRun.objects.get())
    by_person = {people[pk]: texts for pk, texts in before.items()}
    again = dict(RemovalCandidate.objects.values_list("pk", "subscription"))
    assert copies() == {pk: by_person[person] for pk, person in again.items()}
    refresh_search(world.profile)
    assert_true()


def test_the_erasure_of_a_person_erases_them(world: World, alice, bob):
    (item,) = reclaimed(world, alice, bob, count=1)
    closed = RemovalCandidate.objects.get(removals__reclaim=item)
    world.miro.change(item.subscription.external_id, removed=True)
    world.download()
    assert copies()[closed.pk][0] != ""
    erase(ask_for_erasure(Subscription.objects.get(pk=item.subscription_id), actor=alice, reason="Asked by mail"))
    assert copies()[closed.pk][0] == ""
    assert_true()
    world.download()
    assert copies()[closed.pk][0].strip() == ""
    assert_true()


def test_so_does_the_end_of_a_retention_period(world: World, alice, bob, settings):
    (item,) = reclaimed(world, alice, bob, count=1)
    world.miro.change(item.subscription.external_id, removed=True)
    world.download()
    settings.GONE_PEOPLE_DAYS = 730
    left = Subscription.objects.filter(pk=item.subscription_id)
    left.update(gone_at=timezone.now() - timedelta(days=731))
    assert note_due() == 1 and erase_due(seconds=60) == (1, [])
    assert copies()[RemovalCandidate.objects.get(removals__reclaim=item).pk][0] == ""
    assert_true()


def test_a_new_account_of_the_same_person_has_its_own(world: World):
    """Deleted at the vendor and made again: the old row stays, with the candidate that was closed."""
    world.first_download()
    row = world.candidates(1).get()
    again = world.miro.make_again(row.subscription.external_id)["id"]
    world.miro.change(again, display_name="Zelda Again", last_activity_at="2020-01-01T00:00:00Z", active=True)
    world.download()
    assert_true()


def test_copies_that_differ_for_any_reason_are_mended(world: World):
    world.first_download()
    RemovalCandidate.objects.filter(pk__in=list(copies())[:3]).update(person_text="x", person_department="y")
    refresh_search(world.profile)
    assert_true()
