"""The regular work: what one step cannot do holds up none of the others."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import NoReturn

from django.contrib.auth.models import Group
from django.utils import timezone

from integrations import tasks as connection_tasks
from integrations.installation.findings import findings
from integrations.models import IntegrationProfile
from licensehub.audit.models import AuditEvent
from subscriptions import sweep, tasks
from subscriptions.accounts import rights_changes
from subscriptions.models import ReclaimRequest, RightsChange
from subscriptions.models.rights import RightsChangeQuerySet
from subscriptions.notifications.delivery import deliver_due
from tests.support.people.organization import Organization


def failing(step: Callable[..., object]) -> Callable[..., NoReturn]:
    @wraps(step)
    def fail(*args: object, **kwargs: object) -> NoReturn:
        raise ValueError("a row that nobody expected")

    return fail


def test_an_error_in_one_step_is_reported_and_ends_no_other(
    real_steps, organization: Organization, alice, bob, dave, carol, monkeypatch
):
    asked = organization.ask(alice)
    ReclaimRequest.objects.filter(pk=asked.pk).update(expires_at=timezone.now() - timedelta(hours=1))
    for user in (carol, dave):
        user.groups.set([Group.objects.get(name="Approver")])
    follow, enqueued = rights_changes.follow, []

    def follow_some(*, accounts, **others) -> None:
        one = accounts.filter(pk=min(carol.pk, dave.pk)).exists()
        (failing(follow) if one else follow)(accounts=accounts, **others)

    with monkeypatch.context() as broken:
        broken.setattr(sweep, "recover_claims", failing(sweep.recover_claims))
        broken.setattr(rights_changes, "follow", follow_some)
        broken.setattr(tasks, "profiles_to_download", failing(tasks.profiles_to_download))
        broken.setattr(tasks, "notify", failing(tasks.notify))
        broken.setattr(tasks, "profiles_to_reclaim", lambda: [organization.profile.pk])
        broken.setattr(tasks, "enqueue_task", lambda task, *ids: enqueued.append((task.name, *ids)))
        tasks.sweep()
    asked.refresh_from_db()
    assert asked.state == "expired" and (tasks.reclaim.name, organization.profile.pk) in enqueued
    assert set(RightsChange.objects.waiting().values_list("account", flat=True)) == {max(carol.pk, dave.pk)}
    found = [finding.text for finding in findings()]
    assert len(found) == 4 and all("fails (" in text and "ValueError" in text for text in found)

    # One of two changes that are due cannot take effect.
    sweep.repair()
    assert RightsChange.objects.waiting().count() == 2
    first = RightsChange.objects.order_by("pk").first()
    take_effect = rights_changes._take_effect
    monkeypatch.setattr(RightsChangeQuerySet, "due", RightsChangeQuerySet.waiting)
    announced = AuditEvent(at=timezone.now() - timedelta(days=2), data={"to": [bob.email]})
    monkeypatch.setattr(rights_changes.signed_rights, "announcement", lambda change: announced)

    def take_some(change, **others) -> None:
        (failing(take_effect) if change.pk == first.pk else take_effect)(change, **others)

    with monkeypatch.context() as broken:
        broken.setattr(rights_changes, "_take_effect", take_some)
        tasks.sweep()
    assert list(RightsChange.objects.waiting()) == [first]
    assert [finding.key for finding in findings()] == ["step:subscriptions.accounts.rights_changes.take_due"]
    tasks.sweep()
    assert not RightsChange.objects.waiting().exists() and not findings()


def test_an_error_in_the_work_of_the_night_and_in_a_mail_ends_no_other_step(real_steps, db, monkeypatch):
    done: list[str] = []
    for name in ("remove_old_history", "thin_past_activity", "remove_old_deliveries", "note_due", "erase_due"):
        monkeypatch.setattr(tasks, name, lambda name=name, **_: done.append(name))
    monkeypatch.setattr(tasks, "count_all_verified", failing(tasks.count_all_verified))
    tasks.thin_history()
    assert done == ["remove_old_history", "thin_past_activity", "remove_old_deliveries", "note_due", "erase_due"]

    monkeypatch.setattr(tasks.rights_mail, "announce", failing(tasks.rights_mail.announce))
    monkeypatch.setattr(tasks.token_mail, "tell", failing(tasks.token_mail.tell))
    monkeypatch.setattr(tasks.notifications, "deliver_due", wraps(deliver_due)(lambda: done.append("mails")))
    tasks.notify_colleagues()
    assert done[-1] == "mails" and len(findings()) == 3


def test_a_profile_that_cannot_be_validated_stops_no_other(real_steps, world, monkeypatch):
    other = IntegrationProfile.objects.create(name="Other", kind=world.profile.kind, state="published")
    validated: list[int] = []

    def validate(profile: IntegrationProfile, **_: object) -> None:
        if profile == world.profile:
            raise KeyError("a row that nobody expected")
        validated.append(profile.pk)

    monkeypatch.setattr(connection_tasks, "validate_connections", validate)
    connection_tasks.validate_nightly()
    assert validated == [other.pk]
    assert [finding.key for finding in findings()] == [f"step:validate_connections:{world.profile.pk}"]
