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
from subscriptions.reclaims import holds
from subscriptions.reclaims.lost_answers import waits

SWITCHED_OFF = english("LicenseHub switched off the webhook “{webhook}”")
SWITCHED_OFF_TEXT = english(
    "{host} has taken nothing since {time}. {problem}\nEvents are kept meanwhile. Open the webhook, correct what is "
    "wrong, switch it on, and send again what was not sent."
)
# A shorter hold often ends by itself.
HELD_FOR = timedelta(minutes=15)
HELD = english("{profile}: approved reclaims wait, since {vendor} gives no clear answers")
HELD_SINCE = english(
    "{vendor} gave no clear answer to the last {count} reclaims, e.g. an error 500. So approved reclaims have waited "
    "since {time}. LicenseHub tries one person again and again, and the page of the profile shows when. When {vendor} "
    "answers, LicenseHub sends the others by itself. An approval ends after some days. Restores are still sent.\n"
    "Look at the status page of {vendor}, and check any proxy between LicenseHub and {vendor}."
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
        if _has_ended(key):
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
    """Profiles whose reclaims wait for clear answers of the vendor, and for nothing else. Each hold has one mail."""
    now = database_now()
    for profile, since in waits():
        until = profile.lost_answers_held_until
        # Soon after the end of a hold, one person is tried. Else the reclaims wait for something else.
        if now - since < HELD_FOR or until is None or until < now - HELD_FOR:
            continue
        key = f"held:{profile.pk}:{profile.lost_answers_held_at}"
        if _has_ended(key) or holds.profile_hold(profile) not in (None, HoldReason.LOST_ANSWERS):
            continue
        vendor = profile.vendor
        yield Notification(
            kind=NotificationKind.HELD,
            key=key,
            profile=profile,
            subject=HELD.format(profile=profile, vendor=vendor),
            text=HELD_SINCE.format(vendor=vendor, count=number(profile.lost_answers), time=day_and_time(since)),
            path=reverse("admin:integrations_integrationprofile_change", args=[profile.pk]),
        )


def _has_ended(key: str) -> bool:
    return Notification.objects.filter(key=key, ended_at__isnull=False).exists()


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
