"""Make the report of each month once, when the month has ended, and say who gets it by mail.

The mails are notifications: each person gets one for each month.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils.translation import gettext as _

from integrations.models import IntegrationProfile
from licensehub.audit.actions import Action
from licensehub.audit.log import record
from licensehub.database.clock import database_now
from licensehub.ui.time_zones import company_day, company_midnight
from subscriptions.accounts.scope import refuse_outside
from subscriptions.errors import Refused
from subscriptions.models import DownloadRun, MonthlyReport, ReportSettings
from subscriptions.models.installation import LAST_DAY
from subscriptions.only_row import check_version, save_only_row
from subscriptions.reports.figures import amounts, figures, first_of, month_before, profiles_of, total
from subscriptions.webhooks.events import Event, raise_event

# Earlier, a reclaim of the last minute of the month may not be written yet.
MADE_AFTER = timedelta(hours=1)


def report_settings() -> ReportSettings:
    """The settings; the mail is off until somebody saves them."""
    return ReportSettings.objects.filter(pk=ReportSettings.ONLY).first() or ReportSettings(pk=ReportSettings.ONLY)


def make_due() -> MonthlyReport | None:
    """Make the report of the last month if it is missing. Of several processes, one makes it."""
    this = first_of(company_day())
    month = month_before(this)
    if database_now() < company_midnight(this) + MADE_AFTER or MonthlyReport.objects.filter(month=month).exists():
        return None
    known = DownloadRun.objects.complete().filter(finished_at__lt=company_midnight(this))
    if not known.exists():
        return None  # LicenseHub knew nobody in that month
    data = {"profiles": figures(profiles_of(month), month)}
    try:
        with transaction.atomic():
            row = MonthlyReport.objects.create(month=month, data=data, made_at=database_now())
            record(Action.REPORT_MADE, actor=None, target=row, data={"month": f"{month:%Y-%m}"})
            _tell_savings(row)
    except IntegrityError:
        return None
    return row


def _tell_savings(row: MonthlyReport) -> None:
    """One event for each profile of the report."""
    profiles = IntegrationProfile.objects.in_bulk([data["profile"] for data in row.data["profiles"]])
    for data in row.data["profiles"]:
        saved = {currency: str(amount) for currency, amount in sorted(amounts(data, "saved").items())}
        counts = {name: total(data, name) for name in ("seats", "inactive", "reclaimed", "again", "restored")}
        raise_event(
            Event.SAVINGS_MONTHLY,
            profile=profiles[data["profile"]],
            data={"month": f"{row.month:%Y-%m}", **counts, "saved_per_year": saved},
            path=f"{reverse('admin:subscriptions_monthlyreport_changelist')}?month={row.month:%Y-%m}",
        )


def report_to_mail() -> MonthlyReport | None:
    """The report that is due to be mailed; None before its day, and while the mail is switched off."""
    wanted, today = report_settings(), company_day()
    due = today.replace(day=wanted.day)
    if not wanted.enabled or today < due or (wanted.since and due < wanted.since):
        return None
    return MonthlyReport.objects.filter(month=month_before(first_of(today))).first()


def key_of(row: MonthlyReport) -> str:
    """The key of this report's notification."""
    return f"report:{row.month:%Y-%m}"


def report_of(key: str) -> MonthlyReport | None:
    """The report of this key: see `key_of`."""
    return MonthlyReport.objects.filter(month=date.fromisoformat(f"{key.partition(':')[2]}-01")).first()


def save_settings(*, enabled: bool, day: int, recipients: Sequence[User], seen: int, actor: User) -> bool:
    """Save the values that differ, and return whether any did. `seen` is the version that the person saw.

    Raises Refused for impossible values, NotActionable when somebody else changed the settings meanwhile.
    """
    refuse_outside(actor, None)
    if not 1 <= day <= LAST_DAY:
        raise Refused(_("Enter a day from 1 to {last}, which each month has.").format(last=LAST_DAY))
    if enabled and not recipients:
        raise Refused(_("Choose at least one person who gets the report."))
    values = {"enabled": enabled, "day": day, "recipients": sorted(user.pk for user in recipients)}
    with transaction.atomic():
        row = report_settings()
        check_version(row, seen)
        before = {name: getattr(row, name) for name in values}
        if before == values:
            return False
        since = company_day() if enabled and (not row.enabled or row.day != day) else row.since
        save_only_row(ReportSettings, {**values, "since": since}, seen=seen, actor=actor)
        names = {"recipients": sorted(user.get_username() for user in recipients)}
        kept = User.objects.filter(pk__in=before["recipients"]).order_by("username")
        data = {
            "before": {**before, "recipients": [user.get_username() for user in kept]},
            "after": {**values, **names},
        }
        record(Action.REPORT_SETTINGS_CHANGED, actor=actor, target=report_settings(), data=data)
    return True
