"""Hypothesis does whatever people, beat, crashes and the vendor can do, in any order; and all promises hold.

The vendor is in memory, so that thousands of steps take minutes. What a rule of the machine is refused by LicenseHub
(Refused, NotActionable) is no failure: that it refuses in time is what is tested.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import time_machine
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from integrations import sending
from licensehub.audit.transactions import open_transactions
from subscriptions import sweep
from subscriptions.approvals import closing, decide, undo
from subscriptions.approvals.leaving import Keep
from subscriptions.approvals.request import open_for_approval, raise_cap, request_reclaim, send_again
from subscriptions.candidates import caps
from subscriptions.candidates.actions import leave_alone, resume
from subscriptions.downloads.lease import DownloadError
from subscriptions.errors import NotActionable, Refused
from subscriptions.models import (
    Answer,
    CandidateState,
    Direction,
    KeptAs,
    Reclaim,
    ReclaimRequest,
    ReclaimRule,
    RemovalCandidate,
    RequestedRemoval,
)
from subscriptions.notices import answers, delivery
from subscriptions.profiles import lifecycle
from subscriptions.reclaims import restores
from subscriptions.reclaims.engine import reclaim_due
from subscriptions.rules import evaluation, rules
from tests.chaos.support import fake_connector
from tests.chaos.support.checker import audit_findings
from tests.chaos.support.crashes import Crash, CrashPoint, crashing
from tests.chaos.support.fake_connector import MemoryConnector, Outcome
from tests.chaos.support.world import ChaosWorld, broken_promises

BEGIN = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
PEOPLE = 8
SHORT_WAITS = [timedelta(seconds=6), timedelta(minutes=4)]
WAITS = [*SHORT_WAITS, timedelta(hours=25), timedelta(days=4), timedelta(days=8), timedelta(days=31)]
numbers = st.integers(min_value=0, max_value=PEOPLE - 1)
kept = st.sampled_from(list(KeptAs))
outcomes = st.sampled_from([Outcome.APPLIED, *Outcome])


class Life(RuleBasedStateMachine):
    """One organization's life. `world` is made once; each run is undone in the database."""

    world: ClassVar[ChaosWorld]
    others: ClassVar[list[User]]
    steps: ClassVar[int] = 0
    # How many items ended where: lives in which nothing happens show nothing.
    seen: ClassVar[Counter[tuple[str, str]]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.taken = 0
        self._kept = MemoryConnector.vendor
        MemoryConnector.vendor = self._kept.copy()
        self._outer = django_settings.TRANSACTIONS_OF_TESTS
        self._undone = transaction.atomic()
        self._undone.__enter__()
        django_settings.TRANSACTIONS_OF_TESTS = open_transactions()
        # What the run before has changed in it is undone in the database only.
        self.world.profile.refresh_from_db()
        self._clock = time_machine.travel(BEGIN + timedelta(hours=1), tick=False)
        self._time = self._clock.start()

    def teardown(self) -> None:
        Life.seen.update(Reclaim.objects.values_list("direction", "state"))
        try:
            assert list(audit_findings()) == []
        finally:
            self._clock.stop()
            transaction.set_rollback(True)
            self._undone.__exit__(None, None, None)
            django_settings.TRANSACTIONS_OF_TESTS = self._outer
            MemoryConnector.vendor = self._kept

    # --- People at work -----------------------------------------------------------------------------------------------

    @rule(first=numbers, count=st.integers(min_value=1, max_value=PEOPLE), who=st.sampled_from(["alice", "bob"]))
    def request(self, first: int, count: int, who: str) -> None:
        ready = RemovalCandidate.objects.filter(state=CandidateState.READY).order_by("pk")
        ids = list(ready.values_list("pk", flat=True))
        chosen = (ids + ids)[first % len(ids) :][:count] if ids else []
        with suppress(Refused, NotActionable):
            request_reclaim(RemovalCandidate.objects.filter(pk__in=chosen), actor=self.person(who))

    @rule(first=numbers, count=st.integers(min_value=1, max_value=3))
    def request_and_approve(self, first: int, count: int) -> None:
        """Do what happens on most days; else few lives would come to a send."""
        self.request(first, count, "alice")
        self.approve(-1, "bob")

    @rule(first=numbers, outcome=outcomes)
    def a_day_without_trouble(self, first: int, outcome: Outcome) -> None:
        self.all_is_on()
        self.request(first, 2, "alice")
        self.approve(-1, "bob")
        self.execute(outcome)

    @rule(number=numbers, who=st.sampled_from(["alice", "bob", "carol"]))
    def approve(self, number: int, who: str) -> None:
        if request := self.one(ReclaimRequest.objects.filter(state__in=("open", "collecting")), number):
            with suppress(Refused, NotActionable):
                decide.approve(request, actor=self.person(who))

    @rule(number=numbers, who=st.sampled_from(["alice", "bob"]), kept_as=kept)
    def reject(self, number: int, who: str, kept_as: KeptAs) -> None:
        if request := self.one(ReclaimRequest.objects.filter(state="open"), number):
            with suppress(Refused, NotActionable):
                decide.reject(request, actor=self.person(who), comment="Not now", keep=self.keep(kept_as))

    @rule(number=numbers, who=st.sampled_from(["alice", "bob"]))
    def take_back(self, number: int, who: str) -> None:
        if request := self.one(ReclaimRequest.objects.filter(state="rejected"), number):
            with suppress(Refused, NotActionable):
                undo.take_back_rejection(request, actor=self.person(who))

    @rule(number=numbers, kept_as=kept)
    def drop(self, number: int, kept_as: KeptAs) -> None:
        if person := self.one(RequestedRemoval.objects.not_dropped(), number):
            with suppress(NotActionable):
                closing.drop(person, actor=self.world.alice, reason="On leave", keep=self.keep(kept_as))

    @rule(number=numbers)
    def take_back_in(self, number: int) -> None:
        if person := self.one(RequestedRemoval.objects.exclude(dropped_at=None).select_related("request"), number):
            with suppress(Refused, NotActionable):
                undo.take_back_in(person, actor=self.world.alice, decides=False)

    @rule(number=numbers)
    def cancel(self, number: int) -> None:
        if request := self.one(ReclaimRequest.objects.all(), number):
            with suppress(Refused, NotActionable):
                closing.cancel(request, actor=self.world.alice)

    @rule(number=numbers, who=st.sampled_from(["bob", "carol"]))
    def raise_cap(self, number: int, who: str) -> None:
        if request := self.one(ReclaimRequest.objects.filter(state__in=("open", "collecting")), number):
            with suppress(Refused, NotActionable):
                raise_cap(request, actor=self.person(who), reason="End of the year")

    @rule(number=numbers, keep=st.booleans())
    def answer(self, number: int, keep: bool) -> None:
        """The person says something, perhaps late."""
        if person := self.one(RequestedRemoval.objects.not_dropped().filter(request__direction="deactivate"), number):
            with suppress(NotActionable):
                answers.answer(person, Answer.KEEP if keep else Answer.RELEASE)

    @rule()
    def ask(self) -> None:
        delivery.deliver_due(self.world.profile)

    @rule(number=numbers)
    def open_for_approval(self, number: int) -> None:
        if request := self.one(ReclaimRequest.objects.filter(state="collecting"), number):
            with suppress(NotActionable):
                open_for_approval(request)

    @rule(number=numbers, resumes=st.booleans())
    def look_at_what_needs_attention(self, number: int, resumes: bool) -> None:
        if found := self.one(RemovalCandidate.objects.filter(state=CandidateState.ATTENTION_REQUIRED), number):
            act = resume if resumes else leave_alone
            with suppress(NotActionable):  # in doubt: to send again is another rule
                act(found, actor=self.world.alice)

    @rule(number=numbers)
    def send_again(self, number: int) -> None:
        if found := self.one(RemovalCandidate.objects.filter(state=CandidateState.ATTENTION_REQUIRED), number):
            with suppress(Refused, NotActionable):
                send_again(found, actor=self.world.alice, reason="Still idle")

    @rule(number=numbers)
    def restore(self, number: int) -> None:
        if found := self.one(Reclaim.objects.filter(direction="deactivate", state="done"), number):
            with suppress(Refused, NotActionable):
                restores.restore(found, actor=self.world.alice, reason="Back from leave")

    @rule(count=st.integers(min_value=1, max_value=3))
    def request_restore(self, count: int) -> None:
        chosen = list(Reclaim.objects.filter(state="done").order_by("-pk").values_list("pk", flat=True)[:count])
        with suppress(Refused, NotActionable):
            restores.request_restore(
                Reclaim.objects.filter(pk__in=chosen), actor=self.world.alice, reason="They are back"
            )

    # --- Rules and switches -------------------------------------------------------------------------------------------

    @rule(days=st.sampled_from([30, 60, 90, 365]), asks=st.sampled_from([False, False, False, True]))
    def change_rule(self, days: int, asks: bool) -> None:
        found = ReclaimRule.objects.get()
        rules.change_rule(found, actor=self.world.alice, changed={"last_activity_threshold": days})
        ReclaimRule.objects.update(notify_user=asks)
        evaluation.evaluate_again(self.world.profile)

    @rule(batch=st.sampled_from([1, 2, 1000]), rolling=st.sampled_from([1, 25, 100]))
    def change_caps(self, batch: int, rolling: int) -> None:
        ReclaimRule.objects.update(batch_cap_people=batch, rolling_cap_percent=rolling)

    @rule(what=st.sampled_from(["stop", "allow", "pause", "unpause", "off", "on", "stop all", "allow all"]))
    def switch(self, what: str) -> None:
        profile, actor = self.world.profile, self.world.alice
        acts: dict[str, Any] = {
            "stop": lambda: lifecycle.stop_sending(profile, actor=actor),
            "allow": lambda: lifecycle.allow_sending(profile, actor=actor),
            "pause": lambda: lifecycle.pause(profile, actor=actor),
            "unpause": lambda: lifecycle.unpause(profile, actor=actor),
            "off": lambda: lifecycle.switch_reclaim(profile, enabled=False, actor=actor),
            "on": lambda: lifecycle.switch_reclaim(profile, enabled=True, actor=actor),
            "stop all": lambda: sending.stop_all(actor=actor, reason="Look first"),
            "allow all": lambda: sending.allow_all(actor=actor),
        }
        before = len(self.vendor.writes)
        with suppress(NotActionable, sending.NotSwitched):
            acts[what]()
        profile.refresh_from_db()
        assert len(self.vendor.writes) == before

    @rule()
    def all_is_on(self) -> None:
        self.vendor.reads_fail = False
        ReclaimRule.objects.update(batch_cap_people=1000, rolling_cap_percent=100, notify_user=False)
        for what in ("allow", "unpause", "on", "allow all"):
            self.switch(what)

    # --- The engine, and what happens to it ---------------------------------------------------------------------------

    @rule(outcome=outcomes)
    def execute(self, outcome: Outcome) -> None:
        self.vendor.outcome = outcome
        used = self.acts()
        switched_off = self.switched_off()
        writes = len(self.vendor.writes)
        reclaim_due(self.world.profile)
        assert not (switched_off and len(self.vendor.writes) > writes), "sent though it was switched off"
        self.within_caps(used)

    @rule(outcome=outcomes, at=st.integers(min_value=1, max_value=45))
    def execute_and_crash(self, outcome: Outcome, at: int) -> None:
        self.vendor.outcome = outcome
        used = self.acts()
        with suppress(Crash), crashing(CrashPoint(at=at), self.vendor):
            sweep.repair()
            sweep.read_back_doubts(self.world.profile)
            reclaim_due(self.world.profile)
        self.within_caps(used)

    @rule(outcome=outcomes)
    def sweep_and_execute(self, outcome: Outcome) -> None:
        self.recover(outcome)
        self.execute(outcome)

    @rule(outcome=outcomes)
    def recover(self, outcome: Outcome) -> None:
        self.vendor.outcome = outcome
        writes = len(self.vendor.writes)
        sweep.repair()
        sweep.read_back_doubts(self.world.profile)
        assert len(self.vendor.writes) == writes, "recovery sends nothing"

    @rule(wait=st.sampled_from(SHORT_WAITS))
    def wait(self, wait: timedelta) -> None:
        self._time.shift(wait)

    @rule(wait=st.sampled_from(WAITS))
    def wait_long(self, wait: timedelta) -> None:
        self._time.shift(wait)

    # --- The vendor ---------------------------------------------------------------------------------------------------

    @rule(number=numbers)
    def human_reactivates(self, number: int) -> None:
        self.vendor.set(str(9000 + number), active=True, by_us=False)

    @rule(number=numbers)
    def human_deactivates(self, number: int) -> None:
        self.vendor.set(str(9000 + number), active=False, by_us=False)

    @rule(number=numbers)
    def comes_back(self, number: int) -> None:
        self.change(number, last_activity_at=timezone.now())

    @rule(number=numbers)
    def becomes_admin(self, number: int) -> None:
        self.change(number, role="organization_internal_admin", reclaimable=False, why_not="An admin")

    @rule(away=st.sampled_from([False, False, True]))
    def goes_away_or_comes_back(self, away: bool) -> None:
        self.vendor.reads_fail = away

    @rule()
    def download(self) -> None:
        with suppress(DownloadError):  # paused
            self.world.download()

    # --- What must hold -----------------------------------------------------------------------------------------------

    @invariant()
    def promises_are_kept(self) -> None:
        Life.steps += 1
        self.taken += 1
        # To verify the whole chain takes long, and what is broken in it stays broken: now and then is enough.
        assert broken_promises(self.world, audit=self.taken % 20 == 0) == []
        assert self.again_on_an_old_approval() == []

    def again_on_an_old_approval(self) -> list[str]:
        """Each approval takes a seat at most once, so whoever came back is taken again only on a newer one."""
        return [
            external_id
            for external_id in set(self.vendor.again_after_human())
            if Reclaim.objects.filter(
                subscription__external_id=external_id, direction=Direction.DEACTIVATE, sending_at__isnull=False
            ).count()
            < self.vendor.deactivations(external_id)
        ]

    # --- Small things -------------------------------------------------------------------------------------------------

    @property
    def vendor(self) -> fake_connector.Vendor:
        return MemoryConnector.vendor

    def person(self, name: str) -> User:
        return {"alice": self.world.alice, "bob": self.world.bob, "carol": self.others[0]}[name]

    @staticmethod
    def keep(kept_as: KeptAs) -> Keep:
        return Keep(kept_as, timezone.now() + timedelta(days=20)) if kept_as == KeptAs.PAUSED else Keep(kept_as)

    @staticmethod
    def one(rows: Any, number: int) -> Any:
        found = list(rows.order_by("pk"))
        return found[number % len(found)] if found else None

    def change(self, number: int, **values: Any) -> None:
        external_id = str(9000 + number)
        self.vendor.members[external_id] = self.vendor.members[external_id]._replace(**values)

    def switched_off(self) -> bool:
        profile = self.world.profile
        profile.refresh_from_db()
        off = profile.sending_stopped or not profile.reclaim_enabled or profile.state != "published"
        return off or sending.control().stopped

    @staticmethod
    def acts() -> int:
        return caps.deactivations_of(Life.world.profile).count()

    @staticmethod
    def within_caps(used: int) -> None:
        """Check that what was sent just now fits into what the rule allows in 24 hours."""
        found = caps.caps_of(Life.world.profile)
        assert found.used <= max(used, found.rolling), found


def live(world: ChaosWorld, others: list[User], *, runs: int, steps: int, given: int | None) -> int:
    """Returns how many steps were taken."""
    Life.world, Life.others, Life.steps, Life.seen = world, others, 0, Counter()
    options = settings(
        max_examples=runs,
        stateful_step_count=steps,
        deadline=None,
        derandomize=given is None,
        database=None,
        print_blob=given is not None,
        suppress_health_check=list(HealthCheck),
    )
    machine = seed(given)(Life) if given is not None else Life
    run_state_machine_as_test(machine, settings=options)
    return Life.steps
