"""A search finds the same rows in any case and any encoding, in every list that searches."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.contrib.auth.models import User

from licensehub.ui.lists.folding import FoldedSearch, contains_words, folded, spellings
from subscriptions.approvals.decide import approve
from subscriptions.approvals.request import request_reclaim
from subscriptions.models import DownloadRun, Protection, RemovalCandidate

SAME = [
    ("ångström", "ÅNGSTRÖM"),
    ("ångström", "a\u030angstro\u0308m"),
    ("José", "Jose\u0301"),
    ("straße", "STRASSE"),
    ("MÜLLER", "müller"),
    ("Ｍｉｒｏ", "miro"),
    ("Σωκράτης", "ΣΩΚΡΆΤΗΣ"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_texts_that_differ_in_case_or_encoding_are_the_same(one, other):
    assert folded(one) == folded(other)
    assert folded(folded(one)) == folded(one)


def test_ascii_is_only_lowered():
    """The database relies on this when it folds ASCII: see `subscriptions.search`."""
    every = "".join(map(chr, range(128)))
    assert folded(every) == every.lower()


def test_different_texts_stay_different():
    assert len({folded(name) for name in ("Muller", "Müller", "Møller", "Mueller")}) == 4


def test_each_word_is_in_one_of_the_texts():
    assert contains_words(["müller", "ann"], "Ann", "MÜLLER")
    assert not contains_words(["annmüller"], "Ann", "Müller")


def test_spellings_of_a_name():
    assert {"MÜLLER", "müller", "Müller", "Mu\u0308ller"} <= spellings("müLLER")


# What somebody types in each list that searches.
TERMS = {
    "subscription": "ZOE\u0308 ångström",
    "persontoreview": "zoë",
    "removalcandidate": "zoë ANGSTRÖM",
    "reclaimrequest": "JO\u0308RG",
    "reclaim": "ZOË",
    "protection": "GRÜN",
    "downloadrun": "JÖRG",
    "user": "jörg GRÜN",
    "group": "APPROVER",
    "auditevent": "ZOË",
}


@pytest.fixture
def zoë(organization, alice, bob) -> None:
    """Jörg Grün protects somebody, starts a download, and asks for the seat of Zoë Ångström, which is taken back."""
    jörg = User.objects.create_user("jörg", first_name="Jörg", last_name="Grün", email="joerg@x.example")
    organization.hire(50, idle=200, name="Zoë Ångström / Angström")
    organization.propose()
    request = request_reclaim(RemovalCandidate.objects.filter(evidence__email="person50@northwind.example"), actor=jörg)
    approve(request, actor=bob)
    Protection.objects.create(
        profile=organization.profile, value="x@y.example", reason="Alone", owner="Jörg Grün", created_by=bob
    )
    DownloadRun.objects.filter(pk=organization.run.pk).update(started_by="person", started_by_user=jörg)


def test_every_list_finds_a_text_in_any_case_and_encoding(zoë, rf):
    lists = {model._meta.model_name: page for model, page in admin.site._registry.items() if page.search_fields}
    assert set(lists) == set(TERMS)
    for name, term in TERMS.items():
        for searched, wanted in ((term, True), ("nobody-here", False)):
            rows, _ = lists[name].get_search_results(rf.get("/"), lists[name].model.objects.all(), searched)
            assert rows.exists() is wanted, (name, searched)


def test_no_list_searches_in_another_way():
    """Each list uses `FoldedSearch`, or has a search of its own that folds: the lists of many rows."""
    own = {"subscription", "persontoreview", "removalcandidate", "reclaimrequest", "reclaim", "auditevent"}
    lists = {model._meta.model_name: page for model, page in admin.site._registry.items() if page.search_fields}
    assert {name for name, page in lists.items() if not isinstance(page, FoldedSearch)} == own
