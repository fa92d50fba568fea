"""The sidebar: links to all pages, in the order of the work, with the number of things that wait."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.installation.processes import no_report_since
from integrations.models import CheckResult, Connection, ConnectionState, IntegrationProfile, Webhook, WebhookState
from licensehub.ui.lists.counts import Count, capped_each
from subscriptions.company.company import company
from subscriptions.models import CandidateState, ReclaimRequest, RemovalCandidate, RequestState, RightsChange
from subscriptions.reconciliation.reconcile import open_differences

# The badge that is no number of rows.
DIFFERENCES = "differences"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line. People without the permission do not see it; a badge of 0 is not shown.

    The badge is a count of `waiting`, or DIFFERENCES. `covers` is one more view, with its title, whose
    pages belong to this entry.
    """

    title: str | Promise
    icon: str
    view: str
    # Several: one of them is enough.
    permission: str | tuple[str, ...] = ""
    badge: str = ""
    # The color of the badge, in the names of unfold's classes.
    color: str = "primary"
    covers: tuple[str | Promise, str] | None = None


def waiting() -> dict[str, QuerySet[Any]]:
    """The rows that the badges count, with one statement."""
    return {
        "ready": RemovalCandidate.objects.filter(state=CandidateState.READY),
        "open": ReclaimRequest.objects.filter(state=RequestState.OPEN),
        "rights": RightsChange.objects.waiting(),
        "profiles": IntegrationProfile.objects.filter(
            pk__in=Connection.objects.filter(state=ConnectionState.ERROR).values("profile")
        ),
        "webhooks": Webhook.objects.filter(state=WebhookState.FAILED),
        # What does not work, and the silence of the workers, who say so.
        "operations": CheckResult.objects.filter(
            Q(level="act") | Q(check_id="workers", checked_at__lt=no_report_since())
        ),
    }


GROUPS: tuple[tuple[str | Promise, tuple[Entry, ...]], ...] = (
    ("", (Entry(gettext_lazy("Overview"), "space_dashboard", "index"),)),
    (
        gettext_lazy("Reclaim"),
        (
            Entry(
                gettext_lazy("Removal candidates"),
                "person_search",
                "subscriptions_removalcandidate_changelist",
                "subscriptions.view_removalcandidate",
                "ready",
                covers=(gettext_lazy("People to review"), "subscriptions_persontoreview_changelist"),
            ),
            Entry(
                gettext_lazy("Approvals"),
                "approval_delegation",
                "subscriptions_reclaimrequest_changelist",
                "subscriptions.view_reclaimrequest",
                "open",
                "orange",
            ),
            Entry(gettext_lazy("History"), "history", "subscriptions_reclaim_changelist", "subscriptions.view_reclaim"),
            Entry(
                gettext_lazy("Reconciliations"),
                "difference",
                "subscriptions_reconciliation_changelist",
                "subscriptions.view_reconciliation",
                DIFFERENCES,
                "orange",
            ),
            Entry(
                gettext_lazy("Stop all sending"),
                "front_hand",
                "integrations_sendingcontrol_changelist",
                "integrations.view_integrationprofile",
            ),
        ),
    ),
    (
        gettext_lazy("Money"),
        (
            Entry(gettext_lazy("Savings"), "savings", "subscriptions_savings", "subscriptions.view_price"),
            Entry(
                gettext_lazy("Contract"), "contract", "subscriptions_contract_changelist", "subscriptions.view_contract"
            ),
            Entry(
                gettext_lazy("Reports"),
                "summarize",
                "subscriptions_monthlyreport_changelist",
                "subscriptions.view_monthlyreport",
            ),
            Entry(gettext_lazy("Prices"), "sell", "subscriptions_price_changelist", "subscriptions.view_price"),
        ),
    ),
    (
        gettext_lazy("Licenses"),
        (
            Entry(
                gettext_lazy("Subscriptions"),
                "badge",
                "subscriptions_subscription_changelist",
                "subscriptions.view_subscription",
            ),
            Entry(
                gettext_lazy("Reclaim rules"),
                "rule_settings",
                "subscriptions_reclaimrule_changelist",
                "subscriptions.view_reclaimrule",
            ),
            Entry(
                gettext_lazy("Protections"),
                "shield_person",
                "subscriptions_protection_changelist",
                "subscriptions.view_protection",
            ),
        ),
    ),
    (
        gettext_lazy("Integrations"),
        (
            Entry(
                gettext_lazy("Integration profiles"),
                "hub",
                "integrations_integrationprofile_changelist",
                "integrations.view_integrationprofile",
                "profiles",
                "red",
            ),
            Entry(
                gettext_lazy("Connections"), "key", "integrations_connection_changelist", "integrations.view_connection"
            ),
            Entry(
                gettext_lazy("Download runs"),
                "cloud_download",
                "subscriptions_downloadrun_changelist",
                "subscriptions.view_downloadrun",
            ),
        ),
    ),
    (
        gettext_lazy("System"),
        (
            Entry(
                gettext_lazy("Operations"),
                "monitor_heart",
                "integrations_checkresult_changelist",
                "integrations.view_checkresult",
                "operations",
                "red",
            ),
            Entry(
                gettext_lazy("Evidence"),
                "receipt_long",
                "audit_auditevent_evidence",
                ("audit.view_auditevent", "subscriptions.make_evidencepack"),
                covers=(gettext_lazy("Audit log"), "audit_auditevent_changelist"),
            ),
            Entry(
                gettext_lazy("Webhooks"),
                "webhook",
                "integrations_webhook_changelist",
                "integrations.view_webhook",
                "webhooks",
                "red",
            ),
            Entry(gettext_lazy("Users"), "group", "auth_user_changelist", "auth.view_user"),
            Entry(
                gettext_lazy("Changes of rights"),
                "verified_user",
                "subscriptions_rightschange_changelist",
                "subscriptions.view_rightschange",
                "rights",
                "orange",
            ),
            Entry(
                gettext_lazy("Company"), "apartment", "subscriptions_company_changelist", "subscriptions.view_company"
            ),
            Entry(gettext_lazy("My notifications"), "notifications", "subscriptions_notificationchoice_changelist"),
        ),
    ),
)


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """The entries that this user may see, in the structure that the template of the menu expects.

    The page belongs to the entry with the longest address that its own begins with: Savings lies below Prices.
    """
    mine = [(title, [entry for entry in entries if _may_see(entry, request.user)]) for title, entries in GROUPS]
    counts = _counts({entry.badge for _title, entries in mine for entry in entries})
    found = [(title, [_item(entry, counts) for entry in entries]) for title, entries in mine if entries]
    items = [item for _, group in found for item in group]
    index = reverse("admin:index")
    pages = {page: item["link"] for item in items for page in (item["link"], item.pop("covers")) if page}
    here = [page for page in pages if page != index and request.path.startswith(page)]
    current = max(here, key=len, default=index if request.path == index else "")
    for item in items:
        item["active"] = item["link"] == pages.get(current)
    return [{"title": title, "items": group} for title, group in found]


def subheader(request: HttpRequest) -> str:
    """The line under the name of LicenseHub: the company's name."""
    return company().name or _("Seats that nobody uses")


def pages_of(request: HttpRequest) -> list[tuple[str, str, str]]:
    """Title, icon and address of each page that this user may see, without its number."""
    every = (entry for _title, entries in GROUPS for entry in entries)
    mine = [entry for entry in every if _may_see(entry, request.user)]
    covered = [(entry.covers, entry.icon) for entry in mine if entry.covers]
    pages = [(str(entry.title), entry.icon, reverse(f"admin:{entry.view}")) for entry in mine]
    return pages + [(str(title), icon, reverse(f"admin:{view}")) for (title, view), icon in covered]


def account_links(request: HttpRequest) -> list[dict[str, str]]:
    """The menu of the signed-in user."""
    links = [{"title": _("Security"), "link": reverse("security")}]
    mine = reverse("admin:subscriptions_notificationchoice_changelist")
    links += [
        {"title": _("My notifications"), "link": mine},
        {"title": _("Language and time zone"), "link": f"{mine}#lh-language"},
    ]
    if isinstance(request.user, User) and request.user.has_usable_password():
        links.append({"title": _("Change password"), "link": reverse("admin:password_change")})
    return links


def _may_see(entry: Entry, user: User | AnonymousUser) -> bool:
    wanted = (entry.permission,) if isinstance(entry.permission, str) else entry.permission
    return any(not one or user.has_perm(one) for one in wanted)


def _counts(badges: set[str]) -> dict[str, Count]:
    counts = capped_each({name: rows for name, rows in waiting().items() if name in badges})
    if DIFFERENCES in badges:
        counts[DIFFERENCES] = Count(open_differences())
    return counts


def _item(entry: Entry, counts: Mapping[str, Count]) -> dict[str, Any]:
    count = counts.get(entry.badge)
    return {
        "title": entry.title,
        "icon": entry.icon,
        "link": reverse(f"admin:{entry.view}"),
        "covers": reverse(f"admin:{entry.covers[1]}") if entry.covers else "",
        "badge": str(count) if count else "",
        "color": entry.color,
    }
