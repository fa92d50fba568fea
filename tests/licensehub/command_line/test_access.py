"""The places from which a token may come, and to which it may go."""

from __future__ import annotations

from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import click
import pytest

from licensehub.api.client import ApiError, Client
from licensehub.command_line import access
from licensehub.command_line.exit_codes import Exit

TEXT = "lh_abcdefghijkl_" + "x" * 43


def test_a_token_comes_from_a_variable_or_a_private_file(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    file = tmp_path / "token"
    file.write_text(f"{TEXT}\n")
    file.chmod(0o600)
    assert access.read_token(str(file)) == TEXT
    monkeypatch.setenv(access.TOKEN_FILE, str(file))
    assert access.read_token("") == TEXT
    monkeypatch.setenv(access.TOKEN, " lh_of_the_variable ")
    assert (access.read_token(""), access.read_token(str(file))) == ("lh_of_the_variable", TEXT)
    # Control: without the test of the mode this is read.
    for mode in (0o640, 0o604, 0o660):
        file.chmod(mode)
        with pytest.raises(click.UsageError, match="chmod 600"):
            access.read_token(str(file))


@pytest.mark.parametrize("content", [b"", b"two words", b"\xff\xfe", b"x" * 300, b"lh_\r\nX-Header: 1"])
def test_what_is_no_token_is_refused(tmp_path, content):
    file = tmp_path / "token"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(click.UsageError, match="no token"):
        access.read_token(str(file))


def test_without_a_token_somebody_reads_where_to_make_one(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(click.UsageError, match="Your account"):
        access.read_token("")
    with pytest.raises(click.UsageError, match="cannot be read: No such file"):
        access.read_token(str(tmp_path / "none"))
    with pytest.raises(click.UsageError, match=r"is no file|cannot be read"):
        access.read_token(str(tmp_path))


@pytest.mark.parametrize(
    "url",
    ["http://licensehub.example", "ftp://x", "licensehub.example", "https://u@x", "https://x/?a", "http://[", ""],
)
def test_a_token_is_sent_over_https_or_on_this_machine(url):
    with pytest.raises(click.UsageError):
        access.checked_url(url)
    assert access.checked_url("http://127.0.0.1:8000") and access.checked_url("https://licensehub.example")


@pytest.fixture
def strange_server(allow_http):
    """A server that is not LicenseHub: it redirects, or answers with a page. Keeps the headers of the calls."""
    seen: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append((self.path, self.headers.get("Authorization", "")))
            if self.path.startswith("/api/v1/me"):
                self.send_response(302)
                self.send_header("Location", "/elsewhere")
                self.end_headers()
                return
            body = b"<html>Welcome</html>"
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    allow_http(url)
    yield url, seen
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_redirect_gets_no_token(strange_server):
    """Control: with urllib's usual opener, the second address gets the token."""
    url, seen = strange_server
    with pytest.raises(ApiError, match="not one of LicenseHub") as refused:
        Client(url, TEXT).me()
    assert refused.value.status == 302 and [path for path, _token in seen] == ["/api/v1/me"]
    with pytest.raises(ApiError, match="not one of LicenseHub"):
        Client(url, TEXT).profiles()


def test_a_call_waits_for_the_next_minute_and_not_for_ever(monkeypatch):
    answers = [(429, b'{"code": "too_many"}'), (200, b"{}")]
    waited: list[float] = []
    monkeypatch.setattr(access, "send", lambda *given: answers.pop(0))
    monkeypatch.setattr(access.time, "sleep", waited.append)
    assert access.patient("GET", "x", {}, None) == (200, b"{}") and waited == [access.RETRY_DELAY]
    monkeypatch.setattr(access, "send", lambda *given: (429, b'{"code": "too_many_wrong_tokens"}'))
    assert access.patient("GET", "x", {}, None)[0] == 429 and len(waited) == 1
    moments = iter([0.0, 1.0, access.MAX_WAIT + 1])
    monkeypatch.setattr(access.time, "monotonic", lambda: next(moments))
    monkeypatch.setattr(access, "send", lambda *given: (429, b'{"code": "too_many"}'))
    assert access.patient("GET", "x", {}, None)[0] == 429


def test_nobody_answers_is_an_exit_code_of_its_own(process: Callable):
    ran = process("me", LICENSEHUB_URL="http://127.0.0.1:9", LICENSEHUB_TOKEN=TEXT)
    assert ran.code == Exit.NO_ANSWER and "does not answer" in ran.err and "Traceback" not in ran.err
