"""Attacks below the address, against a real server: another number, another name, redirects, slow and huge answers."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest

from licensehub.outbound.addresses import NotAllowed, Policy, Reason, parse, resolve
from licensehub.outbound.pinned import LIMITS, Answer, Broken, Limits, NoAnswer, post
from tests.support.servers.scripted_server import DRIP_SECONDS, Reply
from tests.support.servers.webhooks import HOST, Receiver, write_certificate

POLICY = Policy((HOST, "other.example"), (ip_network("127.0.0.0/8"),))
# Longer than a busy machine stands still: else it may end before anything is sent.
QUICK = Limits(connect=30, total=2, answer=1000)


def send(endpoint: Receiver, settings, url: str = "", *, limits: Limits = LIMITS) -> Answer:
    address = parse(url or endpoint.address, POLICY)
    return post(
        address, resolve(address, POLICY), b"{}", {"X": "y"}, ca_bundle=settings.WEBHOOK_CA_BUNDLE, limits=limits
    )


def test_it_connects_to_the_checked_number_with_the_name_of_the_host(endpoint, settings):
    answer = send(endpoint, settings)
    assert (answer.status, answer.body) == (200, b'{"ok": true}')
    (seen,) = endpoint.seen
    assert (seen.method, seen.body) == ("POST", b"{}")
    assert seen.headers["Host"] == f"{HOST}:{endpoint.port}"
    assert seen.headers["X"] == "y"


def test_a_name_that_changes_its_number_after_the_check_changes_nothing(endpoint, settings):
    """The name is looked up once. A second look-up would lead to 169.254.169.254."""
    numbers = iter([["127.0.0.1"], ["169.254.169.254"], ["169.254.169.254"]])
    endpoint.names[HOST] = lambda: next(numbers)
    assert send(endpoint, settings).status == 200
    assert endpoint.looked_up == [HOST]
    with pytest.raises(NotAllowed) as caught:
        send(endpoint, settings)
    assert caught.value.reason == Reason.PRIVATE
    assert len(endpoint.seen) == 1


def test_a_certificate_of_another_name_is_refused_before_anything_is_sent(endpoint, settings):
    endpoint.names["other.example"] = lambda: ["127.0.0.1"]
    with pytest.raises(NoAnswer) as caught:
        send(endpoint, settings, f"https://other.example:{endpoint.port}/x")
    assert caught.value.reason == Broken.CERTIFICATE
    assert endpoint.seen == []


def test_a_certificate_of_an_unknown_authority_is_refused(endpoint, settings, tmp_path: Path):
    other = tmp_path / "other.pem"
    write_certificate(other, HOST)
    settings.WEBHOOK_CA_BUNDLE = str(other)
    with pytest.raises(NoAnswer) as caught:
        send(endpoint, settings)
    assert caught.value.reason == Broken.CERTIFICATE
    assert endpoint.seen == []


def test_a_redirect_is_not_followed(endpoint, settings):
    endpoint.replies = [Reply(status=307, headers={"Location": f"https://{HOST}:{endpoint.port}/elsewhere"})]
    assert send(endpoint, settings).status == 307
    assert len(endpoint.seen) == 1


def test_a_huge_answer_is_not_read_to_its_end(endpoint, settings):
    """It breaks off later, which is not seen."""
    endpoint.replies = [Reply(raw=b"a" * 20_000_000, manner="short")]
    answer = send(endpoint, settings, limits=Limits(answer=1000))
    assert (answer.status, len(answer.body)) == (200, 1000)


@pytest.mark.parametrize("manner", ["drip", "drip_head"])
def test_an_answer_byte_by_byte_ends_at_the_deadline(endpoint, settings, manner, caplog):
    """The log has no part of the address: urllib3 would write it, since the header is not whole."""
    endpoint.replies = [Reply(raw=b"a" * 900, manner=manner)]
    with pytest.raises(NoAnswer) as caught:
        send(endpoint, settings, limits=QUICK)
    assert caught.value.reason == Broken.TOO_SLOW
    assert endpoint.dripped * DRIP_SECONDS < 2 * QUICK.total
    assert "canary" not in caplog.text


def test_a_connection_that_is_closed_without_an_answer(endpoint, settings):
    endpoint.replies = [Reply(manner="cut")]
    with pytest.raises(NoAnswer) as caught:
        send(endpoint, settings)
    assert caught.value.reason == Broken.BROKE_OFF


def test_nobody_listens(endpoint, settings):
    endpoint.stop()
    with pytest.raises(NoAnswer) as caught:
        send(endpoint, settings)
    assert caught.value.reason == Broken.UNREACHABLE


def test_the_proxies_of_the_environment_are_not_used(endpoint, settings, monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert send(endpoint, settings).status == 200
