"""Which tests PostgreSQL is asked for."""

from __future__ import annotations

import pytest
from django.test import TestCase

from tests.support.database.selection import asks_database


def test_a_fixture_that_leads_to_the_database(request, profile):
    assert asks_database(request.node)


@pytest.mark.django_db
def test_the_marker(request):
    assert asks_database(request.node)


def test_neither(request):
    assert not asks_database(request.node)


class TestsOfDjango(TestCase):
    @pytest.fixture(autouse=True)
    def _node(self, request):
        self.node = request.node

    def test_a_test_case(self):
        assert asks_database(self.node)


@pytest.mark.markup
@pytest.mark.django_db
def test_a_test_of_finished_pages(request):
    assert not asks_database(request.node)
