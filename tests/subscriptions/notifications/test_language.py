"""A mail to a colleague is in the language of the account, also its days, numbers and plurals."""

from __future__ import annotations

from datetime import date, timedelta

import time_machine

from integrations import sending
from subscriptions.accounts.settings import choose_language
from subscriptions.models import Delivery, DownloadRun, Notification, NotificationKind, RemovalCandidate
from subscriptions.notifications.choices import choose
from subscriptions.notifications.deputies import name_deputy
from tests.support.fixtures import person
from tests.support.people.colleagues import NOON, Colleagues


def test_two_deciders_get_the_same_request_each_in_their_language(colleagues: Colleagues, alice, bob):
    zoe = person("zoe", "Approver")
    choose_language(zoe, "de")
    with time_machine.travel(NOON, tick=False) as clock:
        request = colleagues.ask(alice)
        one = colleagues.organization.ask(alice, count=1)
        colleagues.minute()
        clock.shift(timedelta(days=9))
        colleagues.minute()
        colleagues.minute()

    assert f"Northwind: 2 seats wait for a decision ({request})" in colleagues.subjects(bob)
    texts = {str(mail["Subject"]).strip(): str(mail.get_content()) for mail in colleagues.server.to(zoe.email)}
    text = texts[f"Northwind: 2 Plätze warten auf eine Entscheidung ({request})"]
    assert f"alice hat am 26. Nov 2026 beantragt, bei Northwind 2 Plätze zurückzunehmen ({request})." in text
    assert "Bitte entscheiden Sie bis Dienstag, 1. Dez, 12:00 UTC (3 Arbeitstage)." in text
    assert "läuft der Antrag ab: Alle behalten ihren Platz." in text
    assert "Sie erhalten diese E-Mail, weil Sie über diesen Antrag entscheiden dürfen." in text
    assert "Wählen Sie, welche E-Mails Sie erhalten: http" in text
    assert f"Northwind: 1 Platz wartet auf eine Entscheidung ({one})" in texts
    expired = texts[f"Northwind: {one} ist abgelaufen, niemand hat über 1 Platz entschieden"]
    assert "Für 1 Person ist ein neuer Antrag möglich." in expired
    assert "Es ist der 2. Antrag von Northwind in Folge, der abgelaufen ist." in expired


def test_a_digest_and_what_was_stored_in_english_are_german(colleagues: Colleagues, alice, bob):
    profile, run = colleagues.organization.profile, colleagues.organization.run
    problem = "1,240 of 3,000 known members are missing from this download, more than 20%."
    oscar, zoe = person("oscar", "Operator"), person("zoe", "Approver")
    for user in (alice, zoe, oscar):
        choose_language(user, "de")
    choose(oscar, {NotificationKind.STOPPED: Delivery.SINGLE})
    with time_machine.travel(NOON, tick=False) as clock:
        name_deputy(bob, zoe, starts=date(2026, 11, 26), ends=date(2026, 11, 27))
        RemovalCandidate.objects.all().update(state="attention_required", state_changed_at=NOON)
        DownloadRun.objects.filter(pk=run.pk).update(state="quarantined", started_at=NOON, problem=problem)
        sending.stop_all(actor=oscar, reason="We look at the last batch.")
        colleagues.minute()
        clock.shift(timedelta(hours=21))
        colleagues.minute()
        clock.shift(timedelta(days=2))
        colleagues.minute()

    assert set(Notification.objects.values_list("subject", flat=True)) >= {
        f"{profile}: a download is quarantined",
        f"{profile}: 8 candidates with attention required",
        "All sending is stopped since Nov 26, 2026",
    }
    assert colleagues.subjects(alice)[0] == "LicenseHub, 27. Nov 2026: 1 Nachricht"
    digest = str(colleagues.server.to(alice.email)[0].get_content())
    assert "Northwind: 8 Kandidaten mit „Handlung nötig“" in digest
    assert "8 Kandidaten von „Northwind“ warten auf eine Person, z. B. weil der Anbieter verweigert hat" in digest
    mails = {str(mail["Subject"]).strip(): str(mail.get_content()) for mail in colleagues.server.to(oscar.email)}
    quarantined = mails["Northwind: ein Download ist in Quarantäne"]
    assert "Der Download vom 26. Nov 2026, 12:00 kann nicht stimmen, deshalb hat er nichts geändert." in quarantined
    assert "1.240 von 3.000 bekannten Mitgliedern fehlen in diesem Download, mehr als 20\u00a0%." in quarantined
    stopped = mails["Das gesamte Senden ist seit 26. Nov 2026 gestoppt"]
    assert "oscar hat am 26. Nov 2026 das gesamte Senden gestoppt: „We look at the last batch.“" in stopped
