"""The network settings for calls to vendors: proxy and certificates come from two settings, and from nowhere else."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from integrations.connectors import network
from integrations.connectors.contract import ConfigError, OutcomeUnknown, TransientError
from integrations.connectors.network import Network, set_network
from integrations.connectors.rate_limit import LocalRateBudget
from licensehub.checks import configuration
from licensehub.outbound import deadlines, sessions
from tests.integrations.connectors.test_tls import WHOLE, Drip, drip, write_certificate
from tests.support.guards.network import AllowHttp
from tests.support.vendor.connector_sessions import QUICK, RATE, new_session

__all__ = ["drip"]


@dataclass
class Proxy:
    """Answers CONNECT with `refusal`, or joins the two sides. `slow`: it sends its answer byte by byte in 4 seconds.

    `slow_answers` counts those that the client has waited for to the end.
    """

    url: str
    asked: list[bytes] = field(default_factory=list)
    refusal: bytes = b""
    slow: bool = False
    slow_answers: int = 0

    def serve(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return  # the test is over
            threading.Thread(target=self.answer, args=(client,), daemon=True).start()

    def answer(self, client: socket.socket) -> None:
        with closing(client):
            head = client.recv(4096)
            self.asked.append(head)
            try:
                if self.slow:
                    for _ in range(80):
                        client.sendall(b"H")
                        time.sleep(0.05)
                    self.slow_answers += 1
                if self.refusal:
                    client.sendall(self.refusal)
                    return
                host, port = head.split()[1].decode().rsplit(":", 1)
                with closing(socket.create_connection((host, int(port)))) as vendor:
                    client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    back = threading.Thread(target=pump, args=(vendor, client), daemon=True)
                    back.start()
                    pump(client, vendor)
                    back.join(5)
            except OSError:
                return  # the client left


def pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(4096):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return


@pytest.fixture
def proxy(allow_http: AllowHttp, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A proxy for the vendor of the tests. It is on this machine, and such an address is usually called directly."""
    monkeypatch.setattr(network, "is_loopback", lambda host: False)
    listener = socket.create_server(("127.0.0.1", 0))
    proxy = Proxy(f"http://127.0.0.1:{listener.getsockname()[1]}")
    allow_http(proxy.url)
    threading.Thread(target=proxy.serve, args=(listener,), daemon=True).start()
    yield proxy
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


@pytest.fixture(autouse=True)
def direct_again() -> Iterator[None]:
    yield
    set_network(Network())


def test_calls_go_through_the_proxy_and_trust_the_companys_certificate(
    drip: Drip, proxy: Proxy, budget: LocalRateBudget
) -> None:
    drip.whole.append(WHOLE)
    set_network(Network(proxy=proxy.url.replace("//", "//ada:s3cret@"), ca_bundle=str(drip.certificate)))
    assert new_session(drip.url, budget).get("/x", rate=RATE).data == {}
    [asked] = proxy.asked
    assert asked.startswith(b"CONNECT 127.0.0.1:")
    assert b"Proxy-Authorization: Basic YWRhOnMzY3JldA==" in asked
    assert b"Bearer" not in asked and b"Bearer" in drip.requests[0]


def test_without_the_certificate_of_the_company_nothing_is_sent(
    drip: Drip, proxy: Proxy, budget: LocalRateBudget, tmp_path: Path
) -> None:
    set_network(Network(proxy=proxy.url))
    with pytest.raises(ConfigError, match="name them in VENDOR_CA_BUNDLE"):
        new_session(drip.url, budget).get("/x", rate=RATE)
    for wrong in (tmp_path / "missing.pem", Path(__file__)):
        set_network(Network(ca_bundle=str(wrong)))
        with pytest.raises(ConfigError, match="VENDOR_CA_BUNDLE"):
            new_session(drip.url, budget)
    assert drip.requests == []


def test_a_proxy_behind_tls_is_checked_as_the_vendor_is(drip: Drip) -> None:
    """The public authorities and those of the company are trusted."""
    context = Network(ca_bundle=str(drip.certificate)).tls_context(slot="rest")
    assert context is not None and context.cert_store_stats()["x509_ca"] > 50
    adapter: Any = sessions.PlainSession({}, context).get_adapter("https://api.miro.example")
    proxy = adapter.proxy_manager_for("https://proxy.example:3128")
    assert proxy.proxy_config.ssl_context is proxy.connection_pool_kw["ssl_context"] is context


def test_nothing_is_taken_from_the_environment(
    drip: Drip, proxy: Proxy, budget: LocalRateBudget, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, str(drip.certificate))
    with pytest.raises(ConfigError, match="certificate"):
        new_session(drip.url, budget).get("/x", rate=RATE)
    assert proxy.asked == [] and drip.requests == []


def test_this_machine_is_asked_directly(drip: Drip, budget: LocalRateBudget) -> None:
    """The sandbox answers, although the port of the proxy is closed."""
    drip.whole.append(WHOLE)
    set_network(Network(proxy="http://127.0.0.1:9", ca_bundle=str(drip.certificate)))
    assert new_session(drip.url, budget).get("/x", rate=RATE).data == {}


@pytest.mark.parametrize(
    "refusal", [b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", b"HTTP/1.1 403 No\r\n\r\n", b"?"]
)
def test_a_proxy_that_refuses_is_named_and_its_password_is_not(
    drip: Drip, proxy: Proxy, budget: LocalRateBudget, refusal: bytes
) -> None:
    proxy.refusal = refusal
    set_network(Network(proxy=proxy.url.replace("//", "//ada:s3cret@"), ca_bundle=str(drip.certificate)))
    session = new_session(drip.url, budget)
    # Nothing reached the vendor, so nothing is in doubt.
    with pytest.raises(TransientError, match=r"through the proxy 127\.0\.0\.1:\d+ \(VENDOR_PROXY\)") as caught:
        session.patch("/x", {}, rate=RATE)
    assert not isinstance(caught.value, OutcomeUnknown)
    assert "s3cret" not in str(caught.value) and drip.requests == []


def test_the_deadline_holds_while_the_proxy_answers(
    drip: Drip, proxy: Proxy, budget: LocalRateBudget, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy.slow = True
    set_network(Network(proxy=proxy.url, ca_bundle=str(drip.certificate)))
    with pytest.raises(TransientError):
        new_session(drip.url, budget, QUICK).patch("/x", {}, rate=RATE)
    assert proxy.slow_answers == 0
    # The control: without its handle on the connection, the deadline waits for the whole answer.
    monkeypatch.setattr(deadlines.Deadline, "watch_connecting", lambda *_: None)
    with pytest.raises(TransientError):
        new_session(drip.url, budget, QUICK).patch("/x", {}, rate=RATE)
    assert proxy.slow_answers == 1


@pytest.mark.parametrize(
    ("url", "right"),
    [
        ("http://proxy.example:3128", True),
        ("https://ada:pass%40word@proxy.example:443/", True),
        ("proxy.example:3128", False),
        ("socks5://proxy.example:1080", False),
        ("http://proxy.example", False),
        ("http://proxy.example:http", False),
        ("http://proxy.example:3128/path", False),
    ],
)
def test_the_check_of_the_proxy(url: str, right: bool) -> None:
    assert configuration.is_proxy(url) is right


def test_the_check_of_the_certificates(tmp_path: Path, settings: Any) -> None:
    good = tmp_path / "company.pem"
    write_certificate(good)
    for path, ids in ((good, []), (Path(__file__), ["licensehub.E025"]), (tmp_path / "none.pem", ["licensehub.E025"])):
        settings.VENDOR_CA_BUNDLE = str(path)
        assert [str(found.id) for found in configuration.check_network()] == ids
