"""A mail server in this process: it keeps what it took, and fails in the ways in which mail servers fail."""

from __future__ import annotations

import socketserver
import threading
import time
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage

# What it does with the mails to come.
ACCEPT = "accept"
BUSY = "450 at RCPT"
NOBODY = "550 at RCPT"
NOT_YOU = "530 at MAIL"
BUSY_AFTER = "451 after DATA"
REFUSE_AFTER = "554 after DATA"
CLOSE_AFTER = "takes it, and closes before its answer"
CLOSE_BEFORE = "closes at DATA"
HANG_AFTER = "takes it, and answers after a long time"
CLOSE_AT_QUIT = "takes it, and closes at QUIT"
QUOTA = "550 5.4.5 at RCPT"
POLICY = "550 5.7.1 at RCPT"
NO_LOGIN = "454 at EHLO"


@dataclass
class MailServer:
    """`mode` is for everybody, `modes` for single addresses. `mails` are those it took, in their order."""

    port: int = 0
    mode: str = ACCEPT
    modes: dict[str, str] = field(default_factory=dict)
    mails: list[EmailMessage] = field(default_factory=list)
    connections: int = 0
    # The number of mails after which it closes a connection, at the next command. 0 is no limit.
    max_per_connection: int = 0
    # How long HANG_AFTER takes, in seconds.
    hangs: float = 10.0

    def addresses(self) -> list[str]:
        return [str(mail["To"]) for mail in self.mails]

    def to(self, address: str) -> list[EmailMessage]:
        return [mail for mail in self.mails if mail["To"] == address]


class Session(socketserver.StreamRequestHandler):
    """One connection (RFC 5321)."""

    @property
    def state(self) -> MailServer:
        return self.server.state

    def handle(self) -> None:
        self.state.connections += 1
        self.say("220 mail.example ready")
        self.recipient, self.mode = "", self.state.mode
        if self.mode == NO_LOGIN:
            self.say("454 4.7.0 Temporary authentication failure")
            return
        taken = len(self.state.mails)
        while line := self.rfile.readline().decode().strip():
            if self.state.max_per_connection and len(self.state.mails) - taken >= self.state.max_per_connection:
                self.say("421 4.7.0 Too many mails in one connection")
                return
            verb = line[:4].upper()
            if not getattr(self, f"on_{verb.lower()}", self.on_other)(line):
                return

    def say(self, line: str) -> bool:
        self.wfile.write(f"{line}\r\n".encode())
        return True

    def on_other(self, line: str) -> bool:
        return self.say("250 ok")

    def on_mail(self, line: str) -> bool:
        return self.say("530 5.7.0 Sign in first" if self.mode == NOT_YOU else "250 ok")

    def on_rcpt(self, line: str) -> bool:
        self.recipient = line.partition("<")[2].partition(">")[0]
        self.mode = self.state.modes.get(self.recipient, self.state.mode)
        if self.mode == BUSY:
            return self.say("450 4.2.1 Mailbox busy")
        replies = {
            NOBODY: "550 5.1.1 No such user",
            QUOTA: "550 5.4.5 Daily user sending limit exceeded",
            POLICY: "550 5.7.1 Not authorized",
        }
        return self.say(replies.get(self.mode, "250 ok"))

    def on_data(self, line: str) -> bool:
        if self.mode == CLOSE_BEFORE:
            return False
        self.say("354 go on")
        lines = []
        while (one := self.rfile.readline()) != b".\r\n":
            lines.append(one.removeprefix(b".") if one.startswith(b"..") else one)
        if self.mode == BUSY_AFTER:
            return self.say("451 4.3.0 Try again later")
        if self.mode == REFUSE_AFTER:
            return self.say("554 5.6.0 Refused")
        self.state.mails.append(message_from_bytes(b"".join(lines), policy=policy.default))
        if self.mode == HANG_AFTER:
            time.sleep(self.state.hangs)
        return False if self.mode == CLOSE_AFTER else self.say("250 taken")

    def on_quit(self, line: str) -> bool:
        if self.mode != CLOSE_AT_QUIT:
            self.say("221 bye")
        return False


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    state: MailServer


def start() -> tuple[MailServer, Server]:
    server = Server(("127.0.0.1", 0), Session)
    server.state = MailServer(port=server.server_address[1])
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    return server.state, server
