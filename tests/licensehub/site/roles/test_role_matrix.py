"""Every address of LicenseHub, by role and method: who gets through, and who is refused.

The tables of `role_matrix` are what is meant. An address that they do not name fails the test. *Who* may is asked here;
what then happens is asked in the tests of each page.

The requests here are those of alice, so no role has a part in them: see `tests/attacks/decisions/test_duties.py`
for people who have.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from http.cookies import SimpleCookie

import pytest
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.http import HttpResponse, HttpResponseForbidden
from django.template.response import SimpleTemplateResponse
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from integrations.models import Connection, IntegrationProfile
from licensehub import urls
from licensehub.audit.models import AuditEvent
from subscriptions.accounts import rights_changes
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.models import (
    Deputy,
    DownloadRun,
    Price,
    Protection,
    Reclaim,
    ReclaimRule,
    Reconciliation,
    RemovalCandidate,
    RightsChange,
    Subscription,
)
from tests.licensehub.site.roles.role_matrix import COMPANY, EVERYBODY, LISTS, OPEN, OWN, ROLES, SIGN_IN, acts, meant
from tests.support.fixtures import person
from tests.support.people.organization import limited_to, make_organization
from tests.support.servers.webhooks import stored_webhook

# Looks at answers only, which are the same on each database.
pytestmark = pytest.mark.markup

# The words in a path that stand for an act.
WORDS = {
    "integrationprofile_action": ("publish", "pause", "unpause", "stop", "allow", "reclaim_on", "download", "reclaim"),
    "integrationprofile_schedule": ("download", "reclaim"),
    "sendingcontrol_action": ("stop", "allow", "release"),
    "webhook_action": ("test", "on", "off", "delete"),
    "downloadrun_decide": ("propose", "accept", "discard"),
}
# Patterns without a name, or with a group -> a path that they match.
PATHS = {
    "^admin/(?:audit|auth|integrations|subscriptions)/$": "admin/audit/",
    "admin/^(?P<app_label>": "admin/audit/",
    "admin/(?P<url>.*)$": "admin/nothing",
}


# Addresses whose row is of another model than their folder.
ROWS = {
    "end_deputy": "deputy",
    "reconcile": "integrationprofile",
    "delivery": "webhookdelivery",
    "replay": "webhookdelivery",
}
API = "api/v1/"


@dataclass(frozen=True)
class Address:
    name: str
    path: str


def walk(patterns: list[URLPattern | URLResolver], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Name and pattern of each address."""
    for one in patterns:
        if isinstance(one, URLPattern):
            yield ("api:" if prefix == API else "") + (one.name or ""), prefix + str(one.pattern)
        else:
            yield from walk(one.url_patterns, prefix + str(one.pattern))


def addresses(rows: dict[str, int]) -> Iterator[Address]:
    """Each address, with rows that exist. A word in a path that stands for an act gives one for each of its values."""
    for name, pattern in walk(get_resolver().url_patterns):
        if known := next((path for start, path in PATHS.items() if pattern.startswith(start)), None):
            yield Address(name or pattern, f"/{known}")
            continue
        model = pattern.split("/")[2] if pattern.count("/") > 2 else ""
        row = ROWS.get(name.partition("_")[2].partition("_")[2])
        path = pattern.replace("<path:content_type_id>/<path:object_id>", "1/1")
        for part, value in {**VALUES, "<int:removal>": rows["removal"], "<int:profile_id>": rows["profile"]}.items():
            path = path.replace(part, str(value))
        for part in ("<int:pk>", "<path:object_id>", "<id>", "<pk>"):
            if part in path:
                path = path.replace(part, str(rows.get(row or model, 1)))
        for word in WORDS.get(name.partition("_")[2], ("",)):
            whole = path
            for part in ("<slug:name>", "<slug:subflow>", "<slug:action>"):
                whole = whole.replace(part, word)
            assert "<" not in whole, f"{name}: {whole} has a part for which this test has no value"
            yield Address(f"{name or pattern or '/'} {word}".strip(), f"/{whole}")


VALUES = {
    "<slug:form>": "csv",
    "<slug:digest>": "0",
    "<str:token>": "x",
    "<str:key>": "x",
    "<str:provider_id>": "x",
    "<str:organization_slug>": "x",
    "<uidb64>": "x",
    "<token>": "x",
}


@pytest.fixture
def clients(db) -> dict[str, Client]:
    found = {}
    for letter, role in ROLES.items():
        found[letter] = Client(raise_request_exception=False)
        if role is not None:
            user = person(f"matrix-{letter}", None if role == "superuser" else role)
            User.objects.filter(pk=user.pk).update(is_superuser=role == "superuser")
            found[letter].force_login(user)
    return found


@pytest.fixture
def rows(run: DownloadRun, alice: User, bob: User, carol: User) -> dict[str, int]:
    """Model -> a row of it."""
    carol.groups.add(Group.objects.get(name="Approver"))
    rights_changes.follow(actor=None)
    return rows_of(run, alice, bob, carol)


def rows_of(run: DownloadRun, alice: User, bob: User, carol: User) -> dict[str, int]:
    """A row of each model, in the profile of this run."""
    profile = run.profile
    ready = list(RemovalCandidate.objects.filter(state="ready", profile=profile).values_list("pk", flat=True))
    approved = request_reclaim(RemovalCandidate.objects.filter(pk__in=ready[:1]), actor=alice)
    decide.approve(approved, actor=bob)
    waiting = request_reclaim(RemovalCandidate.objects.filter(pk__in=ready[1:3]), actor=alice)
    price = Price.objects.create(
        profile=profile, license="full", amount="10", currency="EUR", per="year", valid_from="2026-01-01"
    )
    protection = Protection.objects.create(
        profile=profile, kind="person", value="x@northwind.example", reason="x", owner="x", created_by=alice
    )
    day = run.finished_at.date()
    delivery = stored_webhook(profile)
    return {
        "webhook": delivery.webhook_id,
        "webhookdelivery": delivery.pk,
        "connection": profile.connections.first().pk,
        "rightschange": RightsChange.objects.get(account=carol).pk,
        "reclaimrequest": waiting.pk,
        "removal": waiting.removals.first().pk,
        "removalcandidate": ready[3],
        "downloadrun": run.pk,
        "price": price.pk,
        "deputy": Deputy.objects.create(user=alice, deputy=bob, starts=day, ends=day).pk,
        "integrationprofile": profile.pk,
        "profile": profile.pk,
        "reclaim": Reclaim.objects.get(profile=profile).pk,
        "reconciliation": Reconciliation.objects.create(profile=profile).pk,
        "subscription": Subscription.objects.filter(profile=profile)[0].pk,
        "persontoreview": Subscription.objects.filter(profile=profile)[0].pk,
        "protection": protection.pk,
        "reclaimrule": ReclaimRule.objects.get(profile=profile).pk,
        "auditevent": AuditEvent.objects.first().pk,
        "group": Group.objects.get(name="Auditor").pk,
        "user": carol.pk,
    }


def ask(client: Client, path: str, method: str) -> HttpResponse:
    """The whole answer. What the request did is taken back."""
    kept = {name: morsel.value for name, morsel in client.cookies.items()}
    with transaction.atomic():
        try:
            answer = getattr(client, method)(path)
            if answer.streaming:
                list(answer.streaming_content)  # its end closes the file
        finally:
            transaction.set_rollback(True)
            client.cookies = SimpleCookie(kept)
    return answer


def lets_in(client: Client, path: str, method: str) -> bool:
    """Whether the role gets through."""
    try:
        answer = ask(client, path, method)
    except BaseException as error:  # a call to the vendor, which no test lets out: the role got through to it
        if not isinstance(error, (Exception, pytest.fail.Exception)):
            raise
        return True
    if path.startswith("/account/") and answer.status_code == 404:
        return False  # switched off
    location = answer.headers.get("Location", "")
    return (
        answer.status_code not in (401, 403, 405) and "/login/" not in location and not location.startswith("/sign-in/")
    )


def let_in(clients: dict[str, Client], path: str, method: str, among: str) -> str:
    return "".join(letter for letter in ROLES if letter in among and lets_in(clients[letter], path, method))


@pytest.fixture
def _only_who_may(monkeypatch):
    """Pages are not rendered: who may see them is decided before. A thousand refusals are not logged."""
    monkeypatch.setattr(urls, "handler403", lambda request, exception: HttpResponseForbidden(), raising=False)
    monkeypatch.setattr(SimpleTemplateResponse, "rendered_content", property(lambda self: ""))
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def asked_of(name: str, letters: str, *, own_line: bool) -> str:
    """The roles that are asked. Of those who read a list, one is enough for each of its many pages."""
    if name in OWN:
        return "_"
    if name in SIGN_IN:
        return ""
    if name.startswith("api:"):
        return "S_"
    if own_line or name.endswith(("_changelist", "_change")):
        return EVERYBODY
    return "".join(letter for letter in EVERYBODY if letter not in letters[1:])


@pytest.mark.parametrize("method", ["get", "post"])
def test_who_gets_through_where(clients, rows, _only_who_may, method):
    table, wrong, known = acts(), [], set()
    for address in addresses(rows):
        expected = meant(address.name, table)
        known.add(address.name)
        letters = "?" if expected is None else expected[method == "post"]
        among = asked_of(address.name, letters, own_line=expected is None or address.name in table)
        found = let_in(clients, address.path, method, among)
        if found != "".join(letter for letter in letters if letter in among):
            wrong.append(f"{address.name}: lets in {found or '.'}, meant is {letters or '.'}")
    assert wrong == []
    assert set(table) <= known, "these addresses of the table do not exist"


PROTECTING = {"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin"}
# Anybody may read these words of the calendar, and a browser may keep them.
PUBLIC = ("/admin/jsi18n/",)


def unprotected(client: Client, path: str) -> list[str]:
    """The headers that the answer to a GET lacks, for a browser that must neither run nor keep what it shows."""
    try:
        answer = ask(client, path, "get")
    except pytest.fail.Exception:  # a call to the vendor, which no test lets out
        return []
    found = [name for name, value in PROTECTING.items() if answer.headers.get(name) != value]
    policy = answer.headers.get("Content-Security-Policy", "")
    found += [
        word for word in ("default-src 'self'", "frame-ancestors 'none'", "base-uri 'none'") if word not in policy
    ]
    stored = not {"no-store", "private"} & set(re.split(r"[\s,]+", answer.headers.get("Cache-Control", "")))
    return [*found, "Cache-Control"] if stored and answer.status_code == 200 and path not in PUBLIC else found


def test_no_browser_or_proxy_keeps_a_page_and_each_answer_says_what_a_browser_may_do(clients, rows, _only_who_may):
    wrong = {}
    for address in addresses(rows):
        for letter in "S_":
            if found := unprotected(clients[letter], address.path):
                wrong[f"{letter} {address.path}"] = found
    assert wrong == {}, "\n".join(f"{path}: {found}" for path, found in wrong.items())


def test_an_address_that_nobody_has_decided_about_is_found():
    """The control: an unknown act, and an unknown list, have no line."""
    table = acts()
    assert meant("subscriptions_reclaimrequest_approve_all", table) is None
    assert meant("subscriptions_newlist_changelist", table) is None
    assert meant("subscriptions_reclaimrequest_export", table) == ("CMAUS", "CMAUS")
    assert len(LISTS) + len(table) > 80


# --- Accounts whose roles hold for some profiles only -----------------------------------------------------------------

NO_ROW = 9_999_999
# Rows that belong to accounts, not to a profile. Their own tests ask who reaches them.
OF_ACCOUNTS = ("subscriptions_notificationchoice",)


@pytest.fixture
def limited(clients, rows) -> dict[str, Client]:
    """The roles of these hold for the first profile only. A superuser's hold for all."""
    profile = IntegrationProfile.objects.get(pk=rows["profile"])
    for letter in "CMAUO":
        limited_to(User.objects.get(username=f"matrix-{letter}"), profile)
    return {letter: clients[letter] for letter in "CMAUO"}


@pytest.fixture
def us_rows(us_of_matrix: DownloadRun, alice: User, bob: User, carol: User) -> dict[str, int]:
    return rows_of(us_of_matrix, alice, bob, carol)


@pytest.fixture
def us_of_matrix(rows) -> DownloadRun:
    made = make_organization("Northwind US", "3074457999")
    Connection.objects.create(profile=made.profile, slot="rest")
    Subscription.objects.bulk_create(made.person(number, idle=100 + number) for number in range(50, 56))
    made.propose()
    return made.run


def answer_of(client: Client, path: str, method: str) -> tuple[int, str]:
    """Status and target, without the id in it."""
    answer = ask(client, path, method)
    return answer.status_code, re.sub(r"\d+", "#", answer.headers.get("Location", ""))


def is_company_wide(name: str) -> bool:
    return name.startswith(COMPANY) and not name.startswith(OPEN)


@pytest.mark.parametrize("method", ["get", "post"])
def test_rows_of_another_profile_are_like_rows_that_do_not_exist(limited, rows, us_rows, _only_who_may, method):
    """Each address that names an object, by each role whose scope is another profile: the same answer as for an id that
    no row has, and never the page or the act. Pages of the whole company are refused.
    """
    table, wrong, asked = acts(), [], 0
    nothing = dict.fromkeys(rows, NO_ROW)
    places = zip(addresses(rows), addresses(us_rows), addresses(nothing), strict=True)
    for mine, theirs, none in places:
        roles = [letter for letter in (meant(mine.name, table) or ("", ""))[method == "post"] if letter in limited]
        if mine.name in (*OWN, *SIGN_IN) or mine.name.startswith(OF_ACCOUNTS) or "**" in mine.name:
            continue
        for letter in roles if mine.name in table else roles[:1]:
            client = limited[letter]
            if is_company_wide(mine.name):
                if answer_of(client, mine.path, method)[0] != 403:
                    wrong.append(f"{mine.name}: {letter} of a profile gets into a room of the company")
            elif theirs.path != none.path:
                asked += 1
                found, expected = answer_of(client, theirs.path, method), answer_of(client, none.path, method)
                if found != expected or found[0] == 200:
                    wrong.append(f"{mine.name}: {letter} gets {found} for another profile, {expected} for no row")
    assert wrong == []
    assert asked > 40
