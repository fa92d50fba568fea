"""The admin site leaves out work for what no page shows."""

from __future__ import annotations

import re
from pathlib import Path

from django.conf import settings
from django.urls import reverse
from unfold.settings import CONFIG_DEFAULTS


def test_a_page_makes_no_list_of_models(run, sign_in):
    """Each model would cost its rights and its addresses."""
    for name in ("index", "subscriptions_subscription_changelist"):
        context = sign_in("Company admin").get(reverse(f"admin:{name}")).context
        assert context["available_apps"] == []


def test_each_color_of_unfold_has_a_value():
    """A class without its color is shown in none."""
    style = Path(settings.BASE_DIR, "licensehub/static/licensehub/theme.css").read_text()
    names = [f"--color-{name}-{weight}:" for name, weights in CONFIG_DEFAULTS["COLORS"].items() for weight in weights]
    assert len(names) > 20
    assert [name for name in ("--border-radius:", *names) if name not in style] == []


def test_the_place_of_a_page_begins_with_the_overview(run, sign_in):
    """unfold names the app first, and one app has several groups of the menu."""
    client = sign_in("Company admin")
    for name, title in (("subscriptions_subscription", "Subscriptions"), ("auth_user", "Users")):
        address = reverse(f"admin:{name}_changelist")
        heading = re.findall(r"<h1.*?</h1>", client.get(address).content.decode(), re.DOTALL)[0]
        links = re.findall(r'<a href="([^"]+)"[^>]*>\s*([^<]+?)\s*</a>', heading)
        assert links == [(reverse("admin:index"), "Overview"), (address, title)]
