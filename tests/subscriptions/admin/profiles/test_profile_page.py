"""The page of a profile: what it counts apart, and a vendor that does not answer."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date, timedelta
from decimal import Decimal

from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from integrations.connections import connection_state
from integrations.connectors.contract import ConfigError
from integrations.connectors.miro.context import developer_team
from integrations.models import AccountScope, IntegrationProfile
from integrations.tasks import validate_nightly
from subscriptions import sweep
from subscriptions.models import (
    Delivery,
    NotificationChoice,
    NotificationKind,
    NotificationRecipient,
    Per,
    Reclaim,
    ReclaimState,
)
from subscriptions.money.prices import PriceInput, enter_price
from subscriptions.reclaims import restores
from subscriptions.reclaims.engine import reclaim_due
from tests.support.fixtures import person
from tests.support.people.restoring import REASON, reclaimed
from tests.support.web.pages import text_of


def test_acts_of_both_directions_are_never_added(world, alice, bob, carol, as_user):
    User.objects.filter(pk=alice.pk).update(first_name="Marcus", last_name="Lindqvist")
    first, second, _ = reclaimed(world, alice, bob, 3)
    restores.restore(first, actor=alice, reason=REASON)
    assert reclaim_due(world.profile).restored == 1
    waiting = restores.restore(second, actor=alice, reason=REASON)
    client = as_user(carol)
    address = reverse("admin:integrations_integrationprofile_change", args=[world.profile.pk])

    shown = text_of(client.get(address))
    assert "3 in the last 30 days" in shown
    assert "1 restored in these days" in shown
    assert "1 restore waiting" in shown

    Reclaim.objects.filter(pk=waiting.pk).update(state=ReclaimState.IN_DOUBT)
    Reclaim.objects.filter(pk=first.pk).update(state=ReclaimState.IN_DOUBT)
    assert "1 reclaim, 1 restore" in text_of(client.get(address))
    overview = client.get(reverse("admin:index")).context
    assert "1 reclaim, 1 restore in doubt" in [item.label for item in overview["health"]]
    lines = [line["title"] for line in overview["waiting"] if "in doubt" in line["title"]]
    assert lines == ["1 reclaim in doubt", "1 restore in doubt"]
    person = client.get(reverse("admin:subscriptions_subscription_change", args=[first.subscription_id]))
    assert "asked by Marcus Lindqvist" in text_of(person)
    audit = client.get(reverse("admin:audit_auditevent_changelist"), {"q": "Lindqvist"}).context["cl"].result_list
    assert {(event.who, event.actor_name) for event in audit} == {("Marcus Lindqvist", "alice")}


def test_a_connection_without_a_usable_answer_says_so_in_the_language_of_the_reader(world, carol, as_user):
    address = reverse("admin:integrations_integrationprofile_change", args=[world.profile.pk])
    assert "No usable answer" not in text_of(as_user(carol).get(address))
    world.miro.fault("other_json", times=-1, match={"path": "/scim/"})
    validate_nightly()
    shown = text_of(as_user(carol).get(address))
    assert shown.count("No usable answer since") == 1
    assert "Deactivation, Same organization." in shown
    german = text_of(as_user(carol).get(address, headers={"accept-language": "de"}))
    assert german.count("Keine brauchbare Antwort seit") == 1
    assert "Deaktivierung, Dieselbe Organisation." in german


def test_the_steps_of_a_finding_are_in_the_language_of_the_reader(world, carol, as_user):
    found = developer_team("Team of developers")
    IntegrationProfile.objects.update(findings=[asdict(found)], validated_at=timezone.now())
    address = reverse("admin:integrations_integrationprofile_change", args=[world.profile.pk])
    step = "choose Connect to Miro again."
    assert step in text_of(as_user(carol).get(address))
    german = text_of(as_user(carol).get(address, headers={"accept-language": "de"}))
    assert step not in german and "Wählen Sie hier" in german


def test_a_token_of_a_year_has_a_warning_with_the_step(world, carol, as_user):
    """A token that is a day younger has none. The vendor renews the token of the app."""
    address = reverse("admin:integrations_integrationprofile_change", args=[world.profile.pk])
    warning = "This token is at least a year old. Generate a new one at Miro, and store it in the connection."
    for days, shown in ((364, 0), (365, 1)):
        world.profile.connections.update(credentials_set_at=timezone.now() - timedelta(days=days), refresh_at=None)
        assert text_of(as_user(carol).get(address)).count(warning) == shown


def test_the_page_names_exactly_those_who_get_the_mail_about_an_error(world, carol, as_user):
    profile = world.profile
    other = IntegrationProfile.objects.create(name="Other", kind="miro")
    people = {name: person(name, "Operator") for name in ("oscar", "mute", "elsewhere", "silent")}
    User.objects.filter(username="mute").update(email="")
    AccountScope.objects.create(user=people["elsewhere"]).profiles.add(other)
    NotificationChoice.objects.create(user=people["silent"], kind=NotificationKind.CONNECTION, delivery=Delivery.OFF)
    address = reverse("admin:integrations_integrationprofile_change", args=[profile.pk])

    def named() -> str:
        lines = as_user(carol).get(address).context["download"]["errors"]
        [line] = [line for line in lines if "about connections" in line.about]
        assert not line.problem
        return line.names

    before = named()
    connection_state.mark_failed(profile, ConfigError("The app is uninstalled.", slot="rest"))
    sweep.notify()
    got = NotificationRecipient.objects.filter(notification__kind=NotificationKind.CONNECTION)
    mailed = set(got.values_list("user__username", flat=True))
    assert "oscar" in mailed and not mailed & {"mute", "elsewhere", "silent"}
    assert set(before.replace(" and ", ", ").split(", ")) == mailed
    assert named() == before, "the same during the error"


def test_an_error_that_nobody_would_get_says_so_with_the_step(world, alice, as_user, settings):
    """Without a mail server, a name is no answer either."""
    address = reverse("admin:integrations_integrationprofile_change", args=[world.profile.pk])
    person("oscar", "Operator")
    settings.HTTPS, settings.EMAIL_BACKEND = True, "django.core.mail.backends.console.EmailBackend"
    [line] = as_user(alice).get(address, secure=True).context["download"]["errors"]
    assert "oscar" in line.names and line.problem == "Mails go to the log and reach nobody. Set EMAIL_URL."
    settings.HTTPS = False
    User.objects.exclude(pk=alice.pk).update(email="")
    [line] = as_user(alice).get(address).context["download"]["errors"]
    assert (line.names, line.about) == ("Nobody", "about downloads and about connections")
    assert "the role Operator" in line.problem
    User.objects.update(email="")
    [reclaim] = as_user(alice).get(address).context["reclaim"]["errors"]
    assert reclaim.names == "Nobody" and "the role License manager" in reclaim.problem


def test_the_page_shows_the_prices_of_today(world, alice, as_user):
    """Those who may not see prices see none."""
    address = reverse("admin:integrations_integrationprofile_change", args=[world.profile.pk])
    assert "Full, Advanced" in text_of(as_user(alice).get(address))
    for amount, begins in ((240, date(2020, 1, 1)), (480, timezone.now().date() + timedelta(days=30))):
        wanted = PriceInput("full", Decimal(amount), "USD", Per.YEAR, begins)
        enter_price(world.profile, wanted, actor=alice)
    shown = text_of(as_user(alice).get(address))
    assert "$240 per year" in shown and "USD, since Jan 1, 2020" in shown
    assert "Full, Advanced" not in shown and "no price today" in shown and "$480" not in shown
    hidden = text_of(as_user(person("oscar", "Operator")).get(address))
    assert "Price of a seat" not in hidden and "$240" not in hidden
