"""Each license type of a profile: bought, used and free, and the seat floor below which colleagues get a mail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Count
from django.utils.translation import gettext as _

from integrations.models import IntegrationProfile
from licensehub.audit.actions import Action
from licensehub.audit.log import record
from licensehub.ui.formatting import number
from licensehub.ui.time_zones import company_day
from subscriptions.accounts.scope import refuse_outside
from subscriptions.eligibility.people_counts import current_counts
from subscriptions.eligibility.terms import terms_of
from subscriptions.errors import Refused
from subscriptions.models import Contract, DownloadRun, RemovalCandidate, SeatFloor

MAX_FLOOR = 10_000_000


@dataclass(frozen=True, slots=True)
class LicenseUse:
    """The use of one license type. `bought` is None if it is unknown, `floor` is None if nobody entered one."""

    license: str
    label: str
    bought: int | None
    used: int
    candidates: int
    floor: int | None

    @property
    def free(self) -> int | None:
        return None if self.bought is None else self.bought - self.used

    @property
    def is_short(self) -> bool:
        return self.floor is not None and self.free is not None and self.free < self.floor


def licenses_of(profile: IntegrationProfile) -> list[LicenseUse]:
    """The license types that somebody holds or bought, that the rule names, or that have a floor."""
    labels, held = profile.connector.licenses, current_counts(profile).held()
    bought = bought_of(profile)
    floors = dict(SeatFloor.objects.filter(profile=profile).values_list("license", "seats"))
    open_candidates = RemovalCandidate.objects.open().filter(profile=profile).order_by()
    candidates = dict(open_candidates.values_list("license").annotate(Count("pk")))
    known = {*held, *bought, *floors, *terms_of(profile).licenses}
    order = [word for word in labels if word in known] + sorted(known - labels.keys())
    return [
        LicenseUse(
            word,
            profile.license_label(word),
            bought.get(word),
            held[word],
            candidates.get(word, 0),
            floors.get(word),
        )
        for word in order
    ]


def bought_of(profile: IntegrationProfile) -> dict[str, int]:
    """License type -> seats bought: as the vendor said at the last download that tells, else by a contract in force."""
    today = company_day()
    contract = Contract.objects.filter(profile=profile, starts__lte=today, renews_on__gt=today).first()
    entered = {contract.license: contract.seats} if contract else {}
    return {**entered, **bought_by_vendor(profile)}


def bought_by_vendor(profile: IntegrationProfile) -> dict[str, int]:
    """License type -> seats bought, as the vendor said at the last download that tells. Empty if it never did."""
    run = DownloadRun.objects.with_facts().filter(profile=profile).exclude(purchased={}).first()
    return dict(run.purchased) if run else {}


def floors_of(profile: IntegrationProfile) -> list[LicenseUse]:
    """The license types with a floor."""
    if not SeatFloor.objects.filter(profile=profile).exists():
        return []
    return [use for use in licenses_of(profile) if use.floor is not None]


def short_licenses(profile: IntegrationProfile) -> list[LicenseUse]:
    """The license types with fewer free licenses than their floor."""
    return [use for use in floors_of(profile) if use.is_short]


def few_free(use: LicenseUse) -> str:
    """`12 free, fewer than 40`"""
    return _("{free} free, fewer than {floor}").format(free=number(use.free or 0), floor=number(use.floor or 0))


def set_floors(profile: IntegrationProfile, wanted: Mapping[str, int | None], *, actor: User) -> bool:
    """Set the floor of these license types; None removes one. Returns whether one has changed. Raises Refused."""
    refuse_outside(actor, profile.pk)
    if any(seats is not None and not 1 <= seats <= MAX_FLOOR for seats in wanted.values()):
        raise Refused(_("A seat floor is a number of licenses, at least 1. Leave it empty for none."))
    with transaction.atomic():
        IntegrationProfile.objects.select_for_update().get(pk=profile.pk)
        known = dict(SeatFloor.objects.filter(profile=profile).values_list("license", "seats"))
        changed = {license: seats for license, seats in wanted.items() if known.get(license) != seats}
        for license, seats in changed.items():
            if seats is None:
                SeatFloor.objects.filter(profile=profile, license=license).delete()
            else:
                SeatFloor.objects.update_or_create(profile=profile, license=license, defaults={"seats": seats})
        if changed:
            before = {license: known.get(license) for license in changed}
            record(Action.SEAT_FLOOR_SET, actor=actor, target=profile, data={"before": before, "after": changed})
    return bool(changed)
