"""The page behind the link: who may read it, what it changes and when, and what it says."""

from __future__ import annotations

import io
import logging
from datetime import timedelta

import pytest
import time_machine
from django.core import signing
from django.test import Client
from django.utils import timezone

from licensehub.audit.models import AuditEvent
from licensehub.logs.filters import RedactLinks
from subscriptions.models import Notice, ReclaimRequest, ReclaimRule, RequestedRemoval, Subscription
from subscriptions.notices import answers
from subscriptions.notices.answers import link_for
from tests.support.fixtures import actions
from tests.support.people.notices import Asking, facts, text_of


def path_of(person: RequestedRemoval, **how) -> str:
    until = timezone.now() + how.get("good_for", timedelta(days=30))
    return link_for(person, until=until, email=(person.evidence or {}).get("email", "")).removeprefix(
        "http://localhost:8000"
    )


# --- What it changes --------------------------------------------------------------------------------------------------


def test_a_scanner_that_opens_the_link_changes_nothing(asking: Asking, one_asked, client):
    before = facts()
    for method in (client.get, client.head, client.options, client.put, client.delete):
        method(asking.link(one_asked))
        method(asking.link(one_asked) + "?answer=release")

    assert facts() == before


def test_post_without_the_token_of_the_form_changes_nothing(asking: Asking, one_asked):
    before = facts()
    browser = Client(enforce_csrf_checks=True)

    assert browser.post(asking.link(one_asked), {"answer": "release"}).status_code == 403
    assert facts() == before


@pytest.mark.parametrize("said", ["", "KEEP", "approve"])
def test_other_words_change_nothing(asking: Asking, one_asked, client, said):
    before = facts()

    assert client.post(asking.link(one_asked), {"answer": said}).status_code == 400
    assert facts() == before


def test_keep_is_one_click_and_final(asking: Asking, one_asked):
    response = asking.says(one_asked, "keep")

    assert response.status_code == 303
    one_asked.refresh_from_db()
    candidate = one_asked.candidate
    candidate.refresh_from_db()
    assert (one_asked.answer, one_asked.dropped_at is not None) == ("keep", True)
    assert (candidate.state, candidate.close_reason) == ("closed_skipped", "kept_by_user")
    subscription = candidate.subscription
    subscription.refresh_from_db()
    assert subscription.cooldown_until - timezone.now() > timedelta(days=59)
    assert subscription.verdict == "cooling_down"
    event = AuditEvent.objects.get(action="request.person_answered")
    assert event.actor_name == "LicenseHub"
    assert event.data["answer"] == "keep"
    assert event.data["by"] == "the person, by the link in the mail"
    page = Client().get(asking.link(one_asked))
    assert "You keep your Miro license" in text_of(page)
    assert "<button" not in page.content.decode()


def test_keep_is_a_wish_where_the_approver_decides(asking: Asking, one_asked):
    ReclaimRule.objects.update(keep_means="ask")
    asking.says(one_asked, "keep")

    one_asked.refresh_from_db()
    assert (one_asked.answer, one_asked.dropped_at) == ("keep", None)
    one_asked.candidate.refresh_from_db()
    assert one_asked.candidate.state == "awaiting_user"
    page = Client().get(asking.link(one_asked)).content.decode()
    assert "A colleague will see it and decide." in page
    assert "You can change your answer until a colleague decides." in page
    assert 'value="release"' in page
    assert 'value="keep"' not in page


def test_release_is_a_mark_and_can_be_taken_back(asking: Asking, one_asked):
    asking.says(one_asked, "release")
    one_asked.refresh_from_db()
    assert (one_asked.answer, one_asked.dropped_at) == ("release", None)
    assert "You can still keep the license" in text_of(Client().get(asking.link(one_asked)))

    asking.says(one_asked, "keep")
    one_asked.refresh_from_db()
    assert (one_asked.answer, one_asked.dropped_at is not None) == ("keep", True)


def test_the_same_answer_twice_is_one(asking: Asking, one_asked):
    asking.says(one_asked, "release")
    before = facts()
    path = asking.link(one_asked)
    Client().post(path, {"answer": "release"})

    assert facts() == before


def test_nobody_fills_the_audit_by_changing_their_mind(asking: Asking, one_asked, client):
    ReclaimRule.objects.update(keep_means="ask")
    path = asking.link(one_asked)
    for number in range(3 * answers.MAX_ANSWERS):
        response = client.post(path, {"answer": ("release", "keep")[number % 2]})

    one_asked.refresh_from_db()
    assert one_asked.answer == "keep"
    assert actions().count("request.person_answered") == answers.MAX_ANSWERS
    assert response.status_code == 303
    assert client.post(path, {"answer": "release"}).status_code == 409


# --- The link ---------------------------------------------------------------------------------------------------------


def bad_links(person: RequestedRemoval) -> dict[str, str]:
    good = path_of(person)
    until = int((timezone.now() + timedelta(days=9)).timestamp())
    stranger = signing.Signer(key="x" * 50, salt=answers.PURPOSE).sign_object([person.pk, until])
    head, signature = good.rstrip("/").rsplit(":", 1)
    flipped = ("B" if signature[0] != "B" else "C") + signature[1:]
    return {
        "tampered": f"{head}:{flipped}/",
        "somebody else by hand": good.replace(head, head[:-2] + "xx"),
        "without signature": head + "/",
        "of another purpose": f"/license/{signing.dumps([person.pk, until], salt='password reset')}/",
        "of another key": f"/license/{stranger}/",
        "over": path_of(person, good_for=timedelta(seconds=-1)),
        "of nobody": path_of(RequestedRemoval(pk=987654)),
        "nonsense": "/license/hello/",
        "endless": f"/license/{'a' * 5000}/",
    }


KINDS = (
    "tampered",
    "somebody else by hand",
    "without signature",
    "of another purpose",
    "of another key",
    "over",
    "of nobody",
    "nonsense",
    "endless",
)


@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_link_tells_nothing_and_changes_nothing(asking: Asking, one_asked, client, kind):
    before, links = facts(), bad_links(one_asked)
    assert set(links) == set(KINDS)

    page = client.get(links[kind])
    answered = client.post(links[kind], {"answer": "release"})

    assert (page.status_code, answered.status_code) == (404, 404)
    assert page.content == answered.content == client.get("/license/x/").content
    assert "Nothing was changed" in page.content.decode()
    assert "itam@northwind.example" in page.content.decode()
    assert one_asked.evidence["email"] not in page.content.decode()
    assert facts() == before


def test_the_link_of_a_restore_opens_nothing(asking: Asking, one_asked, client):
    """No mail has such a link. If one is signed by mistake, it must not take a seat."""
    ReclaimRequest.objects.filter(pk=one_asked.request_id).update(direction="reactivate")
    assert client.get(path_of(one_asked)).status_code == 404


def test_a_link_outlives_a_changed_key_while_the_former_is_named(asking: Asking, one_asked, client, settings):
    path = asking.link(one_asked)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another-secret-key-another-secret-key-another-secret-key"

    assert client.get(path).status_code == 200


def test_the_link_of_a_mail_ends(asking: Asking, one_asked, client):
    path = asking.link(one_asked)
    ends = Notice.objects.get(kind="ask").sent_at + timedelta(days=8 + 3 + 7 + 14)
    with time_machine.travel(ends - timedelta(hours=1), tick=True):
        assert client.get(path).status_code == 200
    with time_machine.travel(ends + timedelta(hours=1), tick=True):
        assert client.get(path).status_code == 404


def test_the_link_is_no_login(asking: Asking, one_asked, client):
    client.get(asking.link(one_asked))

    assert "sessionid" not in client.cookies
    assert client.get("/admin/").status_code == 302


def test_the_page_is_not_kept_not_found_and_does_not_leak_its_address(asking: Asking, one_asked, client):
    for path in (asking.link(one_asked), "/license/x/"):
        page = client.get(path)
        assert "no-store" in page["Cache-Control"]
        assert page["X-Robots-Tag"] == "noindex, nofollow"
        assert page["Referrer-Policy"] == "same-origin"
        assert "script-src 'none'" in page["Content-Security-Policy"]
        assert "<script" not in page.content.decode()
        assert page["X-Frame-Options"] == "DENY"


def test_the_page_says_what_the_mockup_says_and_no_more(asking: Asking, one_asked, client):
    page = text_of(client.get(asking.link(one_asked)))
    evidence = one_asked.evidence

    first, _, last = evidence["name"].partition(" ")
    assert f"Hello {first}." in page
    assert last not in page.replace(evidence["email"], "")
    for words in ("Answer by", "That is in 8 days", "after a second person agrees", "Your boards stay."):
        assert words in page
    assert "You can no longer sign in to Miro" in page
    assert "you are not asked again for 60 days" in page
    assert "Sent by IT Asset Management" in page
    for kept_back in (evidence["external_id"], evidence["role"], evidence["department"] or "no department", "alice"):
        assert kept_back not in page


def test_hostile_names_are_text(asking: Asking, one_asked, client):
    RequestedRemoval.objects.update(evidence={**one_asked.evidence, "name": "<script>alert(1)</script>"})

    assert "<script" not in client.get(asking.link(one_asked)).content.decode()


def test_the_link_is_in_no_log(asking: Asking, one_asked, settings):
    """Django logs the paths of what it refuses."""
    asking.says(one_asked, "keep")
    path = asking.link(one_asked)
    handler = logging.StreamHandler(stream := io.StringIO())
    handler.addFilter(RedactLinks())
    logger = logging.getLogger("django")
    logger.addHandler(handler)
    try:
        Client().post(path, {"answer": "release"})
        Client(enforce_csrf_checks=True).post(path, {"answer": "release"})
    finally:
        logger.removeHandler(handler)

    token = path.split("/")[2]
    assert "Conflict: /license/***/" in stream.getvalue()
    assert "Forbidden" in stream.getvalue()
    assert token not in stream.getvalue()
    assert settings.LOGGING["handlers"]["console"]["filters"] == ["no_links"]


def test_the_story_of_the_subscription_tells_of_mail_and_answer(asking: Asking, one_asked, client, carol):
    asking.says(one_asked, "release")
    client.force_login(carol)
    page = text_of(client.get(f"/admin/subscriptions/subscription/{one_asked.candidate.subscription_id}/change/"))

    assert "Asked by mail" in page
    assert "Answered" in page
    assert "Released it" in page
    assert "Reminded by mail" in page


@pytest.mark.parametrize(
    ("given", "hello"), [("Ana", "Hello Ana."), ("Ana Sofía,", "Hello Ana Sofía."), ("", "Hello.")]
)
def test_a_person_is_called_by_the_given_name_or_by_none(asking: Asking, one_asked, client, given, hello):
    """“Müller, Ana” was called Müller,."""
    Subscription.objects.filter(pk=one_asked.candidate.subscription_id).update(given_name=given, name="Müller, Ana")
    assert hello in text_of(client.get(asking.link(one_asked)))
