"""The overview: the health of a profile, its numbers, and the work that waits. Each number links to its list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Count
from django.http import HttpRequest
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.models import IntegrationProfile, ProfileState
from licensehub.database.clock import database_now
from licensehub.site.dashboard.health_strip import health_strip
from licensehub.site.dashboard.links import exported, listed, page
from licensehub.site.dashboard.savings_card import savings_card
from licensehub.site.dashboard.set_up import is_set_up, set_up
from licensehub.translations.stored import translated
from licensehub.ui.formatting import ago, day_and_time, number
from licensehub.ui.lists import counts
from subscriptions.accounts.rights import DECIDE, may
from subscriptions.admin.downloads.actions import progress_of
from subscriptions.admin.profiles.profile_page import is_due
from subscriptions.admin.widgets.charts import histogram_of, trend
from subscriptions.approvals.closing import expired_in_a_row
from subscriptions.approvals.deciders import undecidable
from subscriptions.eligibility.terms import terms_of
from subscriptions.models import (
    CandidateState,
    Direction,
    DownloadRun,
    Reclaim,
    ReclaimRequest,
    ReclaimState,
    RequestState,
    RunState,
    Verdict,
)
from subscriptions.models.download import UNDER_WAY
from subscriptions.models.protection import ENDS_SOON
from subscriptions.models.reclaims.request import WAITING
from subscriptions.models.subscription import LEFT_OUT, REVIEW_LABELS
from subscriptions.notifications.notified import notified_names
from subscriptions.notifications.texts import MANY_EXPIRED
from subscriptions.stats import ProfileStats, profile_stats

TREND_RUNS = 12
# So many waiting requests are looked at, those that end first.
LOOKED_AT = 20
SHOWN_NAMES = 3
# The number of a week ago is that of the download nearest to it, if one is near enough.
WEEK, ABOUT = timedelta(days=7), timedelta(days=2)
SEES = "subscriptions.view_subscription"
OPERATE = "integrations.operate_integrationprofile"


@dataclass(frozen=True, slots=True)
class Tile:
    label: str
    number: str
    text: str
    link: str
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """One line of work that needs a person. It is shown when `count` is not 0, and `title` has the count."""

    count: int
    icon: str
    title: str
    text: str
    link: str


NOTHING = Waiting(0, "", "", "", "")


def overview(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """unfold's DASHBOARD_CALLBACK."""
    context["title"] = _("Overview")
    if not request.user.has_perm("integrations.view_integrationprofile"):
        return {**context, "blind": True}
    in_use = IntegrationProfile.objects.in_use()
    known = list(in_use.select_related("rule").prefetch_related("rule__license_thresholds"))
    chosen = _chosen(known, request.GET.get("profile", ""))
    if chosen is None:
        return {**context, "set_up": set_up(None, None, request.user)}
    switch = known if len(known) > 1 else []
    return {**context, "profile": chosen, "profiles": switch, **_profile_context(chosen, request, bool(switch))}


def _chosen(known: list[IntegrationProfile], wanted: str) -> IntegrationProfile | None:
    """The profile of the address, else the first published one, else the first."""
    asked = [profile for profile in known if str(profile.pk) == wanted]
    published = [profile for profile in known if profile.state == ProfileState.PUBLISHED]
    return next(iter([*asked, *published, *known]), None)


def _profile_context(profile: IntegrationProfile, request: HttpRequest, several: bool) -> dict[str, Any]:
    user = request.user
    runs = list(DownloadRun.objects.with_facts().filter(profile=profile)[:TREND_RUNS])
    last = runs[0] if runs else None
    newest = DownloadRun.objects.filter(profile=profile).first()
    in_doubt = Reclaim.objects.filter(profile=profile, state=ReclaimState.IN_DOUBT).order_by()
    doubts = dict(in_doubt.values_list("direction").annotate(n=Count("pk")))
    scope = {"profile__id__exact": profile.pk} if several else {}
    found: dict[str, Any] = {"health": health_strip(profile, newest, last, doubts, scope, user), "last": last}
    quarantined = _quarantined(newest, user)
    found["waiting"] = _shown([quarantined])
    found["set_up"] = None if is_set_up() else set_up(profile, last, user)
    if not user.has_perm(SEES):
        return {**found, "no_numbers": True}
    if last is None:
        running = DownloadRun.objects.filter(profile=profile, state__in=UNDER_WAY).first()
        return {
            **found,
            "waiting_for_download": True,
            "running": progress_of(running) if running else None,
            "due": is_due(profile),
        }
    numbers, terms = profile_stats(profile, last), terms_of(profile)
    return {
        **found,
        "lead": _lead(profile, numbers),
        "facts_of": f"{day_and_time(last.finished_at)} ({ago(last.finished_at)})",
        "counted_of": "" if numbers.people.live else f"{day_and_time(numbers.people.at)} ({ago(numbers.people.at)})",
        "export": exported("subscription", **scope, verdict=Verdict.CANDIDATE.value),
        "tiles": _tiles(profile, numbers, terms.threshold, runs, scope),
        "histogram": histogram_of(numbers.people, terms.threshold),
        "bar_link": listed("subscription", **scope),
        "bar_joint": "&" if scope else "?",
        "trend": trend(runs[::-1], numbers.people),
        "licenses": _licenses(profile, numbers, scope),
        "savings": savings_card(profile, user, last_counts=not numbers.people.live, attention=numbers.attention),
        "waiting": _shown([quarantined, *_waiting(profile, numbers, doubts, scope, user)]),
    }


def _lead(profile: IntegrationProfile, numbers: ProfileStats) -> str:
    labels = profile.connector.licenses
    some = list(numbers.by_license.items())[:3]
    types = [f"{number(count)} {labels.get(license, license)}" for license, count in some]
    if others := numbers.held - sum(count for _license, count in some):
        types.append(ngettext("{count} other", "{count} others", others).format(count=number(others)))
    members = ngettext("{count} member", "{count} members", numbers.members).format(count=number(numbers.members))
    held = ngettext("{count} seat", "{count} seats", numbers.held).format(count=number(numbers.held))
    return f"{members}; {held}: {', '.join(types)}" if types else members


def _tiles(
    profile: IntegrationProfile, numbers: ProfileStats, threshold: int, runs: list[DownloadRun], scope: dict[str, Any]
) -> list[Tile]:
    people = partial(listed, "subscription", **scope)
    paid = {"seat": "held", "license__in": ",".join(numbers.paid)}
    candidates = people(verdict=Verdict.CANDIDATE.value)
    asked = ngettext("request, {seats}", "requests, {seats}", numbers.requests.number).format(
        seats=_seats(numbers.requested_people)
    )
    open_requests = listed("reclaimrequest", **scope, state__exact=RequestState.OPEN.value)
    last_run = page("subscriptions_downloadrun", runs[0].pk)
    changed = _against_last_week(numbers.inactive, runs)
    return [
        Tile(_("Purchased"), _number(numbers.purchased), _free(profile, numbers), last_run),
        Tile(_("Assigned"), _number(numbers.assigned), _share(numbers), people(**paid)),
        Tile(
            ngettext("Inactive over {days} day", "Inactive over {days} days", threshold).format(days=number(threshold)),
            _number(numbers.inactive),
            changed or _("candidates by the rule"),
            candidates,
            "beyond",
        ),
        Tile(
            _("Never active"),
            _number(numbers.never),
            _("{count} to review").format(count=number(numbers.never_in_review)),
            people(idle="never"),
            "never",
        ),
        Tile(
            _("Protected or not removable"),
            _number(numbers.protected),
            _("never proposed"),
            people(verdict=",".join(LEFT_OUT)),
        ),
        Tile(_("Awaiting approval"), str(numbers.requests), asked, open_requests),
    ]


def _share(numbers: ProfileStats) -> str:
    if not numbers.purchased:
        return _("paid seats in use")
    percent = number(numbers.assigned / numbers.purchased * 100, digits=1)
    return _("{percent}% of purchased").format(percent=percent)


def _against_last_week(inactive: int, runs: list[DownloadRun]) -> str:
    """`19 fewer than a week ago`; empty where no download of about a week ago says how many there were."""
    wanted = database_now() - WEEK
    known = [(abs(run.finished_at - wanted), run.stats) for run in runs if run.finished_at and "verdicts" in run.stats]
    if not known or min(known, key=lambda one: one[0])[0] > ABOUT:
        return ""
    stats = min(known, key=lambda one: one[0])[1]
    apart = inactive - int(stats["verdicts"].get(Verdict.CANDIDATE, 0))
    if not apart:
        return _("as many as a week ago")
    if apart > 0:
        return _("{count} more than a week ago").format(count=number(apart))
    return _("{count} fewer than a week ago").format(count=number(-apart))


def _number(value: int | None) -> str:
    return "–" if value is None else number(value)


def _seats(count: counts.Count) -> str:
    return ngettext("{count} seat", "{count} seats", count.number).format(count=count)


def _free(profile: IntegrationProfile, numbers: ProfileStats) -> str:
    if numbers.purchased is None:
        return _("{vendor} does not report it").format(vendor=capfirst(profile.vendor))
    left = numbers.purchased - numbers.assigned
    if left < 0:
        return _("{count} more assigned").format(count=number(-left))
    return ngettext("{count} seat free", "{count} seats free", left).format(count=number(left))


def _licenses(profile: IntegrationProfile, numbers: ProfileStats, scope: dict[str, Any]) -> list[dict[str, Any]]:
    """Held seats by license type; `width` is a share of the largest, for the bar."""
    largest = max(numbers.by_license.values(), default=1)
    return [
        {
            "label": profile.license_label(license) or _("Unknown"),
            "count": count,
            "width": round(count / largest * 100, 1),
            "paid": license in numbers.paid,
            "link": listed("subscription", **scope, seat="held", license=license),
        }
        for license, count in numbers.by_license.items()
    ]


def _waiting(
    profile: IntegrationProfile,
    numbers: ProfileStats,
    doubts: Mapping[str, int],
    scope: dict[str, Any],
    user: User | AnonymousUser,
) -> list[Waiting]:
    """The work that needs a person, the most urgent first. A quarantined download is shown elsewhere."""
    return [
        _undecidable(profile, scope),
        _expired_in_a_row(profile, scope),
        _to_decide(numbers, scope, user),
        _lost_protections(numbers, scope, user),
        *(_doubts_of(profile, scope, direction, doubts.get(direction, 0)) for direction in Direction),
        _with_attention(numbers, scope),
        _to_review(numbers, scope),
        _ending_protections(numbers, scope, user),
    ]


def _shown(lines: list[Waiting]) -> list[dict[str, str]]:
    return [
        {"icon": line.icon, "title": line.title, "text": line.text, "link": line.link} for line in lines if line.count
    ]


def _quarantined(newest: DownloadRun | None, user: User | AnonymousUser) -> Waiting:
    """The newest run, if it is quarantined, for people who may decide what happens to it."""
    if newest is None or newest.state != RunState.QUARANTINED or not user.has_perm(OPERATE):
        return NOTHING
    link = page("subscriptions_downloadrun", newest.pk)
    return Waiting(1, "gpp_maybe", _("1 download is quarantined"), translated(newest.problem), link)


def _undecidable(profile: IntegrationProfile, scope: dict[str, Any]) -> Waiting:
    waiting = ReclaimRequest.objects.filter(profile=profile, state__in=WAITING).order_by("expires_at")
    stuck = undecidable(profile, waiting.only("requested_by", "requested_at", "cap_raised_by")[:LOOKED_AT])
    count = len(stuck)
    return Waiting(
        count,
        "person_off",
        ngettext("{count} request that nobody may decide", "{count} requests that nobody may decide", count).format(
            count=number(count)
        ),
        _("No account is left with the right, an e-mail address, and no part in it"),
        page("subscriptions_reclaimrequest", stuck[0].pk) if count == 1 else listed("reclaimrequest", **scope),
    )


def _expired_in_a_row(profile: IntegrationProfile, scope: dict[str, Any]) -> Waiting:
    """Requests that expired in a row, from the second one on: perhaps nobody knows of them."""
    expired = expired_in_a_row(profile)
    if len(expired) < MANY_EXPIRED:
        return NOTHING
    names = notified_names(expired)
    shown, more = ", ".join(names[:SHOWN_NAMES]), len(names) - SHOWN_NAMES
    sent = _("No mail went out: nobody could be notified")
    if names:
        sent = _("Mails went to {names}").format(names=shown)
    if more > 0:
        sent = _("Mails went to {names} and {count} more").format(names=shown, count=number(more))
    return Waiting(
        len(expired),
        "timer_off",
        _("{count} requests in a row expired without a decision").format(count=number(len(expired))),
        sent,
        listed("reclaimrequest", **scope, state__exact=RequestState.EXPIRED.value),
    )


def _to_decide(numbers: ProfileStats, scope: dict[str, Any], user: User | AnonymousUser) -> Waiting:
    found = numbers.requests
    title = ngettext(
        "{count} request waiting for an approver", "{count} requests waiting for an approver", found.number
    )
    if may(user, DECIDE):
        title = ngettext("{count} request to decide", "{count} requests to decide", found.number)
    return Waiting(
        found.number,
        "approval_delegation",
        title.format(count=found),
        _("{seats} in all").format(seats=_seats(numbers.requested_people)),
        listed("reclaimrequest", **scope, state__exact=RequestState.OPEN.value),
    )


def _lost_protections(numbers: ProfileStats, scope: dict[str, Any], user: User | AnonymousUser) -> Waiting:
    count = numbers.lost_protections.number if user.has_perm("subscriptions.view_protection") else 0
    return Waiting(
        count,
        "person_off",
        ngettext(
            "{count} protection covers nobody any more", "{count} protections cover nobody any more", count
        ).format(count=numbers.lost_protections),
        _("LicenseHub files no request by itself until somebody has looked"),
        listed("protection", **scope, state__exact="lost"),
    )


def _ending_protections(numbers: ProfileStats, scope: dict[str, Any], user: User | AnonymousUser) -> Waiting:
    count = numbers.ending_protections.number if user.has_perm("subscriptions.view_protection") else 0
    return Waiting(
        count,
        "event_upcoming",
        ngettext(
            "{count} protection ends within {days} days", "{count} protections end within {days} days", count
        ).format(count=numbers.ending_protections, days=number(ENDS_SOON.days)),
        _("After its end, the rule decides about these people again"),
        listed("protection", **scope, state__exact="ends_soon"),
    )


def _doubts_of(profile: IntegrationProfile, scope: dict[str, Any], direction: Direction, count: int) -> Waiting:
    title = ngettext("{count} restore in doubt", "{count} restores in doubt", count)
    if direction == Direction.DEACTIVATE:
        title = ngettext("{count} reclaim in doubt", "{count} reclaims in doubt", count)
    return Waiting(
        count,
        "help",
        title.format(count=number(count)),
        _("{vendor}'s answer was lost; LicenseHub reads before it acts").format(vendor=capfirst(profile.vendor)),
        listed("reclaim", **scope, state__exact=ReclaimState.IN_DOUBT.value, direction__exact=direction.value),
    )


def _with_attention(numbers: ProfileStats, scope: dict[str, Any]) -> Waiting:
    count = numbers.attention.number
    return Waiting(
        count,
        "error",
        ngettext(
            "{count} candidate with attention required", "{count} candidates with attention required", count
        ).format(count=numbers.attention),
        _("A person has to look before anything continues"),
        listed("removalcandidate", **scope, state__exact=CandidateState.ATTENTION_REQUIRED.value),
    )


def _to_review(numbers: ProfileStats, scope: dict[str, Any]) -> Waiting:
    return Waiting(
        numbers.review,
        "rule",
        ngettext("{count} subscription to review", "{count} subscriptions to review", numbers.review).format(
            count=number(numbers.review)
        ),
        _("{reasons}. In no request until you decide").format(reasons=REVIEW_LABELS),
        listed("persontoreview", **({"profile": scope["profile__id__exact"]} if scope else {})),
    )
