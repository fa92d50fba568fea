"""Stored and signed texts are English and have the company's dates, whoever acts. Pages and mails translate them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.apps import apps
from django.utils import timezone, translation

from licensehub.audit.models import AuditEvent
from licensehub.translations.stored import translated
from subscriptions import review
from subscriptions.apply_rule import apply_rule
from subscriptions.approvals import closing, decide
from subscriptions.approvals.leaving import SEND_BACK
from subscriptions.approvals.request import request_reclaim
from subscriptions.models import Reclaim, RemovalCandidate, Subscription, Verdict
from subscriptions.notifications import recipients
from subscriptions.reclaims import restores
from subscriptions.reclaims.engine import reclaim_due
from subscriptions.reconciliation.reconcile import reconcile_profile
from subscriptions.rules.protections import ProtectionInput, protect_people
from subscriptions.rules.rules import change_rule
from tests.support.fixtures import World
from tests.support.people.keeping import PROTECT, pause
from tests.support.web.marked_language import BEGIN, forget_translations, marked_functions

OURS = ("audit", "integrations", "subscriptions")


@pytest.fixture
def german_is_marked(monkeypatch) -> Iterator[None]:
    """Put marks around each German text, so that a test finds it without its catalog. English stays as it is."""
    translation.gettext("Django finds its functions at the first use")
    for name, marking in marked_functions().items():
        plain = getattr(translation._trans, name)

        def function(*given: Any, marking: Any = marking, plain: Callable[..., str] = plain) -> str:
            return (marking if translation.get_language() == "de" else plain)(*given)

        monkeypatch.setattr(translation._trans, name, function)
    forget_translations()
    yield
    forget_translations()


def stored_texts() -> Iterator[tuple[str, object]]:
    """Each value of each text and JSON column of our tables."""
    for model in apps.get_models():
        if model._meta.app_label in OURS and model._meta.managed and not model._meta.proxy:
            kinds = ("CharField", "TextField", "JSONField")
            names = [field.name for field in model._meta.concrete_fields if field.get_internal_type() in kinds]
            for row in model._default_manager.values(*names):
                yield from ((f"{model.__name__}.{name}", value) for name, value in row.items())


def act_on_everything(world: World, alice: Any, bob: Any) -> None:
    """The acts of people and of tasks that store a sentence or a label."""
    world.download()
    decide.approve(request_reclaim(world.candidates(2), actor=alice), actor=bob, comment="Fine")
    reclaim_due(world.profile)
    for keep in (pause(), PROTECT):
        decide.reject(request_reclaim(world.candidates(2), actor=alice), actor=bob, comment="Later.", keep=keep)
    asked = request_reclaim(world.candidates(4), actor=alice)
    dropped, left, *_ = asked.removals.order_by("pk")
    closing.drop(dropped, actor=bob, reason="On leave", keep=SEND_BACK)
    closing.drop_by_licensehub(left, reason="Left by a task")
    wish = ProtectionInput("Needed for the audit", "Dana Fox", None)
    protect_people(world.profile, [row.subscription for row in world.candidates(1)], wish, actor=alice)
    waiting = list(Subscription.objects.filter(evaluation__verdict=Verdict.NEVER_ACTIVE).select_related("profile")[:2])
    review.keep(waiting[:1], days=30, reason="Starts in January", actor=alice)
    review.make_candidates(waiting[1:], reason="Left the company", actor=alice)
    change_rule(world.profile.rule, actor=alice, changed={"last_activity_threshold": 400})
    apply_rule(world.profile)
    done = Reclaim.objects.filter(state="done")[0]
    restores.restore(done, actor=bob, reason="Needed again")
    reclaim_due(world.profile)
    still = Reclaim.objects.filter(state="done", direction="deactivate").exclude(pk=done.pk)[0]
    world.miro.change(still.subscription.external_id, active=True)
    reconcile_profile(world.profile, actor=alice)
    recipients.update()


def test_what_a_german_admin_stores_is_english(world, alice, bob, german_is_marked):
    with translation.override("de"), timezone.override("Pacific/Kiritimati"):
        act_on_everything(world, alice, bob)
        assert BEGIN in str(Verdict.CANDIDATE.label)  # the control: a German label is marked

    texts = list(stored_texts())
    assert [(name, value) for name, value in texts if BEGIN in str(value)] == []
    filled = {name for name, value in texts if value}
    assert filled >= {
        *("Reclaim.outcome", "RequestedRemoval.drop_reason", "Subscription.cooldown_reason", "Protection.reason"),
        *("RemovalCandidate.evidence", "AuditEvent.data", "AuditEvent.target_label", "DownloadRun.steps"),
        *("Notification.key", "Reconciliation.findings"),
    }


def test_the_evidence_is_shown_in_german(world, alice, bob):
    """Both readers see the same stored sentence, one of them in German."""
    world.download()
    row = RemovalCandidate.objects.filter(evidence__why__startswith="Inactive")[0]
    days = row.evidence["idle_days"]
    over = days - 60
    assert row.evidence["why"] == f"Inactive {days} days, {over} over the threshold."
    assert AuditEvent.objects.get(action="candidate.proposed", target_id=row.pk).data == {"why": row.evidence["why"]}
    with translation.override("de"):
        assert translated(row.evidence["why"]) == f"{days} Tage inaktiv, {over} über der Schwelle."


@pytest.mark.parametrize(
    ("english", "german"),
    [
        (
            "Not sent: Protected by Ann Bell, until Dec 31, 2026: “Parental leave”. Ask Bob Ray.",
            "Nicht gesendet: Geschützt durch Ann Bell, bis 31. Dez 2026: „Parental leave“. Fragen Sie Bob Ray.",
        ),
        (
            "Never active since assigned on Nov 3, 2025, 34 days over the threshold. Made a candidate by Ann Bell "
            "although a review was needed (Never active): “Left in May”",
            "Nie aktiv seit der Zuweisung am 3. Nov 2025, 34 Tage über der Schwelle. Von Ann Bell zum Kandidaten "
            "gemacht, obwohl eine Prüfung nötig war (Nie aktiv): „Left in May“",
        ),
        (
            "Not sent: Active lately: last activity 1 day ago, on Nov 26, 2026; the threshold is 60 days.",
            "Nicht gesendet: Kürzlich aktiv: letzte Aktivität am 26. Nov 2026, 1 Tag her; die Schwelle beträgt 60 "
            "Tage.",
        ),
        (
            "Active again. License is Full, as before. Role is Member now, was Team admin.",
            "Wieder aktiv. Lizenz ist Full, wie zuvor. Rolle ist jetzt Mitglied, war Team admin.",
        ),
        (
            "Reclaimed on Nov 3, 2026, 14:08, but active at Miro now: somebody let this person back in. Let back in "
            "for the second time after a reclaim.",
            "Am 3. Nov 2026, 14:08 zurückgenommen, aber jetzt bei Miro aktiv: Jemand hat diese Person wieder "
            "hereingelassen. Nach einer Rücknahme zum zweiten Mal wieder hereingelassen.",
        ),
        (
            "1,240 of 3,000 known members are missing from this download, more than 20%.",
            "1.240 von 3.000 bekannten Mitgliedern fehlen in diesem Download, mehr als 20\u00a0%.",
        ),
        (
            "Restored on Nov 3, 2026, 14:08, but inactive at Miro now. Miro's log: by Sue Ash, Nov 4, 2026, 09:00.",
            "Am 3. Nov 2026, 14:08 wiederhergestellt, aber jetzt bei Miro inaktiv. Protokoll von Miro: durch Sue Ash, "
            "4. Nov 2026, 09:00.",
        ),
        ("R-0003 was rejected: “Parental and sick leave”", "R-0003 wurde abgelehnt: „Parental and sick leave“"),
        ("Left the organization", "Hat die Organisation verlassen"),
        ("A reason that somebody typed", "A reason that somebody typed"),
    ],
)
def test_a_stored_sentence_is_shown_in_german(english, german):
    with translation.override("de"):
        assert translated(english) == german
