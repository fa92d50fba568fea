"""The text of the search follows names and addresses, and a whole Miro ID is looked up as such."""

from __future__ import annotations

from subscriptions.models import SearchText, Subscription
from subscriptions.search import found, refresh_search

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


def test_a_whole_id_and_every_word(profile):
    one, two = member(profile, 1, name="Ann Lee"), member(profile, 2, name="Ann Ray")
    refresh_search(profile)
    assert people(one.external_id) == {one.pk}
    assert people("3074457349999999999") == set()
    assert people("lee ANN") == {one.pk}
    assert people("northwind") == {one.pk, two.pk}
    assert people("nobody") == set()


def people(term: str) -> set[int]:
    return set(Subscription.objects.filter(pk__in=found(term)).values_list("pk", flat=True))
