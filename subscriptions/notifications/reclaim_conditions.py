"""Facts about reclaims and webhooks that colleagues may want to know. Most of them send no mail by default."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from django.db.models import Count, Max
from django.urls import reverse
from django.utils import timezone

from integrations.connectors.contract import english, english_plural
from integrations.models import IntegrationProfile, Webhook, WebhookState
from licensehub.database.clock import database_now
from licensehub.ui.formatting import day_and_time, number
from subscriptions.models import HoldReason, Notification, NotificationKind, Reclaim, ReclaimState
from subscriptions.reclaims.lost_answers import held_profiles

SWITCHED_OFF = english("LicenseHub switched off the webhook “{webhook}”")
SWITCHED_OFF_TEXT = english(
    "{host} has taken nothing since {time}. {problem}\nEvents are kept meanwhile. Open the webhook, correct what is "
    "wrong, switch it on, and send again what was not sent."
)
# A shorter hold often ends by itself.
HELD_FOR = timedelta(minutes=15)
WEEK = timedelta(days=7)
HELD = english("{profile}: approved reclaims wait, since {vendor} does not answer")
HELD_SINCE = english(
    "{vendor} has given no clear answer to the last {count} reclaims, e.g. an error 500. Since {time}, LicenseHub has "
    "held the others, and none is lost. At least once an hour it tries one person. When {vendor} answers, it sends the "
    "others by itself. Restores are still sent.\nLook at the status page of {vendor}, and check any proxy between "
    "LicenseHub and {vendor}."
)
HISTORY = "admin:subscriptions_reclaim_changelist"


def doubts() -> Iterator[Notification]:
    """Profiles with items in doubt. A day with a new one has a new notification."""
    rows = Reclaim.objects.filter(state=ReclaimState.IN_DOUBT).order_by()
    for row in rows.values("profile").annotate(count=Count("pk"), newest=Max("sending_at")):
        profile, count = IntegrationProfile.objects.get(pk=row["profile"]), row["count"]
        day = timezone.localdate(row["newest"]).isoformat() if row["newest"] else ""
        yield Notification(
            kind=NotificationKind.DOUBT,
            key=f"doubt:{profile.pk}:{day}",
            profile=profile,
            subject=english_plural(
                "{profile}: the answer to {count} reclaim was lost",
                "{profile}: the answers to {count} reclaims were lost",
                count,
            ).format(profile=profile, count=number(count)),
            text=english(
                "LicenseHub reads them back, and never sends blindly again. Where it cannot find out what is true, the "
                "candidate waits for a person."
            ),
            path=f"{reverse(HISTORY)}?state__exact={ReclaimState.IN_DOUBT.value}&profile__id__exact={profile.pk}",
        )


def caps() -> Iterator[Notification]:
    """Profiles whose approved items wait for the cap of 24 hours. There is one notification a day."""
    rows = Reclaim.objects.filter(state=ReclaimState.QUEUED, hold_reason=HoldReason.ROLLING_CAP).order_by()
    today = timezone.localdate().isoformat()
    for row in rows.values("profile").annotate(count=Count("pk")):
        profile, count = IntegrationProfile.objects.get(pk=row["profile"]), row["count"]
        key = f"cap:{profile.pk}:{today}"
        if Notification.objects.filter(key=key, ended_at__isnull=False).exists():
            continue  # a try to send has cleared the reason for a moment
        yield Notification(
            kind=NotificationKind.CAP,
            key=key,
            profile=profile,
            subject=english("{profile}: the cap for 24 hours is reached").format(profile=profile),
            text=english_plural(
                "{count} approved reclaim waits, and is sent when fewer people lost their seat in the last 24 hours.",
                "{count} approved reclaims wait, and are sent when fewer people lost their seat in the last 24 hours.",
                count,
            ).format(count=number(count)),
            path=f"{reverse(HISTORY)}?state__exact={ReclaimState.QUEUED.value}&profile__id__exact={profile.pk}",
        )


def held() -> Iterator[Notification]:
    """Profiles whose reclaims wait for the vendor's answers. There is one mail for each hold, and one every week."""
    now = database_now()
    for profile in held_profiles():
        since, vendor = profile.lost_answers_held_at, profile.vendor
        if since is None or now - since < HELD_FOR:
            continue
        yield Notification(
            kind=NotificationKind.HELD,
            key=f"held:{profile.pk}:{(now - since) // WEEK}",
            profile=profile,
            subject=HELD.format(profile=profile, vendor=vendor),
            text=HELD_SINCE.format(vendor=vendor, count=number(profile.lost_answers), time=day_and_time(since)),
            path=reverse("admin:integrations_integrationprofile_change", args=[profile.pk]),
        )


def webhooks() -> Iterator[Notification]:
    """Webhooks that LicenseHub switched off. There is one mail for each, until somebody switches it on or off."""
    for row in Webhook.objects.filter(state=WebhookState.FAILED):
        chosen = [] if row.all_profiles else list(row.profiles.all()[:2])
        since = day_and_time(row.failing_since) if row.failing_since else ""
        yield Notification(
            kind=NotificationKind.WEBHOOK,
            key=f"webhook:{row.pk}",
            profile=chosen[0] if len(chosen) == 1 else None,
            subject=SWITCHED_OFF.format(webhook=row),
            text=SWITCHED_OFF_TEXT.format(host=row.host, time=since, problem=row.error),
            path=reverse("admin:integrations_webhook_change", args=[row.pk]),
        )
