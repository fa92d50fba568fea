"""The setup on the overview: each step reads the data, shows what broke again, and ends when a seat is verified."""

from __future__ import annotations

from django.contrib.auth.models import Group, User
from django.urls import reverse
from django.utils import timezone

from integrations.credentials import credential_store
from integrations.models import AccountScope, Connection, IntegrationProfile
from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.models import DownloadRun, Reclaim, ReclaimRequest, RemovalCandidate
from subscriptions.profiles import lifecycle
from subscriptions.reclaims.engine import reclaim_due
from tests.support.fixtures import World, in_effect
from tests.support.web.pages import text_of

INDEX = "admin:index"


def steps_of(client) -> dict[str, str]:
    """The title of each step -> its state."""
    return {step.title: step.state.value for step in client.get(reverse(INDEX)).context["set_up"].steps}


def states(client) -> list[str]:
    return list(steps_of(client).values())


def step(client, number: int):
    return client.get(reverse(INDEX)).context["set_up"].steps[number - 1]


def labels(client, number: int) -> list[str]:
    return [button.label for button in step(client, number).buttons]


def test_an_installation_without_a_profile_begins_with_the_first_step(sign_in):
    admin, auditor = sign_in("Company admin"), sign_in("Auditor")
    assert steps_of(admin) == {
        "Connect Miro": "next",
        "Test the connection": "later",
        "Publish the profile": "later",
        "Invite a second person": "next",
        "File the first request": "later",
    }
    page = text_of(admin.get(reverse(INDEX)))
    assert "0 of 5 done" in page and "Worth doing today" in page and "Name the company" in page
    assert labels(admin, 1) == ["New integration profile"] and step(admin, 1).ask == ""
    approver = Group.objects.get(name="Approver").pk
    assert step(admin, 4).ask == ""
    assert [name for _, name in admin.get(reverse(INDEX)).context["set_up"].roles][:2] == ["Approver", "Auditor"]
    german = admin.get(reverse(INDEX), headers={"accept-language": "de"}).context["set_up"].roles
    assert [name for _, name in german][:2] == ["Genehmiger", "Prüfer"]
    entries = {"first_name": "Bea", "last_name": "Ott", "email": "bea@x.example", "groups": approver}
    assert all(f'name="{name}"' in page for name in entries) and 'action="/admin/auth/user/add/"' in page
    assert admin.post("/admin/auth/user/add/", entries).status_code == 302
    assert User.objects.get(email="bea@x.example").groups.get().pk == approver
    assert step(admin, 4).text == "Bea Ott was invited and has not signed in yet."

    assert (labels(auditor, 1), step(auditor, 1).ask) == ([], "Ask company.admin.")
    assert (labels(auditor, 4), step(auditor, 4).ask) == ([], "Ask company.admin.")
    assert "Worth doing today" not in text_of(auditor.get(reverse(INDEX)))


def test_connect_test_and_publish_follow_each_other_and_show_what_broke(draft, sign_in):
    client, approver = sign_in("Operator"), sign_in("Approver")
    assert states(client)[:3] == ["next", "later", "later"]
    assert labels(client, 1) == ["Set up OAuth app", "Set up SCIM API token"]
    assert (labels(approver, 1), step(approver, 1).ask) == ([], "Ask operator.")

    Connection.objects.update(state="untested", fingerprint="abc")
    assert states(client)[:3] == ["done", "next", "later"]
    assert labels(client, 2) == ["Validate connection"] and labels(approver, 2) == []
    refused = {
        "level": "error",
        "title": "SCIM API token",
        "detail": "Miro refused it (401).",
        "next_step": "Copy it again.",
        "slot": "scim",
        "steps": ["Open the company settings.", "Copy the token."],
    }
    profiles = IntegrationProfile.objects.filter(pk=draft.pk)
    profiles.update(validated_at=timezone.now(), findings=[refused])
    assert states(client)[:3] == ["done", "failed", "later"]
    shown = step(client, 2)
    assert shown.text == "SCIM API token. Miro refused it (401). Copy it again."
    assert (shown.details, labels(client, 2)) == (
        tuple(refused["steps"]),
        ["Open the connection", "Validate connection"],
    )
    assert shown.buttons[0].link.endswith(f"/{Connection.objects.get(slot='scim').pk}/change/")
    assert "Does not work" in text_of(approver.get(reverse(INDEX)))

    profiles.update(findings=[{**refused, "level": "ok"}])
    Connection.objects.update(state="working")
    assert states(client)[:3] == ["done", "done", "next"]
    assert labels(client, 3) == ["Publish"] and step(approver, 3).ask == "Ask operator."
    assert client.post(step(client, 3).buttons[0].action).status_code == 302
    assert states(client)[:3] == ["done", "done", "waiting"]
    assert "data-lh-live" in client.get(reverse(INDEX)).content.decode()

    # The connection breaks again after everything was done.
    Connection.objects.filter(slot="rest").update(state="error", error="The app was uninstalled.")
    assert (states(client)[1], step(client, 2).text) == ("failed", "The app was uninstalled.")
    stored = "Connect again, and pick a team of the organization 12; or make a profile for the other one."
    Connection.objects.filter(slot="rest").update(error=stored)
    german = text_of(client.get(reverse(INDEX), headers={"accept-language": "de"}))
    assert "Organisation 12" in german and "Connect again" not in german
    Connection.objects.update(state="working", error="")
    lifecycle.pause(IntegrationProfile.objects.get(), actor=None)
    assert (states(client)[2], labels(client, 3)) == ("failed", ["Unpause"])


def test_a_refused_token_is_replaced_and_tested_in_its_step(world: World, sign_in):
    """The sandbox refuses the wrong token and takes the right one. An OAuth app has several values, and a page."""
    admin, url = sign_in("Company admin"), reverse(INDEX)
    Connection.objects.update(state="working", error="")
    validate = reverse("admin:integrations_integrationprofile_validate", args=[world.profile.pk])
    credential_store.set_credentials(world.profile, "scim", {"token": "wrong"}, actor=None)
    sign_in("Operator").post(validate)
    found = step(admin, 2)
    assert (states(admin)[1], found.secret.name) == ("failed", "scim__token")
    assert step(sign_in("Auditor"), 2).secret is None
    page = admin.get(url).content.decode()
    assert "Store and test again" in page and "wrong" not in page

    def store(client, token: str):
        return client.post(found.secret.action, {found.secret.name: token, "test": ""}, follow=True)

    assert sign_in("Auditor").post(found.secret.action, {found.secret.name: "x", "test": ""}).status_code == 403
    again = store(admin, "also wrong")
    assert again.redirect_chain[-1][0] == url and states(admin)[1] == "failed"
    assert "were made with real calls" in text_of(again)
    assert states(admin)[1] == "failed" and "Nothing was changed" in text_of(store(admin, ""))
    assert "were made with real calls" in text_of(store(admin, world.sandbox.world.secrets["scim_token"]))
    assert states(admin)[1] == "done"

    Connection.objects.filter(slot="rest").update(state="error", error="The app was uninstalled.")
    assert (states(admin)[1], step(admin, 2).secret) == ("failed", None)


def test_the_first_download_belongs_to_publishing(published, sign_in):
    client = sign_in("Operator")
    run = DownloadRun.objects.create(profile=published, started_by="schedule", lease_until=timezone.now(), read=1240)
    page = text_of(client.get(reverse(INDEX)))
    assert states(client)[2] == "waiting" and "1,240 members" in page and 'data-lh-live="run"' in page
    DownloadRun.objects.update(
        state="quarantined", problem="Half of the members are missing.", finished_at=run.started_at
    )
    assert states(client)[2] == "failed" and labels(client, 3) == [f"Open {run.number}"]
    assert step(client, 3).text == "The first download is quarantined. Half of the members are missing."


def test_a_second_person_is_there_when_one_can_ask_and_another_can_decide(run, sign_in):
    admin = sign_in("Company admin")
    assert states(admin)[3] == "next", "one account may do both, and nobody approves their own request"
    assert states(admin)[4] == "later"
    other = User.objects.create_user("bea", email="bea@x.example", is_staff=True, first_name="Bea", last_name="Ott")
    other.groups.add(Group.objects.get(name="Approver"))
    other.set_unusable_password()
    other.save()
    assert (states(admin)[3], step(admin, 4).text) == ("waiting", "Bea Ott was invited and has not signed in yet.")
    User.objects.filter(pk=other.pk).update(last_login=timezone.now())
    assert states(admin)[3] == "waiting"
    assert "Bea Ott may not decide yet: a second admin has to confirm this right" in step(admin, 4).text
    in_effect(other)
    assert (states(admin)[3], states(admin)[4]) == ("done", "next")
    profile = IntegrationProfile.objects.get()
    elsewhere = IntegrationProfile.objects.create(name="Northwind US", kind=profile.kind, organization_id="3074457999")
    scope = AccountScope.objects.create(user=other)
    scope.profiles.set([elsewhere])
    assert states(admin)[3] == "next", "an Approver of another profile decides nothing here"
    scope.profiles.set([profile])
    assert states(admin)[3] == "done"
    elsewhere.delete()
    assert labels(admin, 5) == ["Go to 5 candidates"]
    assert "Send invitation" not in text_of(admin.get(reverse(INDEX)))
    IntegrationProfile.objects.update(state="paused")
    assert (states(admin)[2], states(admin)[4]) == ("failed", "later"), "nothing is requested from a paused profile"
    IntegrationProfile.objects.update(state="published")
    Group.objects.get(name="Approver").user_set.set(User.objects.all())
    Group.objects.get(name="Company admin").user_set.clear()
    in_effect(User.objects.get(username="company.admin"))
    assert states(admin)[3] == "next", "two who may decide, and nobody who may ask"
    Group.objects.get(name="Company admin").user_set.add(User.objects.get(username="company.admin"))
    User.objects.filter(pk=other.pk).update(email="Company.Admin+2@x.example")
    assert states(admin)[3] == "next", "two accounts with one mailbox are one person"
    User.objects.filter(pk=other.pk).update(email="")
    assert states(admin)[3] == "next", "without an address LicenseHub cannot tell whose seat is whose"


def test_the_request_is_followed_until_a_seat_is_verified(world: World, alice, bob, sign_in, client):
    world.download()
    IntegrationProfile.objects.update(validated_at=timezone.now(), findings=[])
    client.force_login(alice)
    page = text_of(client.get(reverse(INDEX)))
    assert "4 of 5 done" in page and "Assigned" in page, "the numbers stand below the steps"
    request = request_reclaim(world.candidates(2), actor=alice)
    assert (
        states(client)[4] == "waiting" and step(client, 5).text == f"{request} waits for a decision by {bob.username}."
    )
    assert labels(client, 5) == [f"Open {request}"]
    assert step(sign_in("Operator"), 5).text == "A request is under way.", "an operator may not see requests"
    ReclaimRequest.objects.update(state="collecting")
    assert (states(client)[4], step(client, 5).text) == (
        "waiting",
        f"{request} waits for the answers of the people who were asked.",
    )
    ReclaimRequest.objects.update(state="open")
    # Nobody is left who may decide, so the step is broken again.
    User.objects.filter(pk=bob.pk).update(is_active=False)
    assert states(client)[4] == "failed" and "Invite a person who may" in step(client, 5).text
    User.objects.filter(pk=bob.pk).update(is_active=True)

    decide.approve(request, actor=bob)
    assert (states(client)[4], step(client, 5).text) == ("waiting", f"{request} is approved and is being sent.")
    Reclaim.objects.update(hold_reason="window")
    assert step(client, 5).text == f"{request} is approved and waits: Outside of the reclaim window."
    for state, said in (
        ("in_doubt", f"{request} was sent, and nothing is verified: look at what the vendor answered."),
        ("failed", f"{request} was sent, and nothing is verified: look at what the vendor answered."),
        ("skipped", f"Nobody of {request} had to be reclaimed: they were active again, or left out."),
    ):
        Reclaim.objects.update(hold_reason="", state=state)
        assert states(client)[4] == "failed" and step(client, 5).text.startswith(said), state
    Reclaim.objects.update(state="done", direction="reactivate")
    assert client.get(reverse(INDEX)).context["set_up"] is not None, "a restore is no reclaim"
    Reclaim.objects.update(state="queued", direction="deactivate")
    reclaim_due(world.profile)
    assert Reclaim.objects.filter(state="done").exists()
    assert client.get(reverse(INDEX)).context["set_up"] is None
    assert "Set up LicenseHub" not in text_of(client.get(reverse(INDEX)))

    # The first download of another profile follows by itself, too.
    other = lifecycle.create_profile(name="Second", organization_id="43", kind="miro_enterprise", actor=None)
    DownloadRun.objects.create(profile=other, started_by="schedule", lease_until=timezone.now(), read=7)
    page = text_of(client.get(reverse(INDEX), {"profile": other.pk}))
    assert "The first download is running" in page and 'data-lh-live="run"' in page


def test_a_request_that_ended_without_a_reclaim_asks_for_another(run, sign_in):
    admin = sign_in("Company admin")
    asks = User.objects.get(username="company.admin")
    other = User.objects.create_user("bea", "bea@x.example", "a long password", is_staff=True)
    other.groups.add(Group.objects.get(name="Approver"))
    in_effect(other)
    request = request_reclaim(RemovalCandidate.objects.all(), actor=asks)
    ReclaimRequest.objects.update(state="expired")
    RemovalCandidate.objects.update(state="ready")
    assert states(admin)[4] == "next"
    assert step(admin, 5).text.startswith(f"{request} ended without a reclaim (expired). Pick candidates")
    RemovalCandidate.objects.update(state="closed_skipped")
    assert step(admin, 5).text.startswith("Nobody is a candidate by the rule now.")
    assert labels(admin, 5) == ["Open the rules"]
