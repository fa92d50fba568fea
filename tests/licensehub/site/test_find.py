"""The search over everything: groups, permissions, and few queries."""

from __future__ import annotations

import html
import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from licensehub.site import find
from licensehub.ui.models import SavedView
from subscriptions.approvals.request import request_reclaim
from subscriptions.models import DownloadRun, Subscription
from tests.support.fixtures import person

FIND = reverse("find")
OPTION = re.compile(r'<a role="option"[^>]*href="([^"]*)">.*?</span><span>(.*?)</span>')


def groups(client, text: str = "") -> dict[str, list[tuple[str, str]]]:
    """Title of a group -> title and address of its results."""
    page = client.get(FIND, {"q": text}).content.decode()
    found = {}
    for part in page.split('<div role="group"')[1:]:
        title = re.search(r'role="presentation">(.*?)</div>', part).group(1)
        found[title] = [(html.unescape(name), html.unescape(url)) for url, name in OPTION.findall(part)]
    return found


def test_each_kind_is_found(world, alice, as_user):
    world.download()
    made = request_reclaim(world.candidates(2), actor=alice, reason="True-up in December")
    someone, run, client = (
        Subscription.objects.exclude(name="").order_by("pk")[0],
        DownloadRun.objects.get(),
        as_user(alice),
    )
    SavedView.objects.create(of_list="subscriptions_subscription", name="Full seats", owner=alice, query="license=full")

    page = reverse("admin:subscriptions_subscription_change", args=[someone.pk])
    assert groups(client, someone.email.upper())["People"] == [(someone.name, page)]
    assert groups(client, someone.external_id)["People"] == [(someone.name, page)]
    for text in (made.number.lower(), str(made.pk), "true-up", "December", "R-", "r-0"):
        assert groups(client, text)["Requests"] == [
            (made.number, reverse("admin:subscriptions_reclaimrequest_change", args=[made.pk]))
        ], text
    for text in (run.number, "D-", "d-00"):
        assert groups(client, text)["Download runs"] == [
            (run.number, reverse("admin:subscriptions_downloadrun_change", args=[run.pk]))
        ], text
    assert [name for name, _ in groups(client, world.profile.name[:4])["Integration profiles"]] == [world.profile.name]
    assert groups(client, "PROTEC")["Pages"] == [("Protections", reverse("admin:subscriptions_protection_changelist"))]
    [(name, url)] = groups(client, "full seats")["Views"]
    assert name == "Full seats" and client.get(url).status_code == 200

    *people, every = groups(client, "a")["People"]
    assert len(people) == find.SHOWN and every == (
        "All people with “a”",
        f"{reverse('admin:subscriptions_subscription_changelist')}?q=a",
    )
    assert groups(client, "nobody at all") == {}
    assert "Nothing matches “&lt;b&gt;”." in client.get(FIND, {"q": "<b>"}).content.decode()
    for odd in ("²", "9" * 80, "%", "'", "R-", "x" * 3000):
        assert client.get(FIND, {"q": odd}).status_code == 200, odd
    assert client.get(FIND, {"q": "\x00"}).status_code == 400

    empty = groups(client)
    assert [name for name, _ in empty["Requests"]] == [made.number] and [n for n, _ in empty["Download runs"]] == [
        run.number
    ]
    assert len(empty["Pages"]) > 10 and "People" not in empty


def test_nobody_finds_what_they_may_not_see(world, alice, as_user, client):
    world.download()
    made = request_reclaim(world.candidates(1), actor=alice)
    someone = Subscription.objects.exclude(name="").first()
    SavedView.objects.create(of_list="subscriptions_subscription", name="Secret", owner=alice, shared=True)
    SavedView.objects.create(of_list="subscriptions_downloadrun", name="Secret of one", owner=alice)
    operator = as_user(person("olga", "Operator"))
    for text in (someone.email, made.number, "Secret", "alice"):
        assert not {"People", "Requests", "Views"} & set(groups(operator, text)), text
    assert set(groups(operator)) == {"Download runs", "Pages"}
    assert "Approvals" not in dict(groups(operator)["Pages"])
    stranger = as_user(person("rita", ""))
    run = DownloadRun.objects.get()
    for text in (run.number, str(run.pk), world.profile.name, "Secret", someone.email, made.number):
        assert groups(stranger, text) == {}, text
    assert not set(groups(stranger)) - {"Pages"}
    client.logout()
    assert client.get(FIND).status_code == 302


@pytest.mark.parametrize("text", ["", "person", "R-1"])
def test_few_queries(world, alice, as_user, text):
    world.download()
    client = as_user(alice)
    client.get(FIND, {"q": text})
    with CaptureQueriesContext(connection) as asked:
        client.get(FIND, {"q": text})
    assert len(asked) <= 11
