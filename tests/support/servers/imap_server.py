"""A mailbox in this process: just as much of IMAP (RFC 9051) as `imaplib` asks for."""

from __future__ import annotations

import re
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.support.guards.network import AllowHttp


@dataclass
class Mailbox:
    """`mails` in their order. `seen`: the numbers of the mails that are marked as seen."""

    url: str = ""
    mails: list[bytes] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)
    logins: int = 0
    refuses: bool = False


class Session(socketserver.StreamRequestHandler):
    @property
    def box(self) -> Mailbox:
        return self.server.box

    def handle(self) -> None:
        self.say("* OK [CAPABILITY IMAP4rev1] ready")
        while line := self.rfile.readline().decode().strip():
            tag, verb, *rest = line.split(" ", 2)
            ok = getattr(self, f"on_{verb.lower()}", lambda words: True)(" ".join(rest))
            self.say(f"{tag} {'OK' if ok else 'NO'} done")
            if verb == "LOGOUT":
                return

    def say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())

    def on_capability(self, words: str) -> bool:
        self.say("* CAPABILITY IMAP4rev1")
        return True

    def on_login(self, words: str) -> bool:
        self.box.logins += 1
        return not self.box.refuses

    def on_select(self, words: str) -> bool:
        self.say(f"* {len(self.box.mails)} EXISTS")
        return words == '"INBOX"'

    def on_search(self, words: str) -> bool:
        unseen = [str(number) for number in range(1, len(self.box.mails) + 1) if number not in self.box.seen]
        self.say(f"* SEARCH {' '.join(unseen)}")
        return True

    def on_fetch(self, words: str) -> bool:
        number, most = (int(found) for found in re.findall(r"^(\d+) .*<0\.(\d+)>", words)[0])
        mail = self.box.mails[number - 1][:most]
        self.wfile.write(f"* {number} FETCH (BODY[]<0> {{{len(mail)}}}\r\n".encode() + mail + b")\r\n")
        return True

    def on_store(self, words: str) -> bool:
        self.box.seen.add(int(words.split()[0]))
        return True


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    box: Mailbox


@pytest.fixture
def mailbox(settings, allow_http: AllowHttp) -> Iterator[Mailbox]:
    """The mailbox that the settings name."""
    server = Server(("127.0.0.1", 0), Session)
    port = server.server_address[1]
    server.box = Mailbox(url=f"imap://ada:s3cret@127.0.0.1:{port}/INBOX")
    settings.BOUNCE_MAILBOX_URL = server.box.url
    allow_http(f"http://127.0.0.1:{port}")
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield server.box
    server.shutdown()
    server.server_close()
