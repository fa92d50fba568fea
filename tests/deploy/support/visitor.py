"""A browser without a screen: it keeps cookies, sends the token of each form, and follows redirects."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from threading import Event

import requests
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value, yield_hotp_counters_from_time
from django.urls import reverse

from tests.deploy.support.host import Host


@contextmanager
def asking(visitor: Visitor, path: str, host: Host) -> Iterator[Counter[int]]:
    """The status of each answer, while the visitor asks again and again, and until another answer after the block."""
    answers, ended = Counter[int](), Event()

    def ask() -> None:
        while not ended.wait(0.05):
            answers[visitor.session.get(visitor.base + path, timeout=40).status_code] += 1

    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask)
        try:
            yield answers
            before = answers.total()
            host.wait_until(lambda: answers.total() > before + 1 or asked.done(), "an answer after the restart")
        finally:
            ended.set()
        asked.result()


class Visitor:
    """One person at the site `base`, whose certificate is in the file `trusted`."""

    def __init__(self, base: str, trusted: Path, **headers: str) -> None:
        self.base = base
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = str(trusted)
        self.session.headers.update(headers)

    def get(self, path: str) -> requests.Response:
        return self._checked(self.session.get(self.base + path, timeout=30))

    def post(self, path: str, data: Mapping[str, object]) -> requests.Response:
        return self._checked(self.send(path, data))

    def send(self, path: str, data: Mapping[str, object]) -> requests.Response:
        """With the token and the header that Django asks for over HTTPS. The answer may be a refusal."""
        sent = {**data, "csrfmiddlewaretoken": self.token()}
        headers = {"Referer": self.base + path}
        return self.session.post(self.base + path, sent, headers=headers, timeout=30)

    def token(self) -> str:
        """Against requests that another site makes."""
        return str(self.session.cookies.get("csrftoken", ""))

    def sign_in(self, username: str, password: str) -> requests.Response:
        """With the password; then sets up an app with codes where the role needs one."""
        login = reverse("admin:login")
        self.get(login)
        answer = self.post(login, {"username": username, "password": password})
        if answer.url != self.base + reverse("factors"):
            return answer
        address = reverse("mfa_activate_totp")
        [secret] = re.findall(r'lh-sign-in-key">(\w+)<', self.get(address).text)
        counter = next(iter(yield_hotp_counters_from_time()))
        self.post(address, {"code": format_hotp_value(hotp_value(secret, counter))})
        return self.get(reverse("admin:index"))

    def field(self, page: requests.Response, name: str) -> str:
        """The value of a field of a form on the page."""
        [value] = set(re.findall(rf'name="{name}" value="([^"]*)"', page.text))
        return unescape(value)

    def _checked(self, answer: requests.Response) -> requests.Response:
        assert answer.status_code == 200, f"{answer.request.method} {answer.url}: {answer.status_code} {answer.text}"
        return answer
