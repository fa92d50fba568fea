"""Apply a file: all or nothing, by a person with their token, with the rules of the screens."""

from __future__ import annotations

import copy
from datetime import date
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from integrations.models import IntegrationProfile, Webhook
from licensehub.audit.models import AuditEvent
from licensehub.configuration.apply import CannotApply, apply, caller_of
from licensehub.configuration.document import as_yaml, dump, plan_of
from licensehub.configuration.reading import Wrong, read_text
from licensehub.database.clock import database_now
from licensehub.sign_in.models import ApiToken
from subscriptions.accounts import rights
from subscriptions.models import Per, Price, Protection, ReclaimRule, RightsChange, Subscription
from subscriptions.money.prices import PriceInput, enter_price
from subscriptions.rules.protections import ProtectionInput, create_protection
from subscriptions.schedules.schedules import ensure_schedules
from tests.support.configuration import applied, differences
from tests.support.people.organization import Organization, limited_to
from tests.support.servers.webhooks import stored_webhook

SETTINGS = settings(
    max_examples=25,
    phases=[Phase.generate],
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def whole(organization: Organization, alice: User) -> Organization:
    """With something of each section."""
    profile = organization.profile
    ensure_schedules(profile)
    wish = ProtectionInput("Contract", "Sam")
    create_protection(profile, "person", "person7@northwind.example", wish, actor=alice)
    create_protection(profile, "person", "later@northwind.example", wish, actor=alice)
    create_protection(profile, "domain", "contractor.example", wish, actor=alice)
    create_protection(profile, "license", "full", wish, actor=alice)
    enter_price(profile, PriceInput("full", Decimal("192.00"), "USD", Per.YEAR, date(2026, 1, 1)), actor=alice)
    stored_webhook(name="Channel")
    return organization


def test_a_dump_differs_in_nothing_and_has_no_secret(whole, carol):
    found = dump()
    assert differences(found) == [] and as_yaml(dump()) == as_yaml(found)
    northwind = found["profiles"]["Northwind"]
    assert {"rule", "schedules", "prices", "protections"} <= set(northwind) and "connections" not in northwind
    assert {one["kind"] for one in northwind["protections"]} == {"person", "domain", "license"}
    assert found["accounts"]["carol"] == {
        "roles": ["Company admin", "License manager", "Operator"],
        "profiles": "all",
    }


@SETTINGS
@given(data=st.data())
def test_a_dump_of_hostile_names_differs_in_nothing(whole, carol, data):
    text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40)
    name = data.draw(text.filter(lambda one: one.isprintable() and one.strip()))
    IntegrationProfile.objects.update(name=name)
    Protection.objects.update(reason=data.draw(text), owner=data.draw(text))
    Protection.objects.filter(kind="domain").update(value=data.draw(text))
    User.objects.filter(pk=carol.pk).update(username=data.draw(text))
    Webhook.objects.update(name=name)
    assert differences(dump()) == []


def test_each_section_is_applied_and_recorded(whole, admin, carol, bob, alice):
    wanted = copy.deepcopy(dump())
    northwind = wanted["profiles"].pop("Northwind")
    wanted["profiles"]["Northwind EU"] = northwind
    northwind["reclaim"] = False
    northwind["rule"] |= {"last_activity_threshold": 45, "by_license": {"full": 90}}
    northwind["schedules"]["download"] |= {"at": "03:30", "days": ["mon", "sun"], "zone": "Europe/Berlin"}
    northwind["schedules"]["reclaim"] |= {"from": "22:00", "to": "06:00", "enabled": False}
    northwind["prices"][0]["amount"] = "200.50"
    added = {"kind": "domain", "value": "new.example", "reason": "New", "owner": "Kim", "ends": "2099-01-31"}
    northwind["protections"].insert(1, added)
    wanted["accounts"] = {"alice": {"roles": ["License manager", "Approver"]}}
    caller = admin()
    before = AuditEvent.objects.order_by("sequence").last().sequence
    assert len(applied(wanted, caller)) == 8
    again = dump()
    assert differences(wanted) == [] and again["profiles"]["Northwind EU"] == northwind
    events = AuditEvent.objects.filter(sequence__gt=before)
    assert {"profile.changed", "rule.changed", "profile.schedule_changed", "price.entered", "price.withdrawn"} <= {
        event.action for event in events
    }
    acts = [event for event in events if event.actor_id]
    assert {(event.actor_name, event.data["token"]) for event in acts} == {("carol", caller.token.pk)}
    # The right of an approver waits as on the screen.
    assert RightsChange.objects.waiting().filter(account=alice).exists()
    assert not rights.deciders().filter(pk=alice.pk).exists()
    assert ReclaimRule.objects.get().evaluation_due_at is not None


def test_one_refusal_takes_everything_back(whole, admin, alice):
    """Control: without `transaction.atomic` the threshold is changed."""
    wanted = copy.deepcopy(dump())
    wanted["profiles"]["Northwind"]["rule"]["last_activity_threshold"] = 45
    wanted["accounts"] = {"alice": {"roles": ["Company admin", "Approver"]}}
    caller = admin()
    before = (AuditEvent.objects.count(), ReclaimRule.objects.values().get())
    with pytest.raises(Wrong, match=r"x:\d+:\d+: One account cannot both decide and administer"):
        applied(wanted, caller)
    assert (AuditEvent.objects.count() - before[0], ReclaimRule.objects.values().get()) == (0, before[1])


def test_each_mistake_is_shown_with_its_place_and_nothing_is_applied(whole, admin):
    text = (
        as_yaml(dump()).replace("last_activity_threshold: 60", "last_activity_threshold: 0").replace("02:00", "25:99")
    )
    text = text.replace("currency: USD", "currency: USD\n      colour: red").replace("reclaim: true", "reclaim: false")
    plan = apply(read_text(text, "x"), admin(), prune=False)
    lines = text.splitlines()
    assert len(plan.mistakes) == 3
    for mistake in plan.mistakes:
        assert any(word in lines[mistake.place.line - 1] for word in ("last_activity_threshold", "25:99", "colour"))
    assert IntegrationProfile.objects.get().reclaim_enabled is True


def test_nothing_ends_because_a_file_lacks_it(whole, admin):
    """A protection that somebody made on the screen keeps a person's seat. Control: with `do = end` it is ended."""
    wanted = dump()
    wanted["profiles"]["Northwind"]["protections"] = []
    assert len(applied(wanted, admin())) == 4 and Protection.objects.in_force().count() == 4
    assert len(differences(wanted)) == 4
    applied(wanted, admin(), prune=True)
    assert Protection.objects.in_force().count() == 0 and differences(wanted) == []


def test_a_person_is_an_id_and_not_an_address(whole, admin):
    """person7 gets another address, and somebody else gets the old one."""
    seven = Subscription.objects.get(email="person7@northwind.example")
    wanted = dump()
    listed = wanted["profiles"]["Northwind"]["protections"]
    mine = next(one for one in listed if one.get("id") == seven.external_id)
    Subscription.objects.filter(pk=seven.pk).update(email="new-name@northwind.example")
    other = Subscription.objects.get(email="person8@northwind.example")
    Subscription.objects.filter(pk=other.pk).update(email="person7@northwind.example")
    # With the id, the same person is meant; without it, nobody can say who.
    assert differences(wanted) == []
    del mine["id"]
    with pytest.raises(Wrong, match="was the address of somebody else"):
        applied(wanted, admin())
    mine["id"] = other.external_id
    mine["reason"] = "The new owner of the address"
    applied(wanted, admin())
    ids = set(Protection.objects.in_force().filter(kind="person").values_list("external_id", flat=True))
    assert ids == {seven.external_id, other.external_id, ""}
    mine["id"] = "nobody"
    with pytest.raises(Wrong, match="Nobody has the id"):
        applied(wanted, admin())


def test_an_account_is_a_username_and_not_an_address(whole, admin, alice, bob):
    User.objects.filter(pk=alice.pk).update(email="old@northwind.example")
    User.objects.filter(pk=bob.pk).update(email="new@northwind.example")
    with pytest.raises(Wrong, match="Do you mean “bob”"):
        applied({"licensehub": 1, "accounts": {"new@northwind.example": {"roles": []}}}, admin())


def test_another_organization_with_the_same_name_is_refused(whole, admin):
    wanted = dump()
    wanted["profiles"]["Northwind"]["organization_id"] = "999"
    with pytest.raises(Wrong, match="one of another organization"):
        applied(wanted, admin())


def test_a_new_profile_is_a_draft(whole, admin):
    wanted = {"licensehub": 1, "profiles": {"Contoso": {"kind": "miro_enterprise", "rule": {"new_joiner_grace": 5}}}}
    assert [line[0] for line in applied(wanted, admin())] == ["+", "!"]
    assert IntegrationProfile.objects.get(name="Contoso").state == "draft"
    assert [line[0] for line in applied(wanted, admin())] == ["!"]


def test_who_applies_is_a_person_with_a_fresh_token_and_the_rights(whole, program, alice, carol):
    """Control: without `refuse_without_proof` the second one applies."""
    wanted = dump()
    wanted["profiles"]["Northwind"]["reclaim"] = False
    for text in ("", "lh_wrong", "carol"):
        with pytest.raises(CannotApply, match="not valid"):
            caller_of(text)
    with pytest.raises(CannotApply, match="second factor"):
        caller_of(program(carol, "Company admin", factor_at=None).text)
    over = program(carol, "Company admin")
    ApiToken.objects.filter(pk=over.token.pk).update(expires_at=database_now())
    with pytest.raises(CannotApply, match="This token has expired"):
        caller_of(over.text)
    with pytest.raises(Wrong, match="does not have the right integrations"):
        applied(wanted, caller_of(program(alice).text))
    limited_to(carol)
    assert IntegrationProfile.objects.get().reclaim_enabled is True


VALUES: list[Any] = [None, "x", "0", "-1", "1e9", "9" * 30, "true", [], {}, ["x"], {"x": "y"}, "\u202e", "[]", [[]]]
GARBAGE = st.sampled_from(VALUES)


@SETTINGS
@given(data=st.data())
def test_garbage_in_a_file_is_a_mistake_with_a_place_and_writes_nothing(whole, carol, data):
    """Any value of a right file is replaced by anything."""
    found: Any = copy.deepcopy(dump())
    for _ in range(data.draw(st.integers(1, 4))):
        inner: Any = found
        while True:
            keys = list(inner) if isinstance(inner, dict) else list(range(len(inner)))
            key = data.draw(st.sampled_from(keys))
            if not isinstance(inner[key], dict | list) or not inner[key] or data.draw(st.integers(0, 3)) == 0:
                # A copy: the next turn may change a part of it.
                inner[key] = copy.deepcopy(data.draw(GARBAGE))
                break
            inner = inner[key]
        if not isinstance(found, dict) or not found:
            break
    counts = (AuditEvent.objects.count(), Price.objects.count(), Protection.objects.count())
    plan = plan_of(read_text(as_yaml(found), "x"), prune=True)
    assert all(str(mistake).startswith("x:") for mistake in plan.mistakes)
    assert (AuditEvent.objects.count(), Price.objects.count(), Protection.objects.count()) == counts


def test_the_commands_have_exit_codes(whole, tmp_path, program, carol, monkeypatch):
    file, out = tmp_path / "licensehub.yaml", StringIO()
    call_command("dump", stdout=out)
    file.write_text(out.getvalue())
    call_command("apply", str(file), "--plan", stdout=out)
    assert "Nothing differs." in out.getvalue()
    file.write_text(out.getvalue().partition("Nothing differs")[0].replace("reclaim: true", "reclaim: false"))
    with pytest.raises(SystemExit) as differs:
        call_command("apply", str(file), "--plan", stdout=out)
    assert differs.value.code == 7 and "~ Northwind: reclaim: true → false" in out.getvalue()
    monkeypatch.delenv("LICENSEHUB_TOKEN", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(CommandError) as none:
        call_command("apply", str(file), stdout=out)
    assert none.value.returncode == 2 and "There is no token" in str(none.value)
    monkeypatch.setenv("LICENSEHUB_TOKEN", program(carol, "License manager").text)
    with pytest.raises(CommandError) as refused:
        call_command("apply", str(file), stdout=out)
    assert refused.value.returncode == 3 and str(refused.value).startswith(f"{file}:")
    monkeypatch.setenv("LICENSEHUB_TOKEN", program(carol, "Company admin").text)
    call_command("apply", str(file), stdout=out)
    assert "Differences that were applied: 1." in out.getvalue()
    file.write_text("licensehub: 2\nprofiles: []\n")
    with pytest.raises(CommandError) as broken:
        call_command("apply", str(file), "--plan", stdout=out)
    assert broken.value.returncode == 2 and f"{file}:1:13: “2” is not known here." in str(broken.value)
