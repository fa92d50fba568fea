"""Money beside seats on the other pages, and seats alone where no price is known."""

from __future__ import annotations

import re
from datetime import date, timedelta
from decimal import Decimal

from django.urls import reverse
from django.utils import timezone

from integrations.models import IntegrationProfile
from subscriptions.approvals import decide
from subscriptions.models import Per, Reclaim, RemovalCandidate
from subscriptions.money.beside import seat_counts, yearly_cost
from subscriptions.money.prices import PriceInput, enter_price, withdraw_price
from tests.support.people.organization import page, questions, request_url, seen

LONG_AGO = date(2020, 1, 1)


def entered(profile, alice, amount: str, license: str = "full", currency: str = "USD", since: date = LONG_AGO):
    return enter_price(profile, PriceInput(license, Decimal(amount), currency, Per.YEAR, since), actor=alice)


def text(answer) -> str:
    return " ".join(re.sub("<[^>]*>", " ", answer.content.decode()).split())


def exported(client, model: str) -> list[str]:
    address = reverse(f"admin:subscriptions_{model}_export") + "?state__in=ready,queued,done"
    return b"".join(client.get(address).streaming_content).decode().splitlines()


def test_one_text_for_seats_of_all_kinds(organization, alice):
    profile = organization.profile
    seats = {(profile.pk, "full"): 3, (profile.pk, "free"): 5, (profile.pk, "basic"): 1, (profile.pk, "occasional"): 2}
    assert yearly_cost(seats) == ""
    entered(profile, alice, "0", "free")
    assert yearly_cost(seats) == "", "a free license is worth nothing"
    entered(profile, alice, "240")
    entered(profile, alice, "19.50", "basic", "EUR")
    assert yearly_cost(seats) == "€19.50 and $720 per year; 2 seats have no price"
    assert yearly_cost(seats, day=date(2019, 12, 31)) == ""
    assert seat_counts([RemovalCandidate.objects.filter(state="ready")]) == {(profile.pk, "full"): 8}


def test_the_way_of_a_seat_shows_what_it_costs(organization, alice, bob, as_user):
    client = as_user(alice)
    lists = [page("removalcandidate", "changelist"), page("reclaim", "changelist"), reverse("admin:index")]
    for address in lists:
        assert "$" not in text(client.get(address)), address
    before = questions(client, lists[0])
    entered(organization.profile, alice, "240")

    shown = client.get(lists[0])
    assert shown.content.decode().count('data-cost="240.00 USD"') == 8
    assert "Ready to request. $1,920 per year" in text(shown)
    chosen = list(RemovalCandidate.objects.filter(state="ready").values_list("pk", flat=True)[:3])
    confirm = client.post(lists[0], {"action": "request_reclaim", "index": 0, "_selected_action": chosen})
    assert "At the prices of today: $720 per year" in text(confirm)
    for number in range(50, 70):
        organization.hire(number, idle=200)
    organization.propose()
    assert questions(client, lists[0]) == before + 3, "the list asks nothing more for the money but that of the tab"
    assert "240.00,USD" in exported(client, "removalcandidate")[1]

    request = organization.ask(alice, count=3)
    decider = as_user(bob)
    assert "Saves per year $720 an estimate" in text(decider.get(page("reclaimrequest", "change", request.pk)))
    choices = text(decider.post(request_url("reject", request), {"comment": "Not now"}))
    assert "at once Potential savings as now" in choices
    assert "Potential savings $720 per year less until then" in choices
    assert choices.count("$720 per year less") == 2
    first = request.removals.first()
    dropping = text(decider.post(page("reclaimrequest", "drop", request.pk, first.pk), {"comment": "Not Ada"}))
    assert dropping.count("$240 per year less") == 2
    decider.post(request_url("approve", request), seen(request))
    request.refresh_from_db()
    assert request.state == "approved"
    Reclaim.objects.update(state="done", finished_at=request.decided_at)
    RemovalCandidate.objects.filter(state="awaiting_revocation").update(state="closed_complete")
    assert "Saves per year $720 at the prices of the day" in text(
        decider.get(page("reclaimrequest", "change", request.pk))
    )
    assert sum("240.00,USD" in line for line in exported(client, "reclaim")) == 3
    assert text(client.get(lists[1])).count("$240 per year") == 3


def test_the_preview_of_a_rule_says_what_the_inactive_seats_cost(organization, alice, as_user):
    address = page("reclaimrule", "preview", organization.rule.pk)
    client = as_user(alice)
    assert "$" not in text(client.get(address))
    entered(organization.profile, alice, "240")
    assert "$1,920 per year" in text(client.get(address))
    assert "$960 per year" in text(client.get(f"{address}?last_activity_threshold=108"))


def test_a_later_price_changes_nothing_that_was_decided(organization, alice, bob, as_user):
    request = organization.ask(alice, count=2)
    decide.approve(request, actor=bob)
    entered(organization.profile, alice, "240")
    request.refresh_from_db()
    entered(organization.profile, alice, "500", since=date(request.decided_at.year + 1, 1, 1))
    assert "Saves per year $480" in text(as_user(bob).get(page("reclaimrequest", "change", request.pk)))


def line_of(row: RemovalCandidate, client) -> str:
    """The row of the list for this candidate."""
    shown = client.get(page("removalcandidate", "changelist")).content.decode()
    [line] = re.findall(rf'value="{row.pk}".*?</tr>', shown, re.DOTALL)
    return str(line)


def test_the_list_has_the_price_that_the_ledger_has(organization, alice, as_user):
    """For the next profile of the organization, a price per month, one of the future, and a withdrawn one."""
    old = organization.profile
    IntegrationProfile.objects.filter(pk=old.pk).update(state="archived")
    new = IntegrationProfile.objects.create(name="Next", organization_id=old.organization_id, kind=old.kind)
    other = IntegrationProfile.objects.create(name="Labs", organization_id="4711", kind=old.kind)
    today = timezone.localdate()
    enter_price(old, PriceInput("full", Decimal("19.50"), "USD", Per.MONTH, LONG_AGO), actor=alice)
    entered(old, alice, "0", "free")
    entered(new, alice, "300", since=today + timedelta(days=1))
    withdraw_price(entered(new, alice, "1", since=today), reason="Typing", actor=alice)
    row = RemovalCandidate.objects.filter(state="ready").first()
    for profile, expected in ((old, True), (new, True), (other, False)):
        RemovalCandidate.objects.filter(pk=row.pk).update(profile=profile)
        assert ('data-cost="234.00 USD"' in line_of(row, as_user(alice))) is expected
    RemovalCandidate.objects.filter(pk=row.pk).update(profile=old, evidence={**row.evidence, "license": "free"})
    assert "data-cost" not in line_of(row, as_user(alice)), "a free license is worth nothing"


def test_the_overview_has_a_card_with_the_three_steps(organization, alice, as_user, sign_in):
    shown = text(as_user(alice).get(reverse("admin:index")))
    assert "Savings seats" in shown and "A company admin can enter a price" in shown
    assert page("price", "add") in sign_in("Company admin").get(reverse("admin:index")).content.decode()
    entered(organization.profile, alice, "240")
    shown = text(as_user(alice).get(reverse("admin:index")))
    assert "Potential 8 seats if all of them were reclaimed $1,920" in shown and "Verified 0 seats" in shown
    other = RemovalCandidate.objects.filter(state="ready").first()
    RemovalCandidate.objects.filter(pk=other.pk).update(evidence={**other.evidence, "license": "standard"})
    shown = text(as_user(alice).get(reverse("admin:index")))
    assert "Potential 8 seats if all of them were reclaimed; 1 of them has no price $1,680" in shown
    assert "Savings" not in text(sign_in("Operator").get(reverse("admin:index")))


def test_the_script_of_the_bulk_bar_gets_the_decimals_of_the_currency(organization, alice, as_user):
    entered(organization.profile, alice, "12.345", "full", "KWD")
    row = RemovalCandidate.objects.filter(state="ready").first()
    assert 'data-cost="12.345 KWD"' in line_of(row, as_user(alice))
