"""Filters of the subscriptions. Their bands are those of the charts that link to them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from functools import reduce
from operator import or_
from typing import Any

from django.conf import settings
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import DropdownFilter

from integrations.connectors.contract import UNKNOWN
from integrations.connectors.registry import connector_class
from licensehub.database.clock import database_now
from licensehub.translations.stored import translated
from subscriptions.downloads.rows_of_run import RowsOfRun
from subscriptions.eligibility.people_counts import BAND_DAYS, BANDS
from subscriptions.models import ProtectionKind, ReclaimRule, Subscription, Verdict
from subscriptions.models.subscription import FREE, HAS_ADMIN_ROLE, HELD
from subscriptions.rules.words import seen_words


def labels_of(kind: ProtectionKind) -> dict[str, str]:
    """The vendors' words for licenses or roles, with their labels, and all words that people have."""
    found = {word: word for word in seen_words(kind)}
    for name in settings.CONNECTORS:
        connector = connector_class(name)
        found |= connector.licenses if kind == ProtectionKind.LICENSE else connector.roles
    if UNKNOWN in found:
        found[UNKNOWN] = translated(found[UNKNOWN])
    return found


def is_one_verdict(value: str) -> bool:
    """Whether the filter is one verdict: then an index of the evaluations gives the rows in their order."""
    return value in Verdict.values and value != Verdict.NOT_EVALUATED


class VerdictFilter(DropdownFilter):
    """One verdict, or several separated by commas."""

    title = gettext_lazy("verdict")
    parameter_name = "verdict"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        """All verdicts. If a link asks for several together, they are one more choice, so that *Apply* keeps them."""
        wanted = self.value() or ""
        labels = {value: str(label) for value, label in Verdict.choices}
        several = [word for word in wanted.split(",") if word in labels]
        if len(several) < 2:
            return [*labels.items()]
        return [*labels.items(), (wanted, ", ".join(labels[word] for word in several))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Subscription]) -> QuerySet[Subscription]:
        wanted = self.value()
        if not wanted:
            return queryset
        if wanted == Verdict.NOT_EVALUATED:
            return queryset.filter(evaluation=None)
        if is_one_verdict(wanted):
            return queryset.with_verdict(wanted)  # type: ignore[attr-defined]  # of SubscriptionQuerySet
        return queryset.filter(evaluation__verdict__in=wanted.split(","))


class LicenseFilter(DropdownFilter):
    title = gettext_lazy("license")
    parameter_name = "license"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return labels_of(ProtectionKind.LICENSE).items()

    def queryset(self, request: HttpRequest, queryset: QuerySet[Subscription]) -> QuerySet[Subscription]:
        return queryset.filter(license=self.value()) if self.value() else queryset


class RoleFilter(DropdownFilter):
    title = gettext_lazy("role")
    parameter_name = "role"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return labels_of(ProtectionKind.ROLE).items()

    def queryset(self, request: HttpRequest, queryset: QuerySet[Subscription]) -> QuerySet[Subscription]:
        return queryset.filter(role=self.value()) if self.value() else queryset


# No admin role of a vendor has this name.
ANY_ADMIN_ROLE = "*"


class AdminRoleFilter(DropdownFilter):
    """People with any admin role. The rows are few, and have an index of their own."""

    title = gettext_lazy("admin role")
    parameter_name = "admin"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        seen = Subscription.objects.all().admin_roles_seen()
        return [(ANY_ADMIN_ROLE, _("Any admin role")), *((role, role) for role in seen)] if seen else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Subscription]) -> QuerySet[Subscription]:
        chosen = self.value()
        if not chosen:
            return queryset
        with_role = Subscription.objects.all().with_admin_role("" if chosen == ANY_ADMIN_ROLE else chosen)
        return queryset.filter(HAS_ADMIN_ROLE, pk__in=with_role.order_by().values("pk"))


class SeatFilter(DropdownFilter):
    title = gettext_lazy("seat")
    parameter_name = "seat"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [("held", _("Takes a seat")), ("free", _("Takes none: deactivated or gone"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Subscription]) -> QuerySet[Subscription]:
        if self.value() == "held":
            return queryset.filter(HELD)
        return queryset.filter(FREE) if self.value() == "free" else queryset


class RunFilter(DropdownFilter):
    """The people whom a download found first, changed, or marked as gone. Only a link offers it, e.g. `run=gone-12`."""

    title = gettext_lazy("download")
    parameter_name = "run"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        self.rows = RowsOfRun.of(self.value() or "")
        self.condition = self.rows.condition() if self.rows else Q(pk=None)
        return [(self.rows.value, self.rows.label)] if self.rows else []

    def has_output(self) -> bool:
        return bool(self.value())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Subscription]) -> QuerySet[Subscription]:
        """A value that names no rows finds none. All rows would be dangerous: the list says that it is filtered."""
        return queryset.filter(self.condition) if self.value() else queryset


class IdleFilter(DropdownFilter):
    """Held seats by days since the last activity, as of the last evaluation of everybody, like the bars of a chart."""

    title = gettext_lazy("time since last activity")
    parameter_name = "idle"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        bands = [
            (
                str(BAND_DAYS * band),
                _("{first} to {last} days").format(first=BAND_DAYS * band, last=BAND_DAYS * (band + 1) - 1),
            )
            for band in range(BANDS)
        ]
        oldest = BAND_DAYS * BANDS
        return [*bands, (str(oldest), _("{start} days or more").format(start=oldest)), ("never", _("Never active"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Subscription]) -> QuerySet[Subscription]:
        value = self.value()
        if not value:
            return queryset
        held = queryset.filter(HELD)
        if value == "never":
            return held.filter(last_activity_at=None)
        in_days = value.isdecimal() and len(value) < 5
        return held.filter(_in_band(int(value))) if in_days else queryset.none()


def _in_band(start: int) -> Q:
    """The same as `people_counts.band_case`, with an index. The days count back from the last evaluation."""
    bands = []
    for profile, evaluated_at in ReclaimRule.objects.values_list("profile", "evaluated_at").order_by():
        now = evaluated_at or database_now()
        # For people who were active, `idle_since` is the last activity, and it has an index.
        band = Q(profile=profile, idle_since__lt=now - timedelta(days=start)) if start else Q(profile=profile)
        if start < BAND_DAYS * BANDS:
            band &= Q(idle_since__gte=now - timedelta(days=start + BAND_DAYS))
        bands.append(band & Q(last_activity_at__isnull=False))
    # Without an empty first term, so that the index is used for a single band.
    return reduce(or_, bands) if bands else Q(pk=None)
