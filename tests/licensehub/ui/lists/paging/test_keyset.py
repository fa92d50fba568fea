"""Pages by key: no row twice, none left out, in both directions, with ties and empty values in the order."""

from __future__ import annotations

import pytest

from licensehub.ui.lists.paging import keyset
from licensehub.ui.lists.paging.keyset import Cursor, InvalidCursor, Order
from subscriptions.models import Subscription

COLUMNS = [
    ("idle_since", "pk"),
    ("email", "pk"),
    ("pk", "pk"),
    ("evaluation__idle_since", "evaluation__subscription_id"),
]
ORDERS = [Order(Subscription, column, descending, key) for column, key in COLUMNS for descending in (False, True)]
SIZES = [1, 7, 12, 59, 60, 61]


def expected(order: Order) -> list[int]:
    """Empty ones last, whichever way the others go."""
    rows = list(Subscription.objects.all())
    column = order.columns[0].removeprefix("evaluation__")
    empty = sorted((row.pk for row in rows if getattr(row, column) is None), reverse=order.descending)
    valued = [(getattr(row, column), row.pk) for row in rows if getattr(row, column) is not None]
    return [pk for _, pk in sorted(valued, reverse=order.descending)] + empty


def through_the_address(order: Order, key: int) -> Cursor:
    return Cursor.read(place(order, key).token(), order)


def place(order: Order, key: int) -> Cursor:
    return order.place_of(Subscription.objects.get(pk=key))


def ids(page: keyset.Page) -> list[int]:
    return page.keys


@pytest.mark.parametrize("order", ORDERS, ids=str)
@pytest.mark.parametrize("size", SIZES)
def test_forwards_from_the_first(bucket, order, size):
    rows, page = Subscription.objects.all(), keyset.first(Subscription.objects.all(), order, size)
    found = ids(page)
    assert not page.has_previous
    while page.has_next and len(found) <= 60:
        page = keyset.after(rows, order, through_the_address(order, page.keys[-1]), size)
        assert page.has_previous
        found += ids(page)
    assert found == expected(order)


@pytest.mark.parametrize("order", ORDERS, ids=str)
@pytest.mark.parametrize("size", SIZES)
def test_backwards_from_the_last(bucket, order, size):
    rows, page = Subscription.objects.all(), keyset.last(Subscription.objects.all(), order, size)
    found = ids(page)
    assert not page.has_next
    while page.has_previous and len(found) <= 60:
        page = keyset.before(rows, order, through_the_address(order, page.keys[0]), size)
        assert page.has_next
        found = ids(page) + found
    assert found == expected(order)


@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_to_and_fro_shows_the_same_page(bucket, order):
    rows = Subscription.objects.all()
    one = keyset.first(rows, order, 13)
    two = keyset.after(rows, order, place(order, one.keys[-1]), 13)
    assert ids(keyset.before(rows, order, place(order, two.keys[0]), 13)) == ids(one)


@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_the_order_of_the_whole_is_that_of_its_pages(bucket, order):
    assert [row.pk for row in Subscription.objects.order_by(*order.terms())] == expected(order)
    assert [row.pk for row in keyset.walk(Subscription.objects.all(), order, 9)] == expected(order)


def test_through_a_row_of_another_table_its_index_has_the_order(bucket):
    order = Order(Subscription, "evaluation__idle_since", key="evaluation__subscription_id")
    valued = next(row for row in Subscription.objects.select_related("evaluation") if row.idle_since)
    found = list(keyset._queries(Subscription.objects.candidates(), order, order.place_of(valued), True))
    evaluation = "subscriptions_evaluation"
    assert f'("{evaluation}"."idle_since", "{evaluation}"."subscription_id") > (' in str(found[0].query)
    assert f'ORDER BY "{evaluation}"."idle_since" ASC, "{evaluation}"."subscription_id" ASC' in str(found[0].query)


def test_a_row_that_comes_in_between_moves_no_page(bucket, profile):
    from tests.support.people.members import START, member

    order, rows = Order(Subscription, "idle_since"), Subscription.objects.all()
    one = keyset.first(rows, order, 10)
    rest = ids(keyset.after(rows, order, place(order, one.keys[-1]), 100))
    member(profile, 99, last_activity_at=START.replace(year=2020))
    assert ids(keyset.after(rows, order, place(order, one.keys[-1]), 100)) == rest


@pytest.mark.parametrize("token", ["", "x", "W10", "WzEsMl0", "eyJhIjoxfQ", "WyJub25zZW5zZSIsMV0", "WzFlOTldCg", "é"])
def test_an_address_of_nobodys_making_is_refused(token):
    with pytest.raises(InvalidCursor):
        Cursor.read(token, Order(Subscription, "idle_since"))


def test_the_place_stands_in_the_query_as_one_range(bucket):
    order = Order(Subscription, "idle_since")
    valued = next(row for row in bucket if row.idle_since)
    found = list(keyset._queries(Subscription.objects.all(), order, order.place_of(valued), True))
    assert '("subscriptions_subscription"."idle_since", "subscriptions_subscription"."id") > (' in str(found[0].query)
