"""The text of the search follows names and addresses, and a whole Miro ID is looked up as such."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from licensehub.ui.lists.counts import Count
from licensehub.ui.lists.folding import folded
from licensehub.ui.lists.id_filter import IdIn, IdList, search_count
from subscriptions import search
from subscriptions.models import SearchText, Subscription
from subscriptions.search import matching, refresh_search
from tests.support.people.members import member


def test_new_people_and_changed_ones_are_written_and_nobody_else(profile):
    one, two = member(profile, 1, name="Ann"), member(profile, 2, name="Ben")
    assert refresh_search(profile) == 2
    assert refresh_search(profile) == 0
    Subscription.objects.filter(pk=one.pk).update(email="ann@elsewhere.example")
    member(profile, 3)
    assert refresh_search(profile) == 2
    assert SearchText.objects.get(pk=one.pk).text == "ann ann@elsewhere.example"
    assert SearchText.objects.get(pk=two.pk).text == "ben person2@northwind.example"


def test_departments_are_copied_and_each_is_found_once(profile):
    """The lists sort and filter by the copies. An empty value is NULL, so that it comes last."""
    rows = [member(profile, number, name=name) for number, name in enumerate(("Ann", "Ben", "Zoë", "Dan"))]
    for row, department in zip(rows, ("Sales", "Design", "Sales", ""), strict=True):
        Subscription.objects.filter(pk=row.pk).update(department=department, cost_center=f"C-{row.pk}")
    assert refresh_search(profile) == 4
    copies = {row.pk: (row.department, row.cost_center) for row in SearchText.objects.all()}
    assert copies == {
        row.pk: (row.department or None, row.cost_center) for row in Subscription.objects.filter(profile=profile)
    }
    assert search.seen_values("department", most=5) == ["Design", "Sales"]
    assert search.seen_values("cost_center", most=3) == sorted(f"C-{row.pk}" for row in rows)[:3]
    Subscription.objects.filter(pk__in=[rows[0].pk, rows[2].pk]).update(department="")
    assert refresh_search(profile) == 2
    assert search.seen_values("department", most=5) == ["Design"]


def test_a_download_writes_it(world):
    world.download()
    people = Subscription.objects.values_list("name", "email")
    assert set(SearchText.objects.values_list("text", "address")) == {
        (folded(f"{name} {email}"), folded(email)) for name, email in people
    }
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
    """Also what means something to LIKE."""
    names = ("Ann Lee", "Ben O'Hara", "Élodie Straßer", "100% real", "n1x", "a\\b", "o_hara", "")
    for number in range(40):
        member(profile, number, name=names[number % len(names)], email=f"ann.lee{number}@northwind.example")
    refresh_search(profile)
    texts = dict(SearchText.objects.values_list("pk", "text"))
    wanted = {pk for pk, text in texts.items() if all(folded(part) in text for part in word.split())}
    assert people(word) == wanted


# As the vendor writes a name, and as somebody may type it.
ALIKE = (
    ("Åsa Ångström", "ångström"),
    ("Åsa Ångström", "A\u030angstro\u0308m"),
    ("Jörg Müller", "MÜLLER"),
    ("Jose\u0301 Garci\u0301a", "josé garcía"),
    ("José García", "JOSE\u0301"),
    ("Anna Straße", "STRASSE"),
    ("Anna Strasse", "straße"),
    ("Ｓａｔｏ 佐藤", "sato"),
    ("Σωκράτης", "ΣΩΚΡΆΤΗΣ"),
    ("Jörg", "jörg@münchen.example"),
    ("Jörg", "JÖRG@MÜNCHEN.EXAMPLE"),
    ("Ann", "ann@n\u00a0"),
)


def test_letters_are_found_in_any_case_and_any_encoding(profile):
    for number, (name, _) in enumerate(ALIKE):
        member(profile, number, name=name, email="jörg@münchen.example" if name == "Jörg" else f"ann@n{number}.example")
    assert refresh_search(profile) == len(ALIKE)
    assert refresh_search(profile) == 0
    missed = [(name, term) for name, term in ALIKE if not any(name == row.name for row in found(term))]
    assert not missed
    assert not found("Angström") and not found("strase")
    Subscription.objects.filter(name="Jörg Müller").update(name="Jörg Møller")
    assert refresh_search(profile) == 1
    assert found("MØLLER") and not found("müller")


def found(term: str) -> list[Subscription]:
    return list(Subscription.objects.filter(matching("pk", term)))


def test_long_texts_are_cut_after_they_are_folded(profile):
    """A folded text may be longer: ß becomes ss."""
    row = member(profile, 1, name="ß" * 250, email="ß" * 240 + "@x.example")
    assert refresh_search(profile) == 1
    assert refresh_search(profile) == 0
    assert people(row.email) == {row.pk}


def test_texts_with_other_letters_are_written_span_by_span(profile, monkeypatch):
    monkeypatch.setattr(search, "SPAN", 2)
    rows = [member(profile, number, name="Zoë" if number % 3 else "Zoe") for number in range(9)]
    assert refresh_search(profile) == 9
    assert people("zoë") == {row.pk for row in rows if row.name == "Zoë"}


def test_a_whole_address_finds_exactly_that_person(profile):
    one = member(profile, 1, email="ann@northwind.example")
    two = member(profile, 2, email="joann@northwind.example")
    refresh_search(profile)
    assert people("Ann@Northwind.example") == {one.pk}
    assert people("ann@northwind") == {one.pk, two.pk}
    assert people("nobody@northwind.example") == set()


def test_a_changed_address_is_found_and_the_former_one_is_not(profile):
    row = member(profile, 1, email="ann@northwind.example")
    refresh_search(profile)
    Subscription.objects.filter(pk=row.pk).update(email="ann.lee@northwind.example")
    assert refresh_search(profile) == 1
    assert people("ann.lee@northwind.example") == {row.pk}
    assert people("ann@northwind.example") == set()


@pytest.mark.skipif(connection.vendor != "postgresql", reason="asks PostgreSQL's planner")
def test_a_whole_address_is_read_from_its_index(profile):
    """The control: without the index the planner reads the table."""
    for number in range(50):
        member(profile, number)
    refresh_search(profile)
    assert "search_address" in plan_of("person7@northwind.example")
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX search_address")
    assert "search_address" not in plan_of("person7@northwind.example")


def plan_of(address: str) -> str:
    with CaptureQueriesContext(connection) as asked:
        assert len(people(address)) == 1
    (sql,) = [query["sql"] for query in asked.captured_queries if '"address" = ' in query["sql"]]
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {sql}")
        return "\n".join(line for (line,) in cursor.fetchall())


def test_a_list_of_ids_picks_the_same_rows_in_any_order(bucket):
    ids = IdList.of(row.pk for row in bucket[:7])
    rows = Subscription.objects.filter(IdIn("pk", ids))
    assert set(rows.order_by().values_list("pk", flat=True)) == {row.pk for row in bucket[:7]}
    assert list(rows.order_by("-pk").values_list("pk", flat=True)) == sorted(
        (row.pk for row in bucket[:7]), reverse=True
    )
    assert IdList.read(rows.order_by("pk")) == ids
    assert IdList.read(rows.none()) == IdList.of([]) == (0, "")
    assert not Subscription.objects.filter(IdIn("pk", IdList.of([]))).exists()


def test_only_a_search_alone_knows_its_number(bucket, profile, monkeypatch):
    refresh_search(profile)
    rows = Subscription.objects.filter(IdIn("pk", IdList.of([bucket[0].pk, bucket[1].pk])))
    assert search_count(rows) == Count(2)
    assert search_count(rows.filter(license="full")) is None
    assert search_count(Subscription.objects.all()) is None
    assert search_count(Subscription.objects.filter(license="full")) is None
    monkeypatch.setattr("licensehub.ui.lists.counts.STOP", 59)
    many = Subscription.objects.filter(matching("pk", "northwind"))
    assert search_count(many) == Count(59, exact=False)
    assert search_count(many.filter(license="full")) is None
