"""The text of the search follows names and addresses, and a whole Miro ID is looked up as such."""

from __future__ import annotations

from subscriptions.models import SearchText, Subscription
from subscriptions.search import by_id, refresh_search

from .conftest import member


def test_new_people_and_changed_ones_are_written_and_nobody_else(profile):
    one, two = member(profile, 1, name="Ann"), member(profile, 2, name="Ben")
    assert refresh_search(profile) == 2
    assert refresh_search(profile) == 0
    Subscription.objects.filter(pk=one.pk).update(email="ann@elsewhere.example")
    member(profile, 3)
    assert refresh_search(profile) == 2
    assert SearchText.objects.get(pk=one.pk).text == "Ann ann@elsewhere.example"
    assert SearchText.objects.get(pk=two.pk).text == "Ben person2@northwind.example"


def test_a_download_writes_it(world):
    world.download()
    rows = Subscription.objects.select_related("search")
    assert {row.search.text for row in rows} == {f"{row.name} {row.email}" for row in rows}
    assert refresh_search(world.profile) == 0


def test_a_whole_id(profile):
    one = member(profile, 1)
    found = by_id(one.external_id)
    assert found is not None
    assert found.get() == one
    assert by_id("Tester12") is None
    assert by_id("4711") is None
