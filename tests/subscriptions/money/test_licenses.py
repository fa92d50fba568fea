"""Bought, used and free of each license type, and the mail when fewer are free than the seat floor."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from integrations.models import IntegrationProfile
from licensehub.audit.models import AuditEvent
from subscriptions.errors import Refused
from subscriptions.models import Contract, DownloadRun, SeatFloor, Subscription
from subscriptions.money.licenses import licenses_of, set_floors, short_licenses
from tests.support.fixtures import person
from tests.support.people.colleagues import Colleagues

PAGE = "admin:subscriptions_contract_changelist"


def bought(organization, **seats: int) -> None:
    DownloadRun.objects.filter(pk=organization.run.pk).update(purchased=seats)


def held(organization) -> int:
    return Subscription.objects.filter(profile=organization.profile, license="full").held().count()


def test_each_license_type_has_what_is_bought_used_and_free(organization, alice):
    used = held(organization)
    bought(organization)
    [full] = [use for use in licenses_of(organization.profile) if use.license == "full"]
    assert (full.bought, full.free, full.used, full.candidates) == (None, None, used, 8)
    today = timezone.localdate()
    Contract.objects.create(
        profile=organization.profile,
        license="full",
        seats=used + 7,
        starts=today - timedelta(days=9),
        renews_on=today + timedelta(days=9),
        notice_by=today,
    )
    set_floors(organization.profile, {"full": 7}, actor=alice)
    assert short_licenses(organization.profile) == []
    Contract.objects.update(renews_on=today)  # over
    assert [use.free for use in licenses_of(organization.profile) if use.license == "full"] == [None]
    bought(organization, full=used + 6)  # what the vendor says
    assert [(use.free, use.floor) for use in short_licenses(organization.profile)] == [(6, 7)]


def test_a_mail_goes_out_once_and_again_only_after_more_were_free(colleagues: Colleagues):
    organization, zoe = colleagues.organization, person("zoe", "Company admin")
    used = held(organization)
    bought(organization, full=used + 40)
    set_floors(organization.profile, {"full": 40}, actor=zoe)
    assert colleagues.minute() == 0
    bought(organization, full=used + 39)
    for _ in range(3):
        colleagues.minute()
    assert colleagues.subjects(zoe) == ["Northwind: 39 Full licenses are free, fewer than 40"]
    bought(organization, full=used + 38)
    colleagues.minute()
    silent = DownloadRun.objects.create(
        profile=organization.profile, state="complete", started_by="command", lease_until=timezone.now()
    )
    colleagues.minute()
    silent.delete()
    colleagues.minute()
    assert len(colleagues.subjects(zoe)) == 1, "it did not rise above"
    bought(organization, full=used + 40)
    colleagues.minute()
    bought(organization, full=used + 1)
    colleagues.minute()
    assert colleagues.subjects(zoe)[1:] == ["Northwind: 1 Full license is free, fewer than 40"]
    bought(organization, full=used + 40)
    colleagues.minute()
    IntegrationProfile.objects.update(state="archived")
    bought(organization, full=used + 1)
    colleagues.minute()
    assert len(colleagues.subjects(zoe)) == 2, "nobody buys for an archived profile"


def test_a_floor_is_set_on_the_page_of_the_contract_and_shown_where_it_matters(organization, as_user):
    zoe, ada = person("zoe", "Company admin"), person("ada", "Auditor")
    bought(organization, full=held(organization) + 5)
    address = f"{reverse('admin:subscriptions_contract_floors')}?profile={organization.profile.pk}"
    assert as_user(ada).post(address, {"floor-full": "9"}).status_code == 403
    client = as_user(zoe)
    wrong = client.post(address, {"floor-full": "many"}).content.decode()
    assert "Enter a number, or leave it empty." in wrong
    answer = client.post(address, {"floor-full": "9"}, follow=True).content.decode()
    assert "The seat floors are saved." in answer
    profile_page = reverse("admin:integrations_integrationprofile_change", args=[organization.profile.pk])
    for shown in (reverse("admin:index"), profile_page):
        assert "5 free, fewer than 9" in client.get(shown).content.decode(), shown
    bought(organization, full=held(organization) + 50)
    assert "fewer than 9" not in client.get(reverse("admin:index")).content.decode()
    profile = " ".join(client.get(profile_page).content.decode().split())
    assert "A mail goes out when fewer than 9 are free. 50 are free now." in profile
    exported = client.get(reverse("admin:subscriptions_contract_export", args=["csv"]))
    lines = b"".join(exported.streaming_content).decode().splitlines()
    assert any(line.startswith("Full,") and line.endswith(",9") for line in lines)
    # A page from before the floor was set: what its reader has not changed stays.
    client.post(address, {"floor-full": "", "initial-floor-full": ""})
    assert SeatFloor.objects.get().seats == 9
    client.post(address, {"floor-full": "", "initial-floor-full": "9"})
    assert not SeatFloor.objects.exists()
    events = AuditEvent.objects.filter(action="seat_floor.set").order_by("sequence")
    assert [event.data["after"] for event in events] == [{"full": 9}, {"full": None}]


def test_a_floor_that_cannot_be_right_is_refused(organization, alice):
    for seats in (0, -1, 10**9):
        with pytest.raises(Refused, match="at least 1"):
            set_floors(organization.profile, {"full": seats}, actor=alice)
    assert not set_floors(organization.profile, {"full": None}, actor=alice)
