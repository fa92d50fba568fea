"""Attacks by an address: other schemes and forms of a number, names that lead inside, lists that match too much."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from licensehub.outbound import addresses
from licensehub.outbound.addresses import NotAllowed, Policy, Reason, may_reach, parse, resolve

POLICY = Policy(("hooks.example.com", "*.tickets.example", "xn--bcher-kva.example"))
ANY = Policy(("*.example", "*.com", "*.local", "localhost", "127.0.0.1", "[::1]", "::1"))


def refusal(url: str, policy: Policy = POLICY) -> Reason | None:
    try:
        parse(url, policy)
    except NotAllowed as error:
        return error.reason
    return None


@pytest.mark.parametrize(
    ("url", "host", "port", "target"),
    [
        ("https://hooks.example.com/a/b?c=d", "hooks.example.com", 443, "/a/b?c=d"),
        ("https://HOOKS.example.com.", "hooks.example.com", 443, "/"),
        ("https://one.tickets.example:8443/x", "one.tickets.example", 8443, "/x"),
        ("https://bücher.example/x", "xn--bcher-kva.example", 443, "/x"),
    ],
)
def test_an_address_that_is_listed_may_be_called(url, host, port, target):
    found = parse(url, POLICY)
    assert (found.host, found.port, found.target) == (host, port, target)
    assert found.authority == (host if port == 443 else f"{host}:{port}")


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://hooks.example.com/", Reason.NOT_HTTPS),
        ("ftp://hooks.example.com/", Reason.NOT_HTTPS),
        ("file:///etc/passwd", Reason.NOT_HTTPS),
        ("gopher://hooks.example.com/", Reason.NOT_HTTPS),
        ("//hooks.example.com/", Reason.NOT_HTTPS),
        ("hooks.example.com", Reason.NOT_HTTPS),
        ("https://user@hooks.example.com/", Reason.HAS_PASSWORD),
        ("https://hooks.example.com@evil.example/", Reason.HAS_PASSWORD),
        ("https://evil.example#@hooks.example.com/", Reason.MALFORMED),
        ("https://evil.example\\@hooks.example.com/", Reason.MALFORMED),
        ("https://hooks.example.com\\.evil.example/", Reason.MALFORMED),
        ("https://hooks.example.com/a b", Reason.MALFORMED),
        ("https://hooks.example.com/a\r\nHost: evil", Reason.MALFORMED),
        ("https://hooks.example.com\t/", Reason.MALFORMED),
        ("https://hooks.example.com:0/", Reason.MALFORMED),
        ("https://hooks.example.com:99999/", Reason.MALFORMED),
        ("https://[::1", Reason.MALFORMED),
        ("https:///x", Reason.MALFORMED),
        ("https://hooks.example.com/ü", Reason.MALFORMED),
        ("https://hooks.example.com/" + "a" * 2000, Reason.MALFORMED),
        ("https://evil.example/", Reason.NOT_LISTED),
        ("https://hooks.example.com.evil.example/", Reason.NOT_LISTED),
        ("https://evilhooks.example.com/", Reason.NOT_LISTED),
        ("https://sub.hooks.example.com/", Reason.NOT_LISTED),
        ("https://tickets.example/", Reason.NOT_LISTED),
        ("https://eviltickets.example/", Reason.NOT_LISTED),
        ("https://127.0.0.1/", Reason.NOT_LISTED),
        ("https://[::ffff:127.0.0.1]/", Reason.NOT_LISTED),
    ],
)
def test_an_address_that_may_not_be_called(url, reason):
    assert refusal(url) == reason


def test_an_empty_list_allows_nothing():
    assert refusal("https://hooks.example.com/", Policy()) == Reason.NOT_LISTED


@pytest.mark.parametrize(
    "host", ["2130706433", "127.1", "0x7f.0.0.1", "0x7f000001", "0177.0.0.1", "a.0x7f", "127.0.0.1.", "１２７.0.0.1"]
)
def test_no_other_form_of_a_number_passes_as_a_name(host):
    """A resolver reads `127.1` as a number. A pattern in the list covers names only."""
    reason = refusal(f"https://{host}/", Policy(("*.1", "*.0x7f", "*.example", "127.1")))
    assert reason in (Reason.MALFORMED, Reason.NOT_LISTED)


def test_a_number_is_allowed_only_if_it_is_listed_itself():
    assert parse("https://127.0.0.1/", ANY).host == "127.0.0.1"
    assert parse("https://１２７.０.０.１/", ANY).host == "127.0.0.1"
    assert refusal("https://10.0.0.1/", Policy(("*.0.0.1", "*.1"))) == Reason.NOT_LISTED


PRIVATE = [
    "0.0.0.0",  # noqa: S104 - it is refused
    *("127.0.0.1", "127.8.9.10", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254"),
    *("100.64.0.1", "100.100.100.200", "192.0.0.192", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
    *("168.63.129.16", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1"),
    *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:7f00:1", "::127.0.0.1", "2002:7f00:1::"),
    *("2002:a9fe:a9fe::1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1", "2001:0:7f00:1::"),
    *("2001:db8::1", "not a number"),
]


@pytest.mark.parametrize("number", PRIVATE)
def test_a_number_that_is_not_public_is_refused(number):
    assert not may_reach(number, [])


@pytest.mark.parametrize(
    "number", ["93.184.216.34", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_a_public_number_may_be_reached(number):
    """64:ff9b::/96 is itself not private; it leads to the number that it carries."""
    assert may_reach(number, [])


def test_a_network_that_an_operator_named_may_be_reached_and_no_other():
    named = [ip_network("10.20.0.0/16"), ip_network("fd12::/16")]
    assert may_reach("10.20.3.4", named) and may_reach("::ffff:10.20.3.4", named) and may_reach("fd12::1", named)
    assert not may_reach("10.21.0.1", named)
    assert not may_reach("169.254.169.254", named)


@pytest.mark.parametrize("numbers", [["127.0.0.1"], ["93.184.216.34", "127.0.0.1"], ["::1", "93.184.216.34"]])
def test_a_name_that_leads_inside_is_refused_also_among_public_numbers(monkeypatch, numbers):
    monkeypatch.setattr(addresses, "look_up", lambda host, port: numbers)
    with pytest.raises(NotAllowed) as caught:
        resolve(parse("https://hooks.example.com/", POLICY), POLICY)
    assert caught.value.reason == Reason.PRIVATE


def test_a_name_without_a_number_is_refused(monkeypatch):
    def nothing(host: str, port: int) -> list[str]:
        raise OSError

    monkeypatch.setattr(addresses, "look_up", nothing)
    with pytest.raises(NotAllowed) as caught:
        resolve(parse("https://hooks.example.com/", POLICY), POLICY)
    assert caught.value.reason == Reason.NO_SUCH_NAME
