"""Every page opens only for people who may see it, shows no secret, and escapes text from outside."""

from __future__ import annotations

import re
from datetime import timedelta
from operator import attrgetter
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection
from django.template.base import Origin, Template
from django.template.loader import get_template
from django.template.loader_tags import BlockNode, ExtendsNode
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import NoReverseMatch, reverse

from integrations.models import Connection
from licensehub.audit.models import AuditEvent
from licensehub.site.navigation import GROUPS, navigation
from subscriptions.candidates.propose import propose_candidates
from subscriptions.models import DownloadRun, Subscription
from tests.support.people.profile_states import CANARY, HOSTILE, ROLES, people

LISTS = {
    "subscriptions_subscription": "subscriptions.view_subscription",
    "integrations_integrationprofile": "integrations.view_integrationprofile",
    "integrations_connection": "integrations.view_connection",
    "subscriptions_downloadrun": "subscriptions.view_downloadrun",
    "audit_auditevent": "audit.view_auditevent",
    "auth_user": "auth.view_user",
}


def addresses(run):
    rows = {
        "subscriptions_subscription": Subscription.objects.first(),
        "integrations_integrationprofile": run.profile,
        "integrations_connection": Connection.objects.first(),
        "subscriptions_downloadrun": run,
        "audit_auditevent": AuditEvent.objects.first(),
        "auth_user": User.objects.first(),
    }
    for name, permission in LISTS.items():
        yield permission, reverse(f"admin:{name}_changelist")
        yield permission, reverse(f"admin:{name}_change", args=[rows[name].pk])


@pytest.mark.parametrize("role", [*ROLES, ""])
def test_each_page_opens_only_for_people_who_may_view_it(run, sign_in, role):
    client = sign_in(role)
    user = User.objects.get(pk=client.session["_auth_user_id"])
    for permission, address in addresses(run):
        expected = 200 if user.has_perm(permission) else 403
        assert client.get(address).status_code == expected, f"{role or 'nobody'} at {address}"
    assert client.get(reverse("admin:index")).status_code == 200


def test_people_without_a_session_are_sent_to_sign_in(run, client, sign_in):
    sign_in("Auditor")
    for _, address in addresses(run):
        assert client.get(address).status_code == 302


@pytest.mark.parametrize("role", ROLES)
def test_no_page_shows_a_secret(run, sign_in, role):
    client = sign_in(role)
    for _, address in [*addresses(run), ("", reverse("admin:index"))]:
        page = client.get(address).content.decode()
        assert CANARY not in page
        for ciphertext in Connection.objects.values_list("ciphertext", flat=True):
            assert ciphertext not in page


def test_a_name_with_html_is_escaped(run, sign_in):
    client = sign_in("Auditor")
    row = Subscription.objects.get(name=HOSTILE)
    for address in (
        reverse("admin:subscriptions_subscription_changelist"),
        reverse("admin:subscriptions_subscription_change", args=[row.pk]),
        reverse("admin:audit_auditevent_changelist"),
    ):
        page = client.get(address).content.decode()
        assert "&lt;script&gt;alert" in page
        assert "<script>alert" not in page


def test_no_page_of_ours_has_an_inline_style(run, sign_in):
    page = sign_in("Company admin").get(reverse("admin:index")).content.decode()
    start = page.index('<div class="lh-page')
    assert "style=" not in page[start : page.index("unfold/js/simplebar", start)].split("<div x-data")[0]


def test_the_schedule_of_tasks_has_no_admin(sign_in):
    assert not [model for model in admin.site._registry if model._meta.app_label == "django_celery_beat"]
    with pytest.raises(NoReverseMatch):
        reverse("admin:django_celery_beat_periodictask_changelist")


@pytest.mark.parametrize("name", ["subscriptions_subscription", "subscriptions_downloadrun", "audit_auditevent"])
def test_records_cannot_be_added_changed_or_deleted(run, db, client, django_user_model, name):
    client.force_login(django_user_model.objects.create_superuser("root", "root@x.example", "x"))
    row = {
        "subscriptions_subscription": Subscription.objects.first(),
        "subscriptions_downloadrun": run,
        "audit_auditevent": AuditEvent.objects.first(),
    }[name]
    assert client.get(reverse(f"admin:{name}_add")).status_code == 403
    assert client.post(reverse(f"admin:{name}_change", args=[row.pk]), {}).status_code == 403
    assert client.post(reverse(f"admin:{name}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403


@pytest.mark.parametrize("name", LISTS)
def test_a_longer_list_costs_no_more_queries(run, sign_in, name):
    client, address = sign_in("Company admin"), reverse(f"admin:{name}_changelist")
    client.get(address)
    with CaptureQueriesContext(connection) as before:
        client.get(address)
    people(run.profile, run, 20, idle=95)
    propose_candidates(run)
    for role in ROLES:
        sign_in(role)
    for days in range(1, 15):
        DownloadRun.objects.create(
            profile=run.profile,
            state="failed",
            started_by="schedule",
            lease_until=run.finished_at - timedelta(days=days),
        )
    with CaptureQueriesContext(connection) as after:
        client.get(address)
    assert len(after) == len(before)


@pytest.mark.parametrize("name", ["subscriptions_subscription", "subscriptions_downloadrun", "audit_auditevent"])
def test_lists_export_what_they_show(run, sign_in, name):
    answer = sign_in("Auditor").get(reverse(f"admin:{name}_export"))
    lines = b"".join(answer.streaming_content).decode("utf-8-sig").splitlines()
    assert answer["Content-Type"].startswith("text/csv")
    assert len(lines) > 1


@pytest.mark.parametrize("entry", [entry for _, entries in GROUPS for entry in entries], ids=attrgetter("title"))
def test_a_list_has_one_name_in_menu_title_and_breadcrumb(run, admin_client, entry):
    page = admin_client.get(reverse(f"admin:{entry.view}")).content.decode()
    # The charts of the overview have titles, too.
    title, *_ = re.findall(r"<title>(.*?)</title>", page, re.DOTALL)
    [heading] = re.findall(r"<h1[^>]*>(.*?)</h1>", page, re.DOTALL)
    place = [" ".join(part.split()) for part in re.sub(r"<[^>]*>", " ", heading).split("chevron_right")]

    assert title.split("|")[0].strip() == entry.title
    assert place[-1].lower() == entry.title.lower()
    assert place[:-1] == ([] if entry.view == "index" else ["Overview"])


@pytest.mark.parametrize("below", ["", "1/change/"])
@pytest.mark.parametrize("entry", [entry for _, entries in GROUPS for entry in entries], ids=attrgetter("title"))
def test_each_page_has_one_active_entry_in_the_menu(run, admin_user, entry, below):
    """The address of Savings begins like that of Prices, and each address begins like that of the overview."""
    address = reverse(f"admin:{entry.view}")
    if below and address == reverse("admin:index"):
        pytest.skip("Every page is below the overview")
    request = RequestFactory().get(f"{address}{below}")
    request.user = admin_user
    items = [item for group in navigation(request) for item in group["items"]]
    assert [item["title"] for item in items if item["active"]] == [entry.title]


def blocks_above(template: Template, seen: list[Origin]) -> set[str]:
    """The names of all blocks in the templates that this one extends; empty if it extends none."""
    found: set[str] = set()
    for extends in template.nodelist.get_nodes_by_type(ExtendsNode):
        parent, origin = template.engine.find_template(extends.parent_name.var, skip=seen)
        found |= {node.name for node in parent.nodelist.get_nodes_by_type(BlockNode)}
        found |= blocks_above(parent, [*seen, origin])
    return found


def test_each_block_has_a_place_in_the_templates_above():
    """Django shows nothing of a block whose name the page below has lost, and says nothing."""
    folder = Path(settings.BASE_DIR) / "templates"
    lost = []
    for path in sorted(folder.rglob("*.html")):
        template = get_template(path.relative_to(folder).as_posix()).template
        for extends in template.nodelist.get_nodes_by_type(ExtendsNode):
            known = blocks_above(template, [template.origin])
            own = [node.name for node in extends.nodelist if isinstance(node, BlockNode)]
            lost += [f"{template.name}: {name}" for name in own if name not in known]
    assert lost == []


def test_every_template_compiles():
    """A filter that is used without its `load` fails only when somebody opens the page."""
    folder = Path(settings.BASE_DIR) / "templates"
    names = [
        path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*.html")) + sorted(folder.rglob("*.txt"))
    ]
    assert len(names) > 100
    for name in names:
        get_template(name)
