"""Filters of the list of candidates. A filter hides itself if it would offer only one choice."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import DropdownFilter

from integrations.connectors.contract import UNKNOWN
from integrations.models import IntegrationProfile
from licensehub.database.clock import database_now
from licensehub.translations.stored import translated
from licensehub.ui.lists.id_filter import is_id
from subscriptions.models import ProtectionKind
from subscriptions.rules.words import seen_words

# Days without activity: from the first number, below the second.
BANDS = {
    "0": (gettext_lazy("Less than 90 days"), 0, 90),
    "90": (gettext_lazy("90 to 179 days"), 90, 180),
    "180": (gettext_lazy("180 to 359 days"), 180, 360),
    "360": (gettext_lazy("360 days and more"), 360, None),
}
NEVER = "never"


def profiles_of(request: Any) -> list[IntegrationProfile]:
    """All profiles with their rules, read once for all filters of a page."""
    if not hasattr(request, "profiles_of_filters"):
        request.profiles_of_filters = list(IntegrationProfile.objects.select_related("rule"))
    found: list[IntegrationProfile] = request.profiles_of_filters
    return found


class LicenseFilter(DropdownFilter):
    title = gettext_lazy("license")
    parameter_name = "license"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Sequence[tuple[str, str]]:
        labels = {word: word for word in seen_words(ProtectionKind.LICENSE)}
        profiles = profiles_of(request)
        for profile in profiles:
            labels |= profile.connector.licenses
        if UNKNOWN in labels:
            labels[UNKNOWN] = translated(labels[UNKNOWN])
        in_scope = [profile.rule.licenses for profile in profiles if hasattr(profile, "rule")]
        labels |= {word: labels.get(word, word) for words in in_scope for word in words}
        return sorted(labels.items(), key=lambda item: item[1])

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(license=self.value()) if self.value() else queryset


class ProfileFilter(DropdownFilter):
    title = gettext_lazy("profile")
    parameter_name = "profile"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Sequence[tuple[str, str]]:
        found = [(str(profile.pk), profile.name) for profile in profiles_of(request)]
        return found if len(found) > 1 else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        return queryset.filter(profile=int(value)) if value and is_id(value) else queryset


class IdleFilter(DropdownFilter):
    title = gettext_lazy("time since last activity")
    parameter_name = "idle"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Sequence[tuple[str, str]]:
        return [*((word, str(label)) for word, (label, _, _) in BANDS.items()), (NEVER, _("Never active"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value == NEVER:
            return queryset.filter(evidence__last_activity_at=None)
        if value not in BANDS:
            return queryset
        _, start, end = BANDS[value]
        now = database_now()
        queryset = queryset.filter(idle_since__lte=(now - timedelta(days=start)).isoformat())
        return queryset.filter(idle_since__gt=(now - timedelta(days=end)).isoformat()) if end else queryset
