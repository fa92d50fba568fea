"""A mail that comes back: silence after it is no answer, and only a report about our own mail is believed."""

from __future__ import annotations

import gc
import ssl
from collections.abc import Iterator
from datetime import timedelta
from email.message import EmailMessage

import pytest
import time_machine
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone
from requests import certs

from licensehub.audit.models import AuditEvent
from licensehub.checks import configuration
from subscriptions import sweep, tasks
from subscriptions.approvals import decide
from subscriptions.errors import ConcernsYou
from subscriptions.models import Notice, Reclaim, RequestedRemoval
from subscriptions.models.reclaims.request import RequestedRemovalQuerySet
from subscriptions.notices.bounces import bounce_mailbox, returned_mail
from subscriptions.notices.bounces.delivery_reports import HEADER, read_report
from subscriptions.reclaims import engine, recheck
from subscriptions.reclaims.engine import reclaim_due
from subscriptions.reclaims.signed.state import SignedState
from tests.support.people.notices import Asking, candidate_of, not_reached, people, text_of
from tests.support.servers.imap_server import Mailbox, mailbox

__all__ = ["mailbox"]
USER_UNKNOWN = "smtp; 550 5.1.1 No such\r\n user here"


def report(mail: EmailMessage, *, action: str = "failed", headers_only: bool = False, token: str = "") -> bytes:
    """The report of a mail server about a mail that it cannot deliver (RFC 3464)."""
    if token:
        mail = EmailMessage()
        mail[HEADER] = token
        mail.set_content("Do you still need your license?")
    head = mail.as_bytes().partition(b"\n\n")[0] if headers_only else mail.as_bytes()
    kind = b"text/rfc822-headers" if headers_only else b"message/rfc822"
    return b"\r\n".join(
        [
            b"From: MAILER-DAEMON@mail.example",
            b"Subject: Undelivered Mail Returned to Sender",
            b"MIME-Version: 1.0",
            b'Content-Type: multipart/report; report-type=delivery-status; boundary="cut"',
            b"",
            b"--cut",
            b"Content-Type: text/plain",
            b"",
            b"I could not deliver your mail.",
            b"--cut",
            b"Content-Type: message/delivery-status",
            b"",
            b"Reporting-MTA: dns; mail.example",
            b"",
            b"Final-Recipient: rfc822; ada@northwind.example",
            f"Action: {action}".encode(),
            b"Status: 5.1.1",
            f"Diagnostic-Code: {USER_UNKNOWN}".encode(),
            b"",
            b"--cut",
            b"Content-Type: " + kind,
            b"",
            head.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"),
            b"--cut--",
            b"",
        ]
    )


@pytest.fixture
def silent(asking: Asking) -> RequestedRemoval:
    """A person who was asked by mail, and whose days to answer are running."""
    [person] = people(asking.asked(1))
    return person


@pytest.fixture
def approved(asking: Asking, silent, bob) -> RequestedRemoval:
    """A person who was approved without an answer after the days were over. The clock stays at that moment."""
    with time_machine.travel(timezone.now() + timedelta(days=9), tick=True):
        # Somebody else has been active meanwhile: a feed that has stopped would be quarantined.
        asking.world.miro.change(asking.world.sandbox.world.installer().id, last_activity_at="now")
        asking.world.download()
        sweep.repair()
        silent.request.refresh_from_db()
        decide.approve(silent.request, actor=bob)
        yield silent


def test_a_report_in_the_mailbox_is_read_once(asking: Asking, silent, mailbox: Mailbox):
    [mail] = asking.server.mails
    holiday = EmailMessage()
    holiday.set_content("I am away until Monday.")
    mailbox.mails = [holiday.as_bytes(), report(mail, action="delayed"), report(mail)]

    tasks.read_bounce_mailbox()
    tasks.read_bounce_mailbox()

    not_reached(silent)
    notice = Notice.objects.get(kind="ask")
    assert (notice.state, notice.problem) == ("bounced", "550 5.1.1 No such user here")
    assert mailbox.seen == {1, 2, 3} and mailbox.logins == 2
    assert AuditEvent.objects.filter(action="notice.bounced").count() == 1
    assert asking.hand_over() == 0 and len(asking.server.mails) == 1


def test_an_odd_report_of_a_reader_stops_no_other(asking: Asking, silent, mailbox: Mailbox):
    """A reader of the mail has its token, and may write the report.

    Control: as the report has it, PostgreSQL refuses the NUL, each task ends there, and the link is shown to others.
    """
    [mail] = asking.server.mails
    link = mail.get_body(("plain",)).get_content().partition("http://localhost:8000/license/")[2].split()[0]
    odd = f"554 no\0 \udc80 http://localhost:8000/license/{link} is spam".encode("utf-8", "surrogatepass")
    mailbox.mails = [report(mail).replace(USER_UNKNOWN.partition(";")[2].strip().encode(), odd)]

    tasks.read_bounce_mailbox()

    notice = Notice.objects.get(kind="ask")
    assert notice.state == "bounced" and notice.problem.startswith("554 no ")
    assert notice.problem.isprintable() and "http://localhost:8000/*** is spam" in notice.problem
    assert mailbox.seen == {1}


@pytest.fixture
def without_collections() -> Iterator[None]:
    """At the end of the stack, the finalizers of what other tests left would fail, and this test with them."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("without_collections")
def test_a_mail_that_nobody_can_read_hides_no_report(asking: Asking, silent, mailbox: Mailbox):
    """Anybody can write to the mailbox. These two are too deep for the parser of Python."""
    [mail] = asking.server.mails
    begin = b"Content-Type: multipart/report; boundary=cut"
    deep = begin + b"\r\n\r\n--cut\r\n" + b"Content-Type: message/rfc822\r\n\r\n" * 3000
    mailbox.mails = [deep, begin + b"; " + b"(" * 20_000 + b"\r\n\r\n--cut\r\n", report(mail)]

    tasks.read_bounce_mailbox()

    not_reached(silent)
    assert mailbox.seen == {1, 2, 3}


def test_a_report_that_is_faster_than_our_own_note_is_read_again(asking: Asking, silent, mailbox: Mailbox):
    [mail] = asking.server.mails
    mailbox.mails = [report(mail)]
    Notice.objects.filter(kind="ask").update(state="sending")
    tasks.read_bounce_mailbox()
    assert mailbox.seen == set()

    Notice.objects.filter(kind="ask").update(state="sent")
    tasks.read_bounce_mailbox()
    not_reached(silent)


def test_a_report_that_was_not_noted_is_read_again(asking: Asking, silent, mailbox: Mailbox, monkeypatch):
    mailbox.mails = [report(asking.server.mails[0])]

    def die(*args: object, **kwargs: object) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(bounce_mailbox, "came_back", die)
        bounce_mailbox.read_bounces()
    assert mailbox.seen == set()

    assert bounce_mailbox.read_bounces() == 1
    not_reached(silent)


def test_only_a_report_about_our_own_mail_is_believed(asking: Asking, silent):
    [mail] = asking.server.mails
    token = mail[HEADER]
    assert read_report(report(mail)) == read_report(report(mail, headers_only=True))
    assert read_report(report(mail)).notice_id == Notice.objects.get(kind="ask").pk
    # Each of these could be written by anybody.
    for wrong in ("1", "1:abc", token[:-2], f"9{token}", "a" * 500):
        assert read_report(report(mail, token=wrong)) is None
    for raw in (b"", b"\xff\xfe", mail.as_bytes(), report(mail).replace(b"failed", b"relayed"), report(mail)[:300]):
        assert read_report(raw) is None


def test_silence_that_was_approved_is_not_sent(asking: Asking, approved):
    """The reclaim is queued. It ends at once, and a person has to look."""
    assert returned_mail.came_back(Notice.objects.get(kind="ask"), reason="550", actor=None)

    assert Reclaim.objects.get().state == "skipped"
    candidate = candidate_of(approved)
    assert candidate.state == "attention_required" and "silence of this person means nothing" in candidate.attention
    assert reclaim_due(asking.world.profile).reclaimed == 0
    assert asking.world.deactivated_by_us() == []


def test_a_report_between_claim_and_send_stops_the_send(asking: Asking, approved, monkeypatch):
    commit = engine.commit_intent

    def late(item, *, rolling):
        returned_mail.came_back(Notice.objects.get(kind="ask"), reason="550", actor=None)
        return commit(item, rolling=rolling)

    monkeypatch.setattr(engine, "commit_intent", late)
    reclaim_due(asking.world.profile)
    monkeypatch.setattr(engine, "commit_intent", commit)
    Reclaim.objects.update(not_before=None)
    reclaim_due(asking.world.profile)

    assert asking.world.deactivated_by_us() == []
    assert candidate_of(approved).state == "attention_required"


def test_a_report_at_the_moment_of_the_claim_stops_the_send(asking: Asking, approved, monkeypatch):
    """It was queued when we looked. What is noted must stay noted, or the claim would be sent."""
    really, claimed = returned_mail.mark_unsent, []

    def claimed_first(item, decision):
        claimed.extend(engine.claim(item.profile))
        really(item, decision)

    monkeypatch.setattr(returned_mail, "mark_unsent", claimed_first)
    assert returned_mail.came_back(Notice.objects.get(kind="ask"), reason="550", actor=None)
    assert Notice.objects.get(kind="ask").state == "bounced"
    [item] = claimed
    assert not engine.commit_intent(item, rolling=100)


def test_the_control_without_all_defenses_sends(asking: Asking, approved, monkeypatch):
    monkeypatch.setattr(returned_mail, "_stop", lambda *_: None)
    monkeypatch.setattr(RequestedRemovalQuerySet, "reached", lambda people: people)
    monkeypatch.setattr(SignedState, "hides_bounce", lambda *_: False)
    returned_mail.came_back(Notice.objects.get(kind="ask"), reason="550", actor=None)
    assert reclaim_due(asking.world.profile).reclaimed == 1
    assert recheck.unreached().close_reason is None


def test_a_person_who_answered_has_read_a_mail(asking: Asking, silent):
    asking.says(silent, "release")
    assert returned_mail.came_back(Notice.objects.get(kind="ask"), reason="550", actor=None)
    silent.refresh_from_db()
    assert silent.dropped_at is None
    sweep.repair()
    silent.request.refresh_from_db()
    assert silent.request.state == "open"


def test_a_user_enters_that_the_mail_came_back(asking: Asking, silent, alice, carol, as_user):
    page = reverse("admin:subscriptions_removalcandidate_change", args=[silent.candidate_id])
    button = reverse("admin:subscriptions_removalcandidate_came_back", args=[silent.candidate_id])
    assert "The mail came back" in text_of(as_user(alice).get(page))
    assert "The mail came back" not in text_of(as_user(carol).get(page))
    assert as_user(carol).post(button).status_code == 403

    shown = text_of(as_user(alice).post(button, {"reason": "550 5.1.1 gone"}, follow=True))

    not_reached(silent)
    assert "silence is no answer" in shown
    event = AuditEvent.objects.get(action="notice.bounced")
    assert (event.actor_name, event.data["reason"]) == ("alice", "550 5.1.1 gone")
    assert "noted already" in text_of(as_user(alice).post(button, follow=True))


def test_nobody_enters_a_bounce_for_their_own_seat(silent, alice):
    """The person would leave the request by it."""
    User.objects.filter(pk=alice.pk).update(email=silent.evidence["email"])
    alice.refresh_from_db()
    with pytest.raises(ConcernsYou):
        returned_mail.enter(candidate_of(silent), reason="", actor=alice)
    silent.refresh_from_db()
    assert silent.dropped_at is None


def test_a_mailbox_that_refuses_us_is_in_the_log(asking: Asking, mailbox: Mailbox, caplog):
    mailbox.refuses = True
    tasks.read_bounce_mailbox()
    assert "tried again in ten minutes" in caplog.text and "s3cret" not in caplog.text


@pytest.mark.parametrize(
    ("url", "right"),
    [
        ("", True),
        ("imaps://ada:s%40cret@mail.example/Bounces", True),
        ("imap://ada:x@127.0.0.1:1143", True),
        ("imap://ada:x@mail.example", False),
        ("smtp://ada:x@mail.example", False),
        ("imaps://mail.example", False),
        ("imaps://ada:x@mail.example:port", False),
    ],
)
def test_the_check_of_the_mailbox(settings, url, right):
    settings.BOUNCE_MAILBOX_URL = url
    assert [str(found.id) for found in configuration.check_bounce_mailbox()] == ([] if right else ["licensehub.E026"])


def test_a_company_certificate_takes_no_other_away(settings, monkeypatch):
    """With the company's alone, the mailbox of a mail provider could not be read, and nobody would hear of it."""
    public: list[object] = []
    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", lambda context, purpose: public.append(purpose))
    assert bounce_mailbox.tls_context().get_ca_certs() == []
    settings.VENDOR_CA_BUNDLE = certs.where()
    assert bounce_mailbox.tls_context().get_ca_certs() and len(public) == 2
