"""Addresses are compared in one form, however they are written."""

from __future__ import annotations

import pytest

from integrations.connectors.contract import is_plain, normalized, normalized_domain

JOERG = "jörg@münchen.example"
SAME = [
    (" Pat.Lee@Northwind.EXAMPLE ", "pat.lee@northwind.example"),
    ("JÖRG@MÜNCHEN.example", JOERG),
    ("Jo\u0308rg@xn--mnchen-3ya.example", JOERG),  # decomposed, and the domain as the DNS writes it
    ("jörg@XN--MNCHEN-3YA.EXAMPLE", JOERG),
    ("\uff4a\u00f6rg\uff20münchen\uff0eexample", JOERG),  # full-width letters
    ("jörg@münchen\u3002example", JOERG),
    ("strauß@straße.example", "strauss@strasse.example"),
    ("x@xn--strae-oqa.example", "x@strasse.example"),
    ("İlker@northwind.example", "i\u0307lker@northwind.example"),
    ("pat@xn--.example", "pat@.example"),
    ("pat@xn--\u00fc.example", "pat@xn--ü.example"),  # cannot be decoded
    ("Pat", "pat"),
    ("", ""),
]


@pytest.mark.parametrize(("written", "one_form"), SAME)
def test_each_spelling_of_an_address_has_one_form(written, one_form):
    assert normalized(written) == one_form
    assert normalized(one_form) == one_form


@pytest.mark.parametrize(("address", "plain"), [("Pat@a.example", True), ("jörg@a.b", False), ("a@XN--b.c", False)])
def test_lower_case_is_enough_for_plain_ones(address, plain):
    assert is_plain(address) is plain


def test_a_domain_is_normalized():
    assert normalized_domain(" XN--mnchen-3ya.Example ") == "münchen.example"


def test_a_normalized_address_fits_into_the_column():
    assert len(normalized("\ufdfa" * 254)) == 254
