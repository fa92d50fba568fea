"""The page of the contract: enter it, what it shows with and without a history, and who may do what."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from decimal import Decimal

from django.utils import timezone

from licensehub.ui.formatting import day
from subscriptions.models import Contract, DownloadRun, NotificationMail, Per, RemovalCandidate, Subscription
from subscriptions.money.contracts import version_of
from subscriptions.money.prices import PriceInput, enter_price
from subscriptions.sweep import notify
from tests.support.people.organization import said
from tests.support.people.profile_states import ROLES

PAGE = "/admin/subscriptions/contract/"
EDIT = f"{PAGE}edit/"


def text(answer) -> str:
    page = answer.content.decode()
    return " ".join(re.sub("<[^>]*>", " ", page[page.index('<div class="lh-page') :]).split())


def good(**other) -> dict[str, str]:
    today = timezone.localdate()
    days = {"starts": -300, "renews_on": 98, "notice_by": 38}
    dates = {name: (today + timedelta(days=shift)).isoformat() for name, shift in days.items()}
    return {
        "license": "full",
        "seats": "20",
        "reference": "MR-20931",
        "true_up": "Each quarter",
        "seen": "none",
        **dates,
        **other,
    }


def weeks_of_downloads(organization, numbers: list[int]) -> None:
    for ago, count in enumerate(reversed(numbers)):
        at = timezone.now() - timedelta(weeks=ago)
        DownloadRun.objects.create(
            profile=organization.profile,
            state="complete",
            started_by="schedule",
            finished_at=at,
            lease_until=at,
            stats={"by_license": {"full": count}},
        )


def test_a_company_admin_enters_and_changes_it(organization, sign_in):
    client = sign_in("Company admin")
    assert "No contract is entered" in text(client.get(PAGE)) and EDIT in client.get(PAGE).content.decode()
    for values, sentence in (
        ({"seats": "4.000,5"}, "without a point"),
        ({"renews_on": "soon"}, "year-month-day"),
        ({"notice_by": "2099-01-01"}, "not after the renewal"),
    ):
        assert sentence in text(client.post(EDIT, good(**values)))
    assert not Contract.objects.exists()

    answer = client.post(EDIT, good())
    assert answer.status_code == 302 and "20 seats until" in said(answer)
    shown = text(client.get(PAGE))
    assert (
        "Order MR-20931" in shown
        and "Owner: nobody yet." in shown
        and "12 60.0% of bought, 8 free" in shown
        and "Each quarter" in shown
    )
    assert "needs at least 8 weeks" in shown and "Needed on" not in shown
    assert "meanwhile" in client.post(EDIT, good(seats="1")).content.decode()
    assert Contract.objects.get().seats == 20
    seen = version_of(Contract.objects.get())
    client.post(EDIT, good(seats="30", seen=seen))
    assert Contract.objects.get().seats == 30


def test_with_eight_weeks_it_says_how_many_seats_the_next_term_needs(organization, sign_in):
    client = sign_in("Company admin")
    client.post(EDIT, good())
    weeks_of_downloads(organization, [4, 5, 6, 7, 8, 9, 10, 11, 12])
    shown = client.get(f"{PAGE}?assume=none")
    assert shown.context["forecast"].seats == 12 + 14
    assert "More to buy" in text(shown) and "1.0 more seats a week" in text(shown)
    assert "More to buy 6 6 to 6 more" in text(shown)
    Contract.objects.update(seats=26)
    assert "0 to 0 fewer" in text(client.get(f"{PAGE}?assume=none"))
    everybody = client.get(f"{PAGE}?assume=all")
    assert everybody.context["forecast"].seats == 12 - 8 + 14 and "8 seats are taken back before" in text(everybody)
    assert client.get(f"{PAGE}?assume=x&profile=y").status_code == 200
    for person in Subscription.objects.filter(license="full").held()[:2]:
        Subscription.objects.filter(pk=person.pk).update(active=False)
    less = client.get(f"{PAGE}?assume=none").context
    assert (less["used"], less["forecast"].seats) == (10, 10 + 14), "two seats less since the last download"

    Contract.objects.update(
        starts=timezone.localdate() - timedelta(days=400),
        renews_on=timezone.localdate() - timedelta(days=1),
        notice_by=timezone.localdate() - timedelta(days=60),
    )
    over = text(client.get(PAGE))
    assert "Not in force" in over and "Needed on" not in over and "The renewal is over" in over


def test_a_band_on_both_sides_of_what_was_bought_is_more_to_fewer(organization, sign_in):
    client = sign_in("Company admin")
    client.post(EDIT, good())
    weeks_of_downloads(organization, [9, 12, 8, 13, 9, 14, 10, 12])
    shown = client.get(f"{PAGE}?assume=none")
    found = shown.context["forecast"]
    assert found.low < 20 < found.high
    assert f"{found.high - 20} more to {20 - found.low} fewer" in text(shown)


def test_savings_are_an_estimate_until_the_renewal(organization, sign_in, alice):
    client = sign_in("Company admin")
    savings = "/admin/subscriptions/price/savings/"
    price = PriceInput("full", Decimal(240), "USD", Per.YEAR, timezone.localdate())
    enter_price(organization.profile, price, actor=alice)
    assert "an estimate until" not in text(client.get(savings))
    client.post(EDIT, good())
    renewal = timezone.localdate() + timedelta(days=98)
    assert f"an estimate until the renewal on {day(renewal)}" in text(client.get(savings))
    Contract.objects.update(renews_on=timezone.localdate(), notice_by=timezone.localdate())
    assert "an estimate until" not in text(client.get(savings))


def test_the_reminders_name_the_people_who_got_them(organization, sign_in, alice):
    type(alice).objects.filter(pk=alice.pk).update(first_name="Alice", last_name="Ames")
    client = sign_in("Company admin")
    client.post(EDIT, good(owner=alice.pk))
    notify()
    [line] = [line for line in client.get(PAGE).context["reminders"] if line["is_sent"]]
    assert "Alice Ames (to be sent)" in line["text"]
    NotificationMail.objects.update(state="sent", sent_at=timezone.now())
    assert "To Alice Ames, company.admin" in text(client.get(PAGE))


def test_others_read_it(organization, sign_in):
    sign_in("Company admin").post(EDIT, good())
    for role in (*ROLES, ""):
        client = sign_in(role)
        assert client.get(PAGE).status_code == (403 if role in ("Operator", "") else 200), role
        assert client.get(EDIT).status_code == (200 if role == "Company admin" else 403)
        assert client.post(EDIT, good()).status_code == (200 if role == "Company admin" else 403)
    assert Contract.objects.count() == 1


def bought_as_miro_says(organization, seats: int) -> None:
    weeks_of_downloads(organization, [1])
    DownloadRun.objects.update(purchased={"full": seats})


def test_it_says_that_the_vendor_counts_another_number(organization, sign_in):
    """Otherwise the tiles and the table of one page contradict each other, and nobody knows why."""
    bought_as_miro_says(organization, 25)
    client = sign_in("Company admin")
    form = client.get(EDIT).content.decode()
    assert 'name="seats" value="25"' in form, "the known number need not be typed"
    client.post(EDIT, good(), follow=True)

    shown = text(client.get(PAGE))
    assert "The contract and Miro do not agree" in shown
    assert "Miro says that 25 Full licenses are bought, and this contract says 20." in shown

    DownloadRun.objects.update(purchased={"full": 20})
    assert "do not agree" not in text(client.get(PAGE))


def test_reminders_of_days_before_the_entry_did_not_fail(organization, sign_in):
    client = sign_in("Company admin")
    client.post(EDIT, good(), follow=True)
    shown = text(client.get(PAGE))
    assert shown.count("Not sent: the contract was entered or changed after this day") == 3  # 120, 90 and 60 days

    long_ago = timezone.now() - timedelta(days=200)
    Contract.objects.update(changed_at=long_ago)
    shown = text(client.get(PAGE))
    assert "after this day" not in shown and shown.count("Not sent") == 3


def test_each_number_of_candidates_opens_them(organization, sign_in):
    client = sign_in("Company admin")
    client.post(EDIT, good(), follow=True)
    page = html.unescape(client.get(PAGE).content.decode())
    numbers = dict(re.findall(r'href="(/admin/subscriptions/removalcandidate/\?[^"]*)">(\d+)<', page))
    assert sum(map(int, numbers.values())) == RemovalCandidate.objects.open().count() > 0
    for link, count in numbers.items():
        assert client.get(link).context["cl"].result_count == int(count), link
