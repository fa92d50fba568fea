"""Which acts ask who it is again. A new address that takes a POST fails this test until somebody has decided."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.urls import URLPattern, get_resolver, reverse

from licensehub.audit.models import AuditEvent
from licensehub.sign_in import step_up
from licensehub.site.step_up_acts import ACTS
from subscriptions.models import RequestState
from tests.support.people.organization import seen
from tests.support.web.pages import text_of
from tests.support.web.visitor import Visitor, password_of

# Addresses of the admin that do something, and no act of this kind: each was decided.
DECIDED_NO = {
    # These send nothing to the vendor, or another person decides afterwards.
    *(f"subscriptions_reclaimrequest_{name}" for name in ("reject", "withdraw", "drop", "take_back", "take_back_in")),
    *(f"subscriptions_removalcandidate_{name}" for name in ("resume", "leave", "came_back", "send_again")),
    *(f"subscriptions_persontoreview_{name}" for name in ("keep", "candidates", "ask", "protect", "look_up")),
    *(f"subscriptions_protection_{name}" for name in ("protect", "protect_many", "accept_loss", "end")),
    *("subscriptions_reclaim_restore", "subscriptions_reclaim_vendor_log", "subscriptions_reconciliation_reconcile"),
    *("subscriptions_subscription_request", "subscriptions_price_withdraw"),
    *(f"integrations_integrationprofile_{name}" for name in ("action", "validate", "archive", "schedule")),
    "integrations_connection_disconnect",
    # Only what was written before, to the address that it had.
    *(f"integrations_webhook_{name}" for name in ("action", "replay", "replay_period")),
    # Look at the installation, and send a mail to oneself.
    *("integrations_checkresult_doctor", "integrations_checkresult_mail"),
    # Less is possible afterwards.
    *("subscriptions_rightschange_refuse", "subscriptions_rightschange_withdraw"),
    # Choices of the own account, and texts.
    *(f"subscriptions_notificationchoice_{name}" for name in ("save", "time_zone", "language", "deputy", "end_deputy")),
    *("subscriptions_contract_edit", "subscriptions_contract_floors"),
    # The sign-in, and a form that asks for the password itself.
    *("login", "logout", "password_change"),
}
# Pages to read, and what each person chooses for their own lists.
READ_ONLY = (
    *("changelist", "delete", "history", "progress", "live", "export", "preview", "dry_run", "due", "people", "counts"),
    *("columns", "views", "save_view", "export_shown", "savings", "verify", "evidence_pack", "evidence", "verifier"),
    *("personal_data", "auditevent_pack", "webhook_delivery"),
)


def addresses(resolver=None) -> set[str]:
    """The names of all addresses of the admin."""
    found: set[str] = set()
    for pattern in (resolver or get_resolver("licensehub.urls")).url_patterns:
        if isinstance(pattern, URLPattern):
            found.add(pattern.name or "")
        elif pattern.namespace != "api":  # it has no session; `tests/licensehub/api` asks who may act there
            found |= addresses(pattern)
    return found - {""}


@pytest.fixture
def stale(db):
    """Sign in, and let the confirmation grow old."""

    def go(username: str) -> Visitor:
        visitor = Visitor()
        assert visitor.sign_in(username).status_code == 302
        session = visitor.client.session
        session[step_up.CONFIRMED] -= 301
        session.save()
        return visitor

    return go


def test_each_address_of_ours_is_an_act_or_was_decided_to_be_none():
    """Control: without its line in ACTS an address is undecided."""
    acts, known = {name.removeprefix("admin:") for name in ACTS}, addresses()
    assert acts <= known and not acts & DECIDED_NO
    # `django.contrib.admin` makes five for each model; those with a form are `add` and `change`.
    ours = {name for name in known if name.partition("_")[0] in ("subscriptions", "integrations", "auth", "audit")}
    undecided = {name for name in ours - acts - DECIDED_NO if not name.endswith((*READ_ONLY, "_add", "_change"))}
    # The way back from the vendor: it is bound to the browser that began, and that was an act.
    assert undecided == {"integrations_connection_callback"}


def test_an_approval_asks_again_and_goes_on_with_what_was_typed(organization, alice, bob, stale):
    request = organization.ask(alice, count=2)
    address = reverse("admin:subscriptions_reclaimrequest_approve", args=[request.pk])
    page = text_of(stale("bob").client.get(reverse("admin:subscriptions_reclaimrequest_change", args=[request.pk])))
    visitor = stale("bob")
    form = {"comment": "Looked at “both” & agreed", **seen(request)}
    assert "comment" in page
    asked = text_of(visitor.client.post(address, form), status=403)
    request.refresh_from_db()
    assert request.state == RequestState.OPEN and "Confirm that it is you" in asked
    assert 'name="comment" value="Looked at “both” &amp; agreed"' in asked
    wrong = text_of(visitor.client.post(address, {**form, step_up.PASSWORD: "guess"}), status=403)
    request.refresh_from_db()
    assert request.state == RequestState.OPEN and "The password is wrong." in wrong
    visitor.client.post(address, {**form, step_up.PASSWORD: password_of("bob")})
    request.refresh_from_db()
    assert request.state == RequestState.APPROVED and request.comment == "Looked at “both” & agreed"
    event = AuditEvent.objects.get(action="sign_in.confirmed")
    assert (event.actor_name, event.data) == ("bob", {"method": "password", "address": "203.0.113.9"})
    # Once for some minutes: the next act asks nothing.
    assert step_up.CONFIRMED in visitor.client.session


@pytest.mark.parametrize("name", sorted(ACTS))
def test_no_act_is_done_on_an_old_confirmation(name, stale):
    """Each act with a superuser, who may do all of them: the answer is the page that asks."""
    User.objects.create_superuser("root", "root@northwind.example", password_of("root"))
    arguments = {
        "pk": 1,
        "object_id": "1",
        "id": "1",
        "profile_id": 1,
        "name": "accept",
        "action": "release",
        "key": "oidc",
    }
    address = reverse(name, kwargs=_needed(name, arguments))
    assert "Confirm that it is you" in text_of(stale("root").client.post(address, {}), status=403)


def _needed(name: str, arguments: dict[str, object]) -> dict[str, object]:
    resolver = get_resolver("licensehub.urls")
    if name.startswith("admin:"):
        resolver = resolver.namespace_dict["admin"][1]
    needed = resolver.reverse_dict.getlist(name.removeprefix("admin:"))[0][0][0][1]
    return {key: arguments[key] for key in needed}
