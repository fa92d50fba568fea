"""All pages that people see, with contents on each. Tests that visit every page use this list."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib.auth.models import User
from django.urls import reverse

from subscriptions.approvals import decide
from subscriptions.approvals.request import request_reclaim
from subscriptions.models import DownloadRun, Reclaim, ReclaimRule, RemovalCandidate, Subscription
from subscriptions.reclaims.engine import reclaim_due
from tests.support.fixtures import World
from tests.support.servers.webhooks import stored_webhook

LISTS = (
    *(f"subscriptions_{name}" for name in ("subscription", "persontoreview", "removalcandidate", "reclaimrequest")),
    *(f"subscriptions_{name}" for name in ("reclaim", "reclaimrule", "protection", "downloadrun")),
    "subscriptions_rightschange",
    *("integrations_integrationprofile", "integrations_connection", "audit_auditevent", "auth_user"),
)
MONEY = ("company_changelist", "savings", "price_changelist", "price_add", "contract_changelist", "contract_edit")


def details(world: World) -> Iterator[tuple[str, Any]]:
    yield "subscriptions_downloadrun", DownloadRun.objects.get()
    yield "subscriptions_subscription", Subscription.objects.candidates()[0]
    yield "subscriptions_removalcandidate", RemovalCandidate.objects.filter(state="ready")[0]
    yield "subscriptions_reclaimrule", ReclaimRule.objects.get()
    yield "integrations_integrationprofile", world.profile
    yield "integrations_connection", world.profile.connections.first()
    yield "subscriptions_reclaimrequest", Reclaim.objects.get().removal.request


def prepare(world: World, *, asks: User, decides: User) -> dict[str, str]:
    """Reclaim one seat and file one request. Returns name -> address of each page."""
    world.download()
    decide.approve(request_reclaim(world.candidates(1), actor=asks), actor=decides)
    reclaim_due(world.profile)
    waiting = request_reclaim(world.candidates(3), actor=asks)
    pages = {
        "index": reverse("admin:index"),
        "waiting request": reverse("admin:subscriptions_reclaimrequest_change", args=[waiting.pk]),
        "reports": reverse("admin:subscriptions_monthlyreport_changelist"),
        "evidence": reverse("admin:audit_auditevent_evidence"),
        "operations": reverse("admin:integrations_checkresult_changelist"),
        "security": reverse("security"),
        "set up a factor": reverse("factors"),
        "new app": reverse("mfa_activate_totp"),
        "new passkey": reverse("mfa_add_webauthn"),
    }
    delivery = stored_webhook()
    pages |= {
        "webhooks": reverse("admin:integrations_webhook_changelist"),
        "one webhook": reverse("admin:integrations_webhook_change", args=[delivery.webhook_id]),
        "change a webhook": reverse("admin:integrations_webhook_edit", args=[delivery.webhook_id]),
        "one delivery": reverse("admin:integrations_webhook_delivery", args=[delivery.pk]),
        "formats of webhooks": reverse("admin:integrations_webhook_add"),
        "new webhook": reverse("admin:integrations_webhook_add") + "?format=jira",
    }
    pages |= {name: reverse(f"admin:{name}_changelist") for name in LISTS}
    pages |= {f"subscriptions_{name}": reverse(f"admin:subscriptions_{name}") for name in MONEY}
    pages |= {f"one {name}": reverse(f"admin:{name}_change", args=[row.pk]) for name, row in details(world)}
    added = ("auth_user", "subscriptions_protection", "integrations_integrationprofile")
    pages |= {f"new {name}": reverse(f"admin:{name}_add") for name in added}
    return {**pages, "not found": "/nothing/here"}
