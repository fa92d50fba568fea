"""A vendor that answers each reclaim with an error: a few people are in doubt, and the others wait until it is well."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.db.models import Max
from django.urls import reverse
from django.utils import timezone

from integrations.connectors.miro.connector import MiroConnector
from integrations.models import IntegrationProfile
from licensehub.audit.models import AuditEvent
from licensehub.operations.doctor.findings import Level, run_checks
from licensehub.operations.metrics.collect import work
from licensehub.ui.formatting import day_and_time
from subscriptions import sweep
from subscriptions.approvals import decide
from subscriptions.approvals.dry_run import Ending, try_queue
from subscriptions.approvals.request import request_reclaim
from subscriptions.models import Reclaim, ReclaimRule
from subscriptions.reclaims import lost_answers, restores
from subscriptions.reclaims.engine import reclaim_due
from subscriptions.reclaims.lost_answers import LONGEST_HOLD, MAX_LOST
from tests.support.audit_chain import verify_chain
from tests.support.fixtures import World, actions
from tests.support.web.pages import text_of

PEOPLE = 8
PATCH = {"method": "PATCH"}
ALWAYS = 10_000
START = datetime(2026, 11, 24, 9, tzinfo=timezone.get_default_timezone())


@pytest.fixture
def approved(world, alice, bob, time_machine) -> World:
    time_machine.move_to(START)
    world.first_download()
    ReclaimRule.objects.update(batch_cap_people=PEOPLE, batch_cap_percent=100)
    request = request_reclaim(world.candidates(PEOPLE), actor=alice)
    decide.approve(request, actor=bob)
    return world


@pytest.fixture(autouse=True)
def read_at_once(read_again_at_once):
    """Doubts are read back a second time without a wait."""


def patched(world: World) -> list[str]:
    """The person of each change that reached Miro, in order."""
    return [request["path"].rpartition("/")[2] for request in world.miro.requests() if request["method"] == "PATCH"]


def states() -> dict[str, int]:
    found = list(Reclaim.objects.values_list("state", flat=True))
    return {state: found.count(state) for state in found}


def held_until(world: World) -> datetime:
    world.profile.refresh_from_db()
    assert world.profile.lost_answers_held_until
    return world.profile.lost_answers_held_until


def end_of_waits() -> datetime:
    """The clock goes on during a test, so each item that waits has an end of its own."""
    return Reclaim.objects.aggregate(at=Max("not_before"))["at"] + timedelta(seconds=1)


def test_three_people_are_in_doubt_and_the_others_are_sent_when_the_vendor_is_well(approved, time_machine):
    approved.miro.fault("error_before", times=ALWAYS, match=PATCH)
    tally = reclaim_due(approved.profile)
    assert (tally.in_doubt, tally.held) == (MAX_LOST, PEOPLE - MAX_LOST)
    assert sweep.read_back_doubts(approved.profile) == MAX_LOST, "read-backs go on"
    waiting = Reclaim.objects.filter(state="queued")
    assert {(item.hold_reason, item.not_before >= held_until(approved)) for item in waiting} == {("lost_answers", True)}
    assert sweep.profiles_to_reclaim() == [] and reclaim_due(approved.profile).held == 0
    assert len(patched(approved)) == MAX_LOST

    approved.miro.clear_faults()
    time_machine.move_to(end_of_waits())
    assert sweep.profiles_to_reclaim() == [approved.profile.pk]
    assert reclaim_due(approved.profile).reclaimed == PEOPLE - MAX_LOST
    assert states() == {"in_doubt": MAX_LOST, "done": PEOPLE - MAX_LOST}
    sent = patched(approved)
    assert len(sent) == len(set(sent)) == PEOPLE, "each person once, those in doubt too"
    assert sorted(approved.deactivated_by_us()) == sorted(sent[MAX_LOST:])
    approved.profile.refresh_from_db()
    assert (approved.profile.lost_answers, approved.profile.lost_answers_held_at) == (0, None)
    assert [name for name in actions() if "answers" in name] == ["profile.answers_lost", "profile.answers_back"]
    assert verify_chain().findings == []


def test_while_it_goes_on_one_person_is_tried_and_the_waits_double_up_to_an_hour(approved, time_machine):
    approved.miro.fault("error_before", times=ALWAYS, match=PATCH)
    reclaim_due(approved.profile)
    approved.profile.refresh_from_db()
    since = approved.profile.lost_answers_held_at
    for tries in range(1, PEOPLE - MAX_LOST + 1):
        time_machine.move_to(end_of_waits())
        assert reclaim_due(approved.profile).in_doubt == 1
        assert len(patched(approved)) == MAX_LOST + tries
    events = AuditEvent.objects.filter(action="profile.answers_lost").order_by("sequence")
    waits = [datetime.fromisoformat(event.data["until"]) - event.at for event in events]
    assert [round(wait.total_seconds() / 60) for wait in waits] == [5, 10, 20, 40, 60, 60]
    assert timedelta(minutes=60) == LONGEST_HOLD
    assert [event.data["lost"] for event in events] == list(range(MAX_LOST, PEOPLE + 1))
    approved.profile.refresh_from_db()
    assert approved.profile.lost_answers_held_at == since, "since the first hold"


def test_after_weeks_of_it_one_person_is_still_tried_in_an_hour(approved):
    IntegrationProfile.objects.update(lost_answers=1000)
    approved.miro.fault("error_before", times=ALWAYS, match=PATCH)
    assert reclaim_due(approved.profile).in_doubt == 1
    assert held_until(approved) - approved.profile.lost_answers_held_at == LONGEST_HOLD


def test_after_the_hold_a_second_worker_waits_for_the_answer_of_the_one_that_tries(approved, time_machine, monkeypatch):
    approved.miro.fault("error_before", times=MAX_LOST, match=PATCH)
    reclaim_due(approved.profile)
    time_machine.move_to(end_of_waits())
    send, others = MiroConnector.deactivate, []

    def deactivate(connector, person):
        monkeypatch.setattr(MiroConnector, "deactivate", send)
        others.append(reclaim_due(approved.profile))
        return send(connector, person)

    monkeypatch.setattr(MiroConnector, "deactivate", deactivate)
    monkeypatch.setattr("subscriptions.reclaims.engine.claim.__kwdefaults__", {"count": 1, "direction": "deactivate"})
    tally = reclaim_due(approved.profile)
    assert (others[0].held, others[0].reclaimed) == (PEOPLE - MAX_LOST - 1, 0)
    assert tally.reclaimed == 1
    time_machine.move_to(end_of_waits())
    assert reclaim_due(approved.profile).reclaimed == PEOPLE - MAX_LOST - 1
    assert len(set(patched(approved))) == len(patched(approved)) == PEOPLE


def test_a_worker_that_dies_while_it_tries_holds_nobody_for_longer_than_its_lease(approved, time_machine):
    approved.miro.fault("error_before", times=MAX_LOST, match=PATCH)
    reclaim_due(approved.profile)
    time_machine.move_to(end_of_waits())
    item = Reclaim.objects.filter(state="queued").first()
    approved.profile.refresh_from_db()
    began = timezone.now()
    lost_answers.begin_try(approved.profile, item, now=began)
    assert held_until(approved) == began + Reclaim.LEASE
    assert reclaim_due(approved.profile).reclaimed == 0
    time_machine.move_to(end_of_waits())
    assert reclaim_due(approved.profile).reclaimed == PEOPLE - MAX_LOST


def test_an_answer_of_a_reclaim_that_was_under_way_when_the_hold_began_makes_it_no_longer(approved):
    approved.miro.fault("error_before", times=ALWAYS, match=PATCH)
    reclaim_due(approved.profile)
    until = held_until(approved)
    late = Reclaim.objects.filter(state="in_doubt").first()
    lost_answers.note_lost(late)
    assert held_until(approved) == until and approved.profile.lost_answers == MAX_LOST


def test_an_answer_that_was_lost_counts_for_nothing_if_the_seat_is_read_back_as_taken(approved):
    approved.miro.fault("error_after", times=ALWAYS, match=PATCH)
    assert reclaim_due(approved.profile).reclaimed == PEOPLE
    assert sorted(approved.deactivated_by_us()) == sorted(patched(approved))
    assert len(set(patched(approved))) == len(patched(approved)) == PEOPLE
    assert "profile.answers_lost" not in actions()


def test_a_seat_that_is_read_back_as_taken_ends_the_hold(approved, time_machine):
    """A change works, although its answer is lost. So nobody would need a person, and nobody has to wait."""
    approved.miro.fault("error_before", times=MAX_LOST, match=PATCH)
    approved.miro.fault("error_after", times=ALWAYS, match=PATCH)
    reclaim_due(approved.profile)
    time_machine.move_to(end_of_waits())
    assert reclaim_due(approved.profile).reclaimed == PEOPLE - MAX_LOST
    approved.profile.refresh_from_db()
    assert (approved.profile.lost_answers, approved.profile.lost_answers_held_at) == (0, None)
    assert [name for name in actions() if "answers" in name] == ["profile.answers_lost", "profile.answers_back"]


def test_doubts_with_answers_between_them_hold_nothing(approved):
    approved.miro.fault("error_before", times=MAX_LOST - 1, match=PATCH)
    approved.miro.fault("error_before", status=409, times=1, match=PATCH)  # an answer: Miro refuses this person
    approved.miro.fault("error_before", times=MAX_LOST - 1, match=PATCH)
    tally = reclaim_due(approved.profile)
    assert (tally.in_doubt, tally.refused, tally.reclaimed) == (4, 1, 3)


def test_restores_are_sent_during_the_hold_and_hold_nothing_themselves(approved, alice, time_machine):
    taken = [*Reclaim.objects.order_by("queued_at", "pk")[:4]]
    Reclaim.objects.exclude(pk__in=[item.pk for item in taken]).update(not_before=START + timedelta(hours=1))
    assert reclaim_due(approved.profile).reclaimed == 4
    for item in taken:
        item.refresh_from_db()
        restores.restore(item, actor=alice, reason="They are back")
    approved.miro.fault("error_before", times=4, match=PATCH)
    assert reclaim_due(approved.profile).in_doubt == 4, "each is tried, and none makes the next one wait"
    sweep.read_back_doubts(approved.profile)
    approved.profile.refresh_from_db()
    assert approved.profile.lost_answers == 0

    time_machine.move_to(end_of_waits())
    approved.miro.fault("error_before", times=MAX_LOST, match=PATCH)
    assert reclaim_due(approved.profile).in_doubt == MAX_LOST and held_until(approved)
    restores.restore(taken[0], actor=alice, reason="They are back")
    assert reclaim_due(approved.profile).restored == 1
    assert approved.profile.lost_answers == MAX_LOST, "an answer to a restore says nothing about reclaims"


def shown(approved: World, client) -> dict[str, str]:
    """The places that say that the reclaims of the profile are held; empty where one does not."""
    page = reverse("admin:integrations_integrationprofile_change", args=[approved.profile.pk])
    text = text_of(client.get(page))
    strip = [one for one in client.get(reverse("admin:index")).context["health"] if "Answers of Miro" in one.label]
    found = run_checks(["answers"])["answers"]
    [metric] = [metric for metric in work() if metric.name == "licensehub_answers_lost"]
    [sample] = [one for one in metric.samples if one.labels == {"profile": str(approved.profile.pk)}]
    return {
        "page": text if "Reclaims are held: the answers of Miro were lost" in text else "",
        "badge": "Held" if "cloud_off</span>Held" in text else "",
        "strip": strip[0].text if strip else "",
        "doctor": f"{found.value}: {found.steps[0].text}" if found.level == Level.LOOK else "",
        "metric": "1" if sample.value else "",
    }


NOWHERE = {"page": "", "badge": "", "strip": "", "doctor": "", "metric": ""}


def test_pages_metrics_doctor_and_dry_run_say_since_when_and_until_when(approved, carol, as_user, time_machine):
    client = as_user(carol)
    assert shown(approved, client) == NOWHERE
    approved.miro.fault("error_before", times=ALWAYS, match=PATCH)
    reclaim_due(approved.profile)

    until, since = held_until(approved), day_and_time(approved.profile.lost_answers_held_at)
    found = shown(approved, client)
    assert "to the last 3 reclaims" in found["page"] and f"since {since} (" in found["page"]
    assert f"Next try: {day_and_time(until)} (in " in found["page"]
    assert found["badge"] == "Held"
    assert "5 reclaims held: The vendor&#x27;s answers were lost." in found["page"]
    assert found["strip"].startswith(f"reclaims held since {since}; next try in ")
    assert found["doctor"].startswith(f"{approved.profile.name}: ")
    assert f"{until:%Y-%m-%d %H:%M} UTC" in found["doctor"] and found["metric"]

    time_machine.move_to(end_of_waits())
    found = shown(approved, client)
    assert "Next try: now" in found["page"]
    assert found["strip"] == f"reclaims held since {since}; next try now"
    Reclaim.objects.update(not_before=None)
    IntegrationProfile.objects.update(lost_answers_held_until=until + timedelta(days=1))
    assert try_queue(approved.profile).kinds(Ending.HOLD) == [("The vendor's answers were lost", PEOPLE - MAX_LOST)]


@pytest.mark.parametrize("values", [{"state": "skipped"}, {"direction": "reactivate"}], ids=["none waits", "a restore"])
def test_a_hold_that_no_reclaim_waits_for_is_not_shown(approved, carol, as_user, values):
    approved.miro.fault("error_before", times=ALWAYS, match=PATCH)
    reclaim_due(approved.profile)
    assert all(shown(approved, as_user(carol)).values())
    Reclaim.objects.filter(state="queued").update(**values)
    assert held_until(approved) > timezone.now()
    assert shown(approved, as_user(carol)) == NOWHERE


def test_a_program_reads_since_when_reclaims_wait(approved, carol, program):
    def since() -> list[str | None]:
        address = f"/profiles/{approved.profile.pk}"
        rows = [*program(carol).get("/profiles")["items"], program(carol).get(address)]
        return [row["answers_lost_since"] for row in rows]

    assert since() == [None, None]
    approved.miro.fault("error_before", times=ALWAYS, match=PATCH)
    reclaim_due(approved.profile)
    approved.profile.refresh_from_db()
    assert [(at or "")[:19] for at in since()] == [f"{approved.profile.lost_answers_held_at:%Y-%m-%dT%H:%M:%S}"] * 2
    Reclaim.objects.filter(state="queued").update(state="skipped")
    assert since() == [None, None]


def test_a_reclaim_that_is_approved_during_a_hold_waits_since_its_approval(approved, carol, as_user, program):
    approved.miro.fault("error_before", times=ALWAYS, match=PATCH)
    reclaim_due(approved.profile)
    approved_at = held_until(approved) - timedelta(minutes=1)
    Reclaim.objects.filter(state="queued").update(queued_at=approved_at)
    found = shown(approved, as_user(carol))
    assert f"held since {day_and_time(approved_at)}" in found["strip"]
    assert f"since {day_and_time(approved_at)} (" in found["page"]
    [row] = program(carol).get("/profiles")["items"]
    assert row["answers_lost_since"][:16] == f"{approved_at:%Y-%m-%dT%H:%M}"


@pytest.mark.parametrize("pause", [LONGEST_HOLD, LONGEST_HOLD + timedelta(minutes=1)], ids=["the same", "a new one"])
def test_a_try_long_after_a_hold_begins_a_new_one(approved, time_machine, pause):
    """Nothing waited meanwhile, or it waited for something else, e.g. for the window."""
    approved.miro.fault("error_before", times=ALWAYS, match=PATCH)
    reclaim_due(approved.profile)
    until, since = held_until(approved), approved.profile.lost_answers_held_at
    time_machine.move_to(until + pause, tick=False)
    Reclaim.objects.filter(state="queued").update(not_before=None)
    assert reclaim_due(approved.profile).in_doubt == 1
    approved.profile.refresh_from_db()
    new = pause > LONGEST_HOLD
    assert approved.profile.lost_answers_held_at == (until + pause if new else since)
    assert approved.profile.lost_answers == MAX_LOST + 1, "the count goes on"


@pytest.mark.parametrize(
    ("values", "icon", "label"),
    [
        ({"activity_doubted_at": START}, "monitor_heart", "Dates in doubt"),
        ({"held_at": START}, "gpp_bad", "Held"),
        ({"sending_stopped": True}, "front_hand", "Sending stopped"),
        ({"reclaim_enabled": False}, "toggle_off", "Switched off"),
    ],
)
def test_the_page_of_a_profile_has_a_badge_for_each_of_its_switches(world, carol, as_user, values, icon, label):
    page = reverse("admin:integrations_integrationprofile_change", args=[world.profile.pk])
    assert "nothing is held" in text_of(as_user(carol).get(page))
    IntegrationProfile.objects.update(**values)
    shown = as_user(carol).get(page)
    assert f">{icon}</span>{label}</span>" in shown.context["reclaim"]["badge"]
    assert "nothing is held" not in text_of(shown)


def test_the_control_without_the_hold_everybody_is_in_doubt(approved, monkeypatch):
    monkeypatch.setattr(lost_answers, "note_lost", lambda item: None)
    approved.miro.fault("error_before", times=ALWAYS, match=PATCH)
    assert reclaim_due(approved.profile).in_doubt == PEOPLE
