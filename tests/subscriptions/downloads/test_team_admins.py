"""The only admins of teams: read after a download where the scope allows it, else not checked."""

from __future__ import annotations

import pytest
from django.urls import reverse

from integrations.connectors.contract import BadAnswer, ConfigError
from integrations.connectors.miro.connector import MiroConnector
from subscriptions.downloads.team_admins import write_sole_admins
from subscriptions.models import RemovalCandidate, Subscription, Verdict
from tests.support.fixtures import World

WITHOUT = ["organizations:read"]


def marked() -> dict[str, str]:
    rows = Subscription.objects.exclude(sole_admin_of="")
    return dict(rows.values_list("external_id", "sole_admin_of"))


def truth(world: World) -> set[str]:
    """Active people without whom a team has no active admin, as the sandbox itself would refuse them."""
    miro = world.sandbox.world
    ids = Subscription.objects.filter(active=True).values_list("external_id", flat=True)
    return {found for found in ids if miro.teams_without_other_admin(found)}


def test_they_are_protected_beforehand(world):
    run = world.download()

    run.refresh_from_db()
    assert run.team_admins_checked and run.problem == ""
    assert set(marked()) == truth(world) != set()
    protected = Subscription.objects.exclude(sole_admin_of="").filter(reclaimable=True)
    assert protected.filter(evaluation__verdict=Verdict.CANNOT_BE_REMOVED).exists()
    assert not RemovalCandidate.objects.filter(subscription__in=protected).exists()


def test_without_the_scope_they_are_candidates_and_not_checked(world, carol, client):
    world.miro.set_toggles(scopes=WITHOUT)

    run = world.download()

    run.refresh_from_db()
    assert not run.team_admins_checked and run.problem == "" and not marked()
    ready = set(RemovalCandidate.objects.values_list("subscription__external_id", flat=True))
    assert ready & truth(world)
    client.force_login(carol)
    row = Subscription.objects.filter(evaluation__verdict="candidate").first()
    page = client.get(reverse("admin:subscriptions_subscription_change", args=[row.pk])).content.decode()
    assert "not checked" in page and "is not checked; Miro refuses if so" in page
    page = client.get(reverse("admin:subscriptions_downloadrun_change", args=[run.pk])).content.decode()
    assert "Not checked" in page


def test_what_is_no_longer_granted_is_no_longer_known(world):
    world.download()
    assert marked()
    world.miro.set_toggles(scopes=WITHOUT)

    run = world.download()

    run.refresh_from_db()
    assert not marked() and not run.team_admins_checked
    assert not Subscription.objects.filter(evaluation=None).exists()


@pytest.mark.parametrize("error", [BadAnswer("Miro's answer holds no list of teams."), ConfigError("Connect again.")])
def test_an_error_is_noted_and_keeps_what_was_known(world, monkeypatch, error):
    world.download()
    known = marked()

    def fail(self, cursor=""):
        raise error

    monkeypatch.setattr(MiroConnector, "team_admins", fail)
    run = world.download()

    run.refresh_from_db()
    assert run.problem == f"Who is the only admin of a team was not read: {error.message}"
    assert not run.team_admins_checked
    assert marked() == known


def test_only_what_differs_is_written(world):
    world.download()
    teams = {found: (name,) for found, name in marked().items()}

    assert write_sole_admins(world.profile, teams) == 0
    gone, *_ = teams
    other = Subscription.objects.filter(sole_admin_of="", active=True).first().external_id
    assert write_sole_admins(world.profile, {**teams, gone: (), other: ("Design", "Sales"), "nobody": ("X",)}) == 2
    assert marked()[other] == "Design, Sales"


def test_many_teams_fit(world):
    world.download()
    row = Subscription.objects.first()

    write_sole_admins(world.profile, {row.external_id: tuple(f"Team {number:03}" for number in range(200))})

    row.refresh_from_db()
    assert len(row.sole_admin_of) <= 500
    assert row.sole_admin_of.endswith(" more teams")


@pytest.mark.parametrize(
    ("names", "words"), [(("a" * 300, "b" * 300), f"{'a' * 300} and 1 more team"), (("c" * 600,), "c" * 500)]
)
def test_one_team_too_long(world, names, words):
    world.download()
    row = Subscription.objects.first()

    write_sole_admins(world.profile, {row.external_id: names})

    row.refresh_from_db()
    assert row.sole_admin_of == words
