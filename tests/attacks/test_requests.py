"""Nobody gets a 500 by writing odd values, a GET writes nothing, and no address of ours comes from a request."""

from __future__ import annotations

import io
import os
import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.admin import site
from django.contrib.auth.models import User
from django.core.mail import EmailMultiAlternatives
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse

from integrations.models import IntegrationProfile
from licensehub.audit.models import AuditEvent
from licensehub.site.middleware.headers import PERMISSIONS_POLICY
from licensehub.ui.invisible import INVISIBLE, visible, visible_page
from subscriptions.models import Subscription
from subscriptions.notices.transport import MailServer
from tests.attacks.generated_requests import ROLES, Generator, Wanted
from tests.support.data.cached_rows import rows
from tests.support.fixtures import person
from tests.support.web.all_pages import prepare

WRITES = re.compile(r"\s*(INSERT INTO|UPDATE|DELETE FROM|TRUNCATE|COPY|REPLACE)\s+\"?(\w+)", re.IGNORECASE)
# A visit may write them: the session, and who has just signed in.
OF_A_VISIT = {"django_session", "sign_in_accountsession"}
# A file that leaves LicenseHub is an event of the audit, and nothing else is written.
OF_THE_AUDIT = {"audit_auditevent", "audit_chainhead", "audit_storedanchor"}
SHARE = 1_000
MAX_FAILURES = 30
WHOLE = int(os.environ.get("GENERATED_REQUESTS", "20000"))


@pytest.fixture
def clients(world, alice, bob) -> dict[str, Client]:
    """A signed-in client for each role. The organization has a reclaim, a request that waits, and all lists."""
    prepare(world, asks=alice, decides=bob)
    users: dict[str, User | None] = {role: person(role.replace(" ", "-"), role) for role in ROLES[2:-1]}
    users |= {"": None, "stranger": person("stranger", None)}
    users["superuser"] = User.objects.create_superuser("root", "root@northwind.example", "a long password of root")
    found = {role: Client(raise_request_exception=True) for role in ROLES}
    for role, client in found.items():
        if user := users[role]:
            client.force_login(user)
    return found


@contextmanager
def noting_writes() -> Iterator[set[str]]:
    """The tables that are written in the `with` block. An UPDATE that finds no row writes nothing."""
    written: set[str] = set()

    def note(execute, sql, params, many, context):
        result, found = execute(sql, params, many, context), WRITES.match(sql)
        if found and context["cursor"].rowcount != 0:
            written.add(found[2])
        return result

    with connection.execute_wrapper(note):
        yield written


def ask(client: Client, wanted: Wanted) -> int:
    """Make the request, and undo what a POST did, so that each request meets the same rows. Returns the status."""
    savepoint, cookies = transaction.savepoint(), dict(client.cookies)
    try:
        with noting_writes() as written:
            response = send(client, wanted)
    except Exception as error:
        raise AssertionError(f"{wanted} raised {error!r}") from error
    finally:
        transaction.savepoint_rollback(savepoint)
        # Else the next one lies within it, and PostgreSQL has no room for some thousands of them.
        transaction.savepoint_commit(savepoint)
        client.cookies.clear()
        client.cookies.update(cookies)
    assert response.status_code < 500, f"{wanted} got {response.status_code}"
    if wanted.sent is None:
        allowed = OF_A_VISIT | (OF_THE_AUDIT if "Content-Disposition" in response.headers else set())
        assert written <= allowed, f"GET {wanted} writes {written}"
    return response.status_code


def send(client: Client, wanted: Wanted) -> Any:
    address, headers = f"{wanted.path}?{wanted.query}", wanted.headers
    response: Any
    if wanted.sent is None:
        response = client.get(address, **headers)
    elif isinstance(wanted.sent, str):
        response = client.post(address, wanted.sent, content_type="application/json", **headers)
    else:
        sent = {name: value.encode("utf-8", "surrogatepass") for name, value in wanted.sent.items()}
        response = client.post(address, sent, **headers)
    if response.streaming:
        b"".join(response.streaming_content)
    return response


def run(clients: dict[str, Client], world, *, count: int, seed: int) -> Counter[int]:
    generator, statuses, failures = Generator(seed), Counter[int](), list[str]()
    before, truth = (rows(), User.objects.count()), world.miro.truth()["transitions"]
    for number in range(count):
        wanted = generator.next(number)
        try:
            status = ask(clients[wanted.role], wanted)
        except AssertionError as error:
            failures.append(str(error))
            status = 500
        statuses[status] += 1
        # All of one run, since one cause hides others.
        assert len(failures) < MAX_FAILURES, "\n".join(failures)
    assert not failures, "\n".join(failures)
    assert (rows(), User.objects.count()) == before
    assert world.miro.truth()["transitions"] == truth
    return statuses


def test_a_share_of_odd_requests_gets_no_500_and_a_get_writes_nothing(clients, world):
    statuses = run(clients, world, count=SHARE, seed=18)
    # Not all of them were refused before they were read.
    assert statuses[200] > SHARE / 10 and statuses[400] > SHARE / 20 and statuses[403] > SHARE / 20


@pytest.mark.chaos
@pytest.mark.timeout(3600)
def test_odd_requests_get_no_500_and_a_get_writes_nothing(clients, world):
    print(run(clients, world, count=WHOLE, seed=int(os.environ.get("SEED", "1"))))  # noqa: T201 - figures


NUL_IN = {
    "the address": lambda c: c.get("/admin/subscriptions/subscription/%00/change/"),
    "the query": lambda c: c.get("/admin/subscriptions/subscription/", {"q": "a\x00b"}),
    "the name of a parameter": lambda c: c.get("/admin/subscriptions/subscription/?%00=1"),
    "a form": lambda c: c.post("/admin/login/", {"username": "a\x00", "password": "x"}),
    "a cookie": lambda c: c.get("/admin/", HTTP_COOKIE='sessionid="abcdefgh\\000ijklmnop"'),
    "a header": lambda c: c.get("/admin/", HTTP_ACCEPT_LANGUAGE="de\x00"),
    "JSON": lambda c: c.post("/admin/login/", '{"a": "\\u0000"}', content_type="application/json"),
    "a surrogate in JSON": lambda c: c.post("/admin/login/", '{"a": ["\\ud800"]}', content_type="application/json"),
}


def test_a_character_that_no_database_stores_is_answered_with_a_sentence(db, client, admin_client):
    before = AuditEvent.objects.count()
    for place, send in NUL_IN.items():
        for browser in (client, admin_client):
            response = send(browser)
            assert response.status_code == 400, place
            assert "This request cannot be read" in response.content.decode(), place
            assert response["Content-Security-Policy"] and response["Permissions-Policy"], place
    in_german = client.get("/admin/login/", {"q": "\x00"}, HTTP_ACCEPT_LANGUAGE="de")
    assert 'lang="de"' in in_german.content.decode() and "Code 0" in in_german.content.decode()
    assert AuditEvent.objects.count() == before
    assert client.get("/admin/login/").status_code == 200


def test_no_address_of_ours_comes_from_a_request(world, admin_client, settings):
    """`Host` with a port, `X-Forwarded-Proto` and `X-Forwarded-Host` of an attacker."""
    settings.PUBLIC_URL = "https://licensehub.northwind.example"
    evil = {"HTTP_HOST": "testserver:4444", "HTTP_X_FORWARDED_PROTO": "https", "HTTP_X_FORWARDED_HOST": "evil.example"}
    rest = world.profile.connections.get(slot="rest")
    page = admin_client.get(reverse("admin:integrations_connection_change", args=[rest.pk]), **evil).content.decode()
    assert "https://licensehub.northwind.example/admin/integrations/connection/callback/" in page
    assert "4444" not in page and "evil.example" not in page
    settings.SECURE_SSL_REDIRECT, settings.SECURE_SSL_HOST = True, "licensehub.northwind.example"
    response = Client().get("/admin/", HTTP_HOST="testserver:4444")
    assert response["Location"] == "https://licensehub.northwind.example/admin/"


def test_a_filter_that_the_database_cannot_compare_shows_the_list_again(db, admin_client):
    for odd in ("saved_views__in=" + "9" * 40, "username__regex=[", "username__iregex=("):
        for address in (reverse("admin:auth_user_changelist"), reverse("admin:auth_user_export", args=["csv"])):
            response = admin_client.get(f"{address}?{odd}")
            if odd.endswith("9") and connection.vendor == "postgresql":
                assert response.status_code == 200, "PostgreSQL compares numbers of any length"
                continue
            assert response.status_code == 302 and response["Location"].startswith("/admin/auth/user/"), odd


def test_no_filter_asks_for_the_letters_of_a_secret(db, admin_client, world):
    """Control: without `SECRET`, the list says yes for the first letters of a token's ciphertext, and no for others."""
    secret = re.compile("password|ciphertext|token")
    lists = {
        f"{model._meta.app_label}_{model._meta.model_name}": field.name
        for model, page in site._registry.items()
        for field in model._meta.get_fields()
        if secret.search(field.name) and hasattr(page, "get_changelist")
    }
    assert {"integrations_connection", "subscriptions_rightschange", "auth_user"} <= {*lists}
    for name, field in lists.items():
        for odd in (f"{field}__startswith=g", f"{field}={'g' * 10}"):
            response = admin_client.get(f"{reverse(f'admin:{name}_changelist')}?{odd}")
            assert response.status_code in (302, 400) or "cl" not in response.context, (name, odd)


def test_full_width_digits_are_the_number_that_they_show(world, admin_client):
    """A Japanese keyboard writes them. Signs that are no decimal digits are no number."""
    run_ = world.first_download()
    listed = reverse("find")
    digits = str(run_.pk).translate({ord("0") + n: ord("０") + n for n in range(10)})
    assert run_.number in admin_client.get(listed, {"q": f"D-{digits}"}).content.decode()
    for no_number in ("D-²", "D-①", "D-Ⅳ"):
        assert run_.number not in admin_client.get(listed, {"q": no_number}).content.decode()


def test_what_nobody_sees_is_shown_on_pages_in_files_and_in_mails(world, admin_client, mailoutbox):
    run_ = world.first_download()
    row = Subscription.objects.filter(profile=run_.profile).order_by("pk").first()
    Subscription.objects.filter(pk=row.pk).update(name="Pat\u202eiaM\u200b")
    IntegrationProfile.objects.update(name="North\u2066wind")
    pages = [
        reverse("admin:subscriptions_subscription_change", args=[row.pk]),
        reverse("admin:integrations_integrationprofile_changelist"),
        f"{reverse('find')}?q=North",
    ]
    for address in pages:
        response = admin_client.get(address)
        assert int(response["Content-Length"]) == len(response.content)
        page = response.content.decode()
        assert "[U+202E]" in page or "[U+2066]" in page, address
        assert not re.search("[\u202e\u200b\u2066]", re.sub("<[^>]*>", "", page)), address
    for form in ("csv", "xlsx"):
        listed = reverse("admin:subscriptions_subscription_export", args=[form])
        file = b"".join(admin_client.get(listed, {"q": row.email}).streaming_content)
        if form == "xlsx":
            file = zipfile.ZipFile(io.BytesIO(file)).read("xl/worksheets/sheet1.xml")
        text = file.decode()
        assert "Pat[U+202E]iaM[U+200B]" in text, form
        assert "\u202e" not in text
    message = EmailMultiAlternatives("For Pat\u202e", "Pat\u202e", to=["pat@northwind.example"])
    message.attach_alternative("<p title='\u202e'>Pat\u202e</p>", "text/html")
    with MailServer() as server:
        server.ready()
        assert server.hand_over(message) is None
    sent = mailoutbox[0]
    assert (sent.subject, sent.body) == ("For Pat[U+202E]", "Pat[U+202E]")
    assert ">Pat[U+202E]<" in sent.alternatives[0][0]
    assert visible("Ali\u200dا") == "Ali[U+200D]ا" and visible("می\u200cخواهم") == "می\u200cخواهم"
    seen = [chr(code) for code in (*range(0xD800), *range(0xE000, 0x110000)) if INVISIBLE.search(chr(code))]
    assert len(seen) > 150
    for sign in seen:
        assert visible_page(f"–<p>a{sign}b</p>".encode()) == f"–<p>a{visible(sign)}b</p>".encode(), ascii(sign)
    assert visible("👩\u200d💻") == "👩\u200d💻"


def test_each_page_says_what_a_browser_may_use(db, client, settings):
    for address in ("/admin/login/", "/nothing/", "/admin/login/?q=%00"):
        assert client.get(address)["Permissions-Policy"] == PERMISSIONS_POLICY
    assert "camera=()" in PERMISSIONS_POLICY and "publickey-credentials-get=(self)" in PERMISSIONS_POLICY
    settings.SECURE_HSTS_SECONDS = 60
    assert Client().get("/admin/login/", secure=True)["Strict-Transport-Security"] == "max-age=60"
