"""The terms of a reclaim rule that decide who is a candidate.

A new field of the rule that decides needs a column in `models.rule`, one line in `Terms`, the clause that reads it,
and its texts in the form (CONTRIBUTING.md has all steps). Reading the rule, freezing the terms with a candidate and the
preview follow from `Terms`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from integrations.models import IntegrationProfile
from subscriptions.models import ReclaimRule


def _column(name: str) -> Any:
    """A field of `Terms` that holds this column of the rule."""
    return field(metadata={"column": name})


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of a rule at one moment: small enough to be frozen with a candidate. Thresholds and grace are days."""

    threshold: int = _column("last_activity_threshold")
    licenses: tuple[str, ...] = _column("licenses")
    grace: int = _column("new_joiner_grace")
    never_active: str = _column("never_active")
    admin_roles: str = _column("admin_roles")
    by_license: Mapping[str, int] = field(default_factory=dict)
    version: int = 1

    @classmethod
    def of(cls, rule: ReclaimRule) -> Terms:
        """The terms of a rule. A rule that was never saved has no thresholds of license types."""
        thresholds = rule.license_thresholds.all() if rule.pk else ()
        return cls(
            **{name: _frozen(getattr(rule, column)) for name, column in COLUMNS.items()},
            by_license={row.license: row.last_activity_threshold for row in thresholds},
            version=rule.version,
        )

    @classmethod
    def from_json(cls, frozen: Mapping[str, Any]) -> Terms:
        """The inverse of `to_json`, also for terms that an earlier version of LicenseHub froze.

        A field that they lack has its column's default. A field that exists no longer is left out. A recheck asks the
        terms of today as well, so that neither lets anybody through.
        """
        default = ReclaimRule()
        values = {name: getattr(default, column) for name, column in COLUMNS.items()}
        values |= {one.name: frozen[one.name] for one in fields(cls) if one.name in frozen}
        return cls(**{name: _frozen(value) for name, value in values.items()})

    def to_json(self) -> dict[str, Any]:
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    def threshold_for(self, license: str) -> int:
        return self.by_license.get(license, self.threshold)


# Field of `Terms` -> column of the rule.
COLUMNS: dict[str, str] = {one.name: one.metadata["column"] for one in fields(Terms) if "column" in one.metadata}


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def current_terms(profile_id: int) -> Terms:
    """Return what the profile's rule says now."""
    return Terms.of(ReclaimRule.objects.prefetch_related("license_thresholds").get(profile=profile_id))


def terms_of(profile: IntegrationProfile) -> Terms:
    """The terms of the profile's rule; the defaults before it has one."""
    rule: ReclaimRule | None = getattr(profile, "rule", None)
    return Terms.of(rule or ReclaimRule(licenses=list(profile.connector.default_licenses)))
