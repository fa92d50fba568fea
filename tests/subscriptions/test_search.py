"""The text of the search follows names and addresses, and a whole Miro ID is looked up as such."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.db.models import Value
from django.db.models.functions import Concat, Upper
from django.test.utils import CaptureQueriesContext

from licensehub.ui.lists.counts import Count
from licensehub.ui.lists.id_filter import IdIn, IdList, searched_alone
from subscriptions.models import SearchText, Subscription
from subscriptions.search import matching, rare_letters, refresh_search
from tests.support.members import member


def test_new_people_and_changed_ones_are_written_and_nobody_else(profile):
    one, two = member(profile, 1, name="Ann"), member(profile, 2, name="Ben")
    assert refresh_search(profile) == 2
    assert refresh_search(profile) == 0
    Subscription.objects.filter(pk=one.pk).update(email="ann@elsewhere.example")
    member(profile, 3)
    assert refresh_search(profile) == 2
    assert SearchText.objects.get(pk=one.pk).text == "ANN ANN@ELSEWHERE.EXAMPLE"
    assert SearchText.objects.get(pk=two.pk).text == "BEN PERSON2@NORTHWIND.EXAMPLE"


def test_a_download_writes_it(world):
    world.download()
    capitals = Upper(Concat("name", Value(" "), "email"))
    assert set(SearchText.objects.values_list("text", flat=True)) == set(
        Subscription.objects.values_list(capitals, flat=True)
    )
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
    return set(Subscription.objects.filter(matching("pk", term)).values_list("pk", flat=True))


WORDS = ("ann", "Ann.Lee", "lee@northwind.example", "NORTHWIND", "n1%", "o_h", "élo", "ß", "b", "be", "Ben Lee", "a\\b")


@pytest.mark.parametrize("word", WORDS)
def test_it_finds_what_the_text_holds_and_nothing_else(profile, word):
    """Also by the rarest letters alone, and whatever means something to LIKE."""
    names = ("Ann Lee", "Ben O'Hara", "Élodie Straßer", "100% real", "n1x", "a\\b", "o_hara", "")
    for number in range(40):
        member(profile, number, name=names[number % len(names)], email=f"ann.lee{number}@northwind.example")
    refresh_search(profile)
    analyze()
    texts = dict(SearchText.objects.values_list("pk", "text"))
    wanted = {pk for pk, text in texts.items() if all(capitals(part) in text for part in word.split())}
    assert people(word) == wanted


def capitals(word: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT UPPER(%s)", [word])
        return cursor.fetchone()[0]


def analyze() -> None:
    """So that PostgreSQL has its sample of the texts."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def test_the_rarest_letters_are_asked_for():
    sample = '{"ANN LEE ANN@NORTHWIND.EXAMPLE","BEN RAY BEN@NORTHWIND.EXAMPLE","EVE NOR EVE@NORTHWIND.EXAMPLE"}' * 3
    assert rare_letters("ann.lee@northwind.example", sample) == ["lee"]
    assert rare_letters("northwind", sample) == ["ort"]
    assert rare_letters("xyza", sample) == ["xyz", "yza"]
    assert rare_letters("Straße", sample) == ["Str", "tra"]
    assert rare_letters("ab", sample) == rare_letters("a.b-c", sample) == rare_letters("éèê", sample) == []


@pytest.mark.skipif(connection.vendor != "postgresql", reason="has no such sample")
def test_an_address_is_not_looked_up_by_its_domain(profile):
    for number in range(200):
        member(profile, number, name=f"Member {number * 7919}")
    refresh_search(profile)
    analyze()
    with CaptureQueriesContext(connection) as asked:
        assert len(people("person77@northwind.example")) == 1
    (looked,) = [query["sql"] for query in asked.captured_queries if 'FROM "subscriptions_searchtext"' in query["sql"]]
    assert re.findall(r"UPPER\('(\w+)'\)", looked) == ["n77"]


def test_ids_are_looked_up_or_walked_past_with_the_same_result(bucket):
    ids = IdList.of(row.pk for row in bucket[:7])
    rows = Subscription.objects.filter(IdIn("pk", ids))
    assert set(rows.order_by().values_list("pk", flat=True)) == {row.pk for row in bucket[:7]}
    assert list(rows.order_by("-pk").values_list("pk", flat=True)) == sorted(
        (row.pk for row in bucket[:7]), reverse=True
    )
    if connection.vendor == "postgresql":
        assert "ANY(ARRAY(SELECT unnest(" in str(rows.order_by().query)
        assert "ANY({" in str(rows.order_by("pk").query)
    assert IdList.read(rows.order_by("pk")) == ids
    assert IdList.read(rows.none()) == IdList.of([]) == (0, "")
    assert not Subscription.objects.filter(IdIn("pk", IdList.of([]))).exists()


def test_only_a_search_alone_knows_its_number(bucket, profile, monkeypatch):
    refresh_search(profile)
    rows = Subscription.objects.filter(IdIn("pk", IdList.of([bucket[0].pk, bucket[1].pk])))
    assert searched_alone(rows) == Count(2)
    assert searched_alone(rows.filter(license="full")) is None
    assert searched_alone(Subscription.objects.all()) is None
    assert searched_alone(Subscription.objects.filter(license="full")) is None
    monkeypatch.setattr("licensehub.ui.lists.counts.STOP", 59)
    many = Subscription.objects.filter(matching("pk", "northwind"))
    assert searched_alone(many) == Count(59, exact=False)
    assert searched_alone(many.filter(license="full")) is None
