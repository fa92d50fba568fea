"""The pages of the protected people: the list, the form, the end, and one form for chosen people."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from licensehub.audit.models import AuditEvent
from subscriptions.models import ActivitySnapshot, Protection, RemovalCandidate, Subscription
from subscriptions.rules.coverage import note_coverage
from subscriptions.rules.protections import ProtectionInput, create_protection, end_protection
from tests.support.people.organization import page, said
from tests.support.web.pages import text_of

WISH = ProtectionInput("On parental leave", "Petra Meyer")
LIST = page("protection", "changelist")
ADD = page("protection", "add")
PROTECT = page("protection", "protect")


def entries(organization, **changed) -> dict[str, str]:
    usual = {
        "profile": organization.profile.pk,
        "kind": "person",
        "value": "Person5@northwind.example",
        "reason": "On parental leave",
        "owner": "Petra Meyer",
        "ends_at": "",
    }
    return {**usual, **changed}


def row_of(number: int) -> Subscription:
    return Subscription.objects.get(email=f"person{number}@northwind.example")


def test_made_in_the_form(organization, alice, as_user):
    day = timezone.localdate() + timedelta(days=30)

    answer = as_user(alice).post(ADD, entries(organization, ends_at=day.isoformat()))

    assert answer.url == LIST
    assert "Protected: person5@northwind.example, which covers 1 person now." in said(answer)
    assert "1 person is no longer a removal candidate." in said(answer)
    made = Protection.objects.get()
    assert (made.value, made.created_by, timezone.localdate(made.ends_at)) == ("person5@northwind.example", alice, day)
    assert row_of(5).verdict == "protected"


WRONG = [
    ({"value": "person5"}, "is no e-mail address"),
    ({"value": "person5", "reason": ""}, "is no e-mail address"),
    ({"kind": "domain", "value": "x"}, "is no domain"),
    ({"kind": "license", "value": "gold"}, "is no license type that Northwind knows"),
    ({"reason": " "}, "Enter a reason."),
    ({"owner": ""}, "Name a person who can say"),
    ({"ends_at": "2020-01-01"}, "This end is in the past"),
    ({"ends_at": "soon"}, "Enter the day as year-month-day"),
    ({"profile": "99999"}, "Choose a profile"),
]


@pytest.mark.parametrize(("changed", "sentence"), WRONG)
def test_wrong_values_get_a_sentence_and_stay(organization, alice, as_user, changed, sentence):
    shown = text_of(as_user(alice).post(ADD, entries(organization, **changed)))

    assert sentence in shown
    assert "Person5@northwind.example" in shown or "value" in changed
    assert not Protection.objects.exists()


def test_the_same_twice_is_a_sentence(organization, alice, as_user):
    create_protection(organization.profile, "person", "person5@northwind.example", WISH, actor=alice)

    shown = text_of(as_user(alice).post(ADD, entries(organization)))

    assert "Protected already: person5@northwind.example, by alice, without an end." in shown
    assert Protection.objects.count() == 1


def test_the_list_counts_whom_each_covers(organization, alice, carol, as_user, django_assert_max_num_queries):
    create_protection(organization.profile, "person", "person5@northwind.example", WISH, actor=alice)
    create_protection(organization.profile, "domain", "northwind.example", WISH, actor=alice)
    create_protection(organization.profile, "license", "Full", WISH, actor=alice)

    client = as_user(carol)
    with django_assert_max_num_queries(24):
        shown = text_of(client.get(LIST))

    assert ">1 person</a>" in shown and shown.count(">12 people</a>") == 2
    assert "?q=person5%40northwind.example&amp;seat=held" in shown and "?license=full&amp;seat=held" in shown
    assert "On parental leave" in shown and "Petra Meyer" in shown and "In force" in shown
    assert "Add protection" not in shown


def test_tabs_filters_and_csv_show_the_same(organization, alice, bob, as_user):
    [first] = create_protection(organization.profile, "person", "person5@northwind.example", WISH, actor=alice).made
    create_protection(organization.profile, "domain", "northwind.example", WISH, actor=alice)
    end_protection(first, actor=alice)
    client = as_user(bob)

    ended = text_of(client.get(f"{LIST}?state__exact=ended"))
    assert "person5@northwind.example" in ended and "ended by alice on" in ended
    assert "person5@northwind.example" not in text_of(client.get(LIST))
    assert "No matching protections" in text_of(client.get(f"{LIST}?kind__exact=person"))
    csv = b"".join(client.get(page("protection", "export") + "?state__exact=ended")).decode()
    assert csv.count("\n") == 2 and "On parental leave,Petra Meyer" in csv and ",Ended," in csv


def test_ended_by_its_date(organization, alice, as_user):
    soon = ProtectionInput("Leave", "Petra", timezone.now() + timedelta(days=1))
    create_protection(organization.profile, "person", "person5@northwind.example", soon, actor=alice)
    Protection.objects.update(ends_at=timezone.now() - timedelta(minutes=5))

    assert "ended by its end date on" in text_of(as_user(alice).get(f"{LIST}?state__exact=ended"))


@pytest.mark.parametrize(
    ("query", "words"), [("", "Nobody is protected by hand"), ("?state__exact=ended", "Show protections in force")]
)
def test_empty(organization, alice, as_user, query, words):
    assert words in text_of(as_user(alice).get(LIST + query))


def test_end_it_after_being_asked(organization, alice, as_user):
    [made] = create_protection(organization.profile, "person", "person5@northwind.example", WISH, actor=alice).made
    client = as_user(alice)
    address = page("protection", "change", made.pk)
    shown = text_of(client.get(address))
    assert "End this protection…" in shown and "Yes, end it for 1 person" in shown and "Protection created" in shown

    end = page("protection", "end", made.pk)
    assert client.get(end).url == address and Protection.objects.in_force().exists()
    told = said(client.post(end))

    assert "has ended. 1 person changed verdict." in told and "next download" in told
    assert "has ended already" in said(client.post(end))
    shown = text_of(client.get(address))
    assert "End this protection" not in shown and "Protection ended" in shown
    assert row_of(5).verdict == "candidate"


@pytest.mark.parametrize(("who", "sees"), [("bob", 200), ("carol", 200), ("dave", 403)])
def test_who_only_reads(organization, alice, as_user, request, who, sees):
    [made] = create_protection(organization.profile, "person", "person5@northwind.example", WISH, actor=alice).made
    client = as_user(request.getfixturevalue(who))

    assert client.get(LIST).status_code == sees
    assert client.get(ADD).status_code == 403
    assert client.post(ADD, entries(organization, value="b@b.example")).status_code == 403
    assert client.post(page("protection", "end", made.pk)).status_code == 403
    assert client.post(PROTECT, {"subscription": row_of(6).pk}).status_code == 403
    assert client.post(page("protection", "delete", made.pk), {"post": "yes"}).status_code == 403
    assert Protection.objects.in_force().count() == 1


# --- Protect chosen people --------------------------------------------------------------------------------------------


def test_one_person_from_the_subscription(organization, alice, carol, as_user):
    client, row = as_user(alice), row_of(5)
    own = page("subscription", "change", row.pk)
    assert f'action="{PROTECT}"' in text_of(client.get(own))
    assert PROTECT not in text_of(as_user(carol).get(own))

    form = text_of(client.post(PROTECT, {"subscription": row.pk}))
    assert "Protect 1 person" in form and "Person 5" in form
    assert not Protection.objects.exists()
    answer = client.post(PROTECT, {"subscription": row.pk, "confirmed": "1", "reason": "Leave", "owner": "Petra"})

    assert answer.url == own and "Protected 1 person." in said(answer)
    shown = text_of(client.get(own))
    assert "Protected by alice, without an end: “Leave”. Ask Petra." in shown and PROTECT not in shown


def test_several_candidates_with_one_form(organization, alice, as_user):
    client = as_user(alice)
    ids = list(RemovalCandidate.objects.order_by("pk").values_list("pk", flat=True)[:3])
    create_protection(
        organization.profile,
        "person",
        RemovalCandidate.objects.get(pk=ids[0]).evidence["email"],
        WISH,
        actor=alice,
    )

    form = text_of(client.post(PROTECT, {"_selected_action": ids}))
    rows = Subscription.objects.filter(candidates__in=ids)
    assert "Protect 3 people" in form and all(f'name="subscription" value="{row.pk}"' in form for row in rows)
    chosen = {"subscription": [row.pk for row in rows], "confirmed": "1", "reason": "Audit", "owner": "Omar"}
    answer = client.post(PROTECT, chosen)

    assert answer.url == page("removalcandidate", "changelist")
    assert "Protected 2 people. 1 already had their own protection." in said(answer)
    assert "2 people are no longer removal candidates" in said(answer)
    assert set(rows.values_list("evaluation__verdict", flat=True)) == {"protected"}
    assert AuditEvent.objects.filter(action="protection.created").count() == 3
    assert "All of these people are protected already" in text_of(client.post(PROTECT, chosen))


def test_the_form_says_what_is_missing(organization, alice, as_user):
    shown = text_of(as_user(alice).post(PROTECT, {"subscription": row_of(5).pk, "confirmed": "1", "owner": "Omar"}))

    assert "Enter a reason." in shown and 'value="Omar"' in shown
    assert not Protection.objects.exists()


@pytest.mark.parametrize(
    "sent", [{}, {"subscription": "x"}, {"candidate": "9" * 30}, {"subscription": "1", "select_across": "1"}]
)
def test_nobody_chosen_is_a_sentence(organization, alice, as_user, sent):
    answer = as_user(alice).post(PROTECT, sent)

    assert "Select the people to protect" in said(answer)
    assert not Protection.objects.exists()


def test_a_get_does_nothing_and_the_sidebar_leads_there(organization, alice, as_user):
    client = as_user(alice)

    assert client.get(PROTECT).url == LIST
    assert f'href="{LIST}"' in text_of(client.get(reverse("admin:index")))


def test_a_renamed_person_is_shown_with_both_addresses(organization, alice, as_user):
    [made] = create_protection(organization.profile, "person", "person5@northwind.example", WISH, actor=alice).made
    create_protection(organization.profile, "person", "nobody@northwind.example", WISH, actor=alice)
    row = row_of(5)
    ActivitySnapshot.objects.create(subscription=row, run=organization.run, email=row.email)
    Subscription.objects.filter(pk=row.pk).update(email="pat.married@new.example")

    shown = text_of(as_user(alice).get(LIST))
    assert "person5@northwind.example" in shown and "now: pat.married@new.example" in shown
    assert "nobody@northwind.example" in shown and "not known at Miro yet" in shown
    shown = text_of(as_user(alice).get(page("protection", "change", made.pk)))
    assert "now: pat.married@new.example" in shown and row.external_id in shown and "Person 5" in shown
    shown = text_of(as_user(alice).get(page("subscription", "change", row.pk)))
    assert "person5@northwind.example → pat.married@new.example. The protection of this person stays" in shown


def test_protections_that_cover_nobody_any_more(organization, alice, carol, as_user):
    """The overview, the list, the page, the run and the request say it. A user confirms those that the page showed."""
    [made] = create_protection(organization.profile, "domain", "northwind.example", WISH, actor=alice).made
    Subscription.objects.update(email="somebody@new.example")
    organization.propose()
    assert note_coverage(organization.profile) == 1
    organization.propose()
    said_so, client = "1 protection covers nobody any more", as_user(alice)
    ready = RemovalCandidate.objects.filter(state="ready").values_list("pk", flat=True)
    ask = {"action": "request_reclaim", "index": "0", "_selected_action": [str(pk) for pk in ready[:2]]}

    assert said_so in text_of(client.get("/admin/"))
    assert said_so in text_of(client.get(LIST)) and "covered 12 people until" in text_of(client.get(LIST))
    assert said_so in text_of(client.get(page("downloadrun", "change", organization.run.pk)))
    assert said_so in text_of(client.post(page("removalcandidate", "changelist"), ask))
    assert "Covers nobody" in text_of(client.get(page("protection", "change", made.pk)))
    assert "contractor" not in text_of(client.get(f"{LIST}?state__exact=lost"))
    accept = page("protection", "accept_loss")
    assert as_user(carol).post(accept, {"protection": made.pk}).status_code == 403
    assert "I have looked" not in text_of(as_user(carol).get(LIST))
    client.get(accept)
    assert Protection.objects.lost().exists()
    answer = client.post(accept, {"protection": [made.pk, "x", "9" * 30]})
    assert "1 protection stays as it is." in said(answer)
    assert "seen already" in said(client.post(accept, {"protection": made.pk}))
    assert said_so not in text_of(client.get("/admin/")) and said_so not in text_of(client.get(LIST))


def test_several_are_ended_at_once(organization, alice, carol, as_user):
    wish = {"action": "end_selected", "index": "0", "select_across": "0"}
    for number in (5, 6, 7):
        create_protection(organization.profile, "person", f"person{number}@northwind.example", WISH, actor=alice)
    end_protection(Protection.objects.get(value="person5@northwind.example"), actor=alice)
    client, ids = as_user(alice), [str(row.pk) for row in Protection.objects.all()]

    asked = text_of(client.post(LIST, {**wish, "_selected_action": ids}))
    assert "End 2 protections" in asked and "They cover 2 people with a seat" in asked
    as_user(carol).post(LIST, {**wish, "_selected_action": ids, "confirmed": "2"})
    assert Protection.objects.in_force().count() == 2
    answer = client.post(f"{LIST}?state__in=in_force,lost,ended", {**wish, "_selected_action": ids, "confirmed": "2"})
    assert "Ended 2 protections. 1 had ended already. 2 people changed verdict." in said(answer)
    assert not Protection.objects.in_force().exists() and row_of(6).verdict == "candidate"
    assert AuditEvent.objects.filter(action="protection.ended").count() == 3
    assert 'name="_selected_action"' not in client.get(f"{LIST}?state__exact=ended").content.decode()


def test_people_without_a_plain_address_are_protected_with_the_others(organization, alice, as_user):
    """One has no address, and one has other letters than ASCII."""
    chosen = list(Subscription.objects.order_by("pk")[:10])
    Subscription.objects.filter(pk=chosen[3].pk).update(email="")
    Subscription.objects.filter(pk=chosen[7].pk).update(
        email="jörg@münchen.example", normalized_email="jörg@münchen.example"
    )

    answer = as_user(alice).post(
        PROTECT, {"subscription": [row.pk for row in chosen], "confirmed": "1", "reason": "On leave", "owner": "Petra"}
    )

    assert "Protected 10 people." in said(answer)
    assert {row.verdict for row in Subscription.objects.select_related("evaluation")} == {"protected", "candidate"}
    assert Subscription.objects.filter(evaluation__verdict="protected").count() == 10
    shown = text_of(as_user(alice).get(LIST))
    assert "Person 3" in shown and "jörg@münchen.example" in shown
