"""Export CSV: what is filtered, nothing that a spreadsheet would run, and only for those who may look."""

from __future__ import annotations

import pytest

from licensehub.ui.export import harmless
from tests.support.exports import rows
from tests.support.organization import page

EXPORTS = ["removalcandidate", "reclaimrequest", "reclaim"]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "|calc", "%0A", "   =1"])
def test_a_formula_becomes_text(text):
    assert harmless(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "Ana", "a=1", "1-2", " Ana", "O’Neil"])
def test_other_text_stays(text):
    assert harmless(text) == text


def test_exactly_what_is_filtered(organization, alice, as_user):
    client = as_user(alice)
    organization.ask(alice, count=2)

    everybody = rows(client.get(page("removalcandidate", "export")))
    one = rows(client.get(page("removalcandidate", "export") + "?q=person7"))
    waiting = rows(client.get(page("removalcandidate", "export") + "?state__exact=awaiting_approval"))

    assert (len(everybody), len(one), len(waiting)) == (6, 1, 2)
    assert one[0]["Name"] == "Person 7" and one[0]["License"] == "Full"


def test_a_hostile_name(empty_organization, alice, as_user):
    empty_organization.hire(1, idle=100, name='=HYPERLINK("http://x")')
    empty_organization.propose()

    (found,) = rows(as_user(alice).get(page("removalcandidate", "export")))

    assert found["Name"] == '\'=HYPERLINK("http://x")'


@pytest.mark.parametrize("model", EXPORTS)
def test_everybody_who_reads_may_export(organization, alice, carol, dave, as_user, model):
    organization.ask(alice)

    response = as_user(carol).get(page(model, "export"))

    assert response.status_code == 200 and "attachment" in response["Content-Disposition"]
    rows(response)
    assert as_user(dave).get(page(model, "export")).status_code == 403


def test_a_filter_that_makes_no_sense(organization, alice, as_user):
    assert as_user(alice).get(page("removalcandidate", "export") + "?pk__in=x").status_code in (302, 400)


def test_the_button_keeps_the_filters(organization, alice, as_user):
    shown = as_user(alice).get(page("removalcandidate", "changelist") + "?q=person7").content.decode()

    assert page("removalcandidate", "export") + "?q=person7" in shown
