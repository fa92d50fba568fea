"""The kinds of notifications: when there is one, who should know it, and how people get it by default."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from integrations.scopes.account_scopes import covering
from licensehub.database.clock import database_now
from subscriptions.accounts.rights import DECIDE, people_with
from subscriptions.approvals.deciders import deciders_of
from subscriptions.models import Contract, Delivery, Notification, NotificationKind, ReclaimRequest, RequestState
from subscriptions.models.reclaims.request import WAITING
from subscriptions.notifications import conditions, reclaim_conditions
from subscriptions.reports.monthly import report_settings

OPERATE = "integrations.operate_integrationprofile"
REPAIR = "integrations.change_connection"
VIEW = "subscriptions.view_reclaimrequest"
REQUEST = "subscriptions.request_removalcandidate"
PROTECT = "subscriptions.change_protection"
STOP = "integrations.stop_all_sending"
ACCOUNTS = "auth.change_user"
CONTRACT = "subscriptions.change_contract"
SEES_CONTRACT = "subscriptions.view_contract"
WEBHOOKS = "integrations.change_webhook"
SEES_REPORT = "subscriptions.view_monthlyreport"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind. `find` makes a row for each fact of this kind that is true now.

    `audience` gives the users who should know the fact now; nobody when it is no longer true. Users with `permission`
    may choose how they get it. `why` is the mail's sentence about why this user gets it.
    """

    find: Callable[[], Iterable[Notification]]
    audience: Callable[[Notification], QuerySet[User]]
    permission: str
    why: str | Promise
    meaning: str | Promise
    default: Delivery = Delivery.SINGLE
    # Whether a deputy gets it while the person is away.
    for_deputy: bool = False


def _request(notification: Notification) -> ReclaimRequest:
    """Read the request again, as it is now."""
    return ReclaimRequest.objects.get(notifications=notification)


def _deciders(notification: Notification) -> QuerySet[User]:
    request = _request(notification)
    if request.state != RequestState.OPEN or request.expires_at <= database_now():
        return User.objects.none()
    return deciders_of(request)


def _deciders_and_requester(notification: Notification) -> QuerySet[User]:
    request = _request(notification)
    deciders = Q(pk__in=deciders_of(request).values("pk"))
    requester = Q(pk__in=people_with(VIEW).filter(pk=request.requested_by_id or 0).values("pk"))
    return User.objects.filter(deciders | requester).exclude(email="")


def _accounts(notification: Notification) -> QuerySet[User]:
    request = _request(notification)
    if request.state not in WAITING or deciders_of(request).exists():
        return User.objects.none()
    return with_address(ACCOUNTS)


def with_address(permission: str) -> QuerySet[User]:
    """Everybody with this permission and an e-mail address."""
    return people_with(permission).exclude(email="")


def _while_open(permission: str) -> Callable[[Notification], QuerySet[User]]:
    """Everybody with this permission, while the notification is open."""

    def audience(notification: Notification) -> QuerySet[User]:
        holds = Notification.objects.filter(pk=notification.pk, ended_at=None).exists()
        return with_address(permission) if holds else User.objects.none()

    return audience


def _contract_people(notification: Notification) -> QuerySet[User]:
    """The users who may change contracts, and the owner, while the reminder is open."""
    if not Notification.objects.filter(pk=notification.pk, ended_at=None).exists():
        return User.objects.none()
    owners = Contract.objects.filter(profile=notification.profile_id, owner__isnull=False).values("owner")
    allowed = Q(pk__in=people_with(CONTRACT).values("pk"))
    owner = Q(pk__in=people_with(SEES_CONTRACT).filter(pk__in=owners).values("pk"))
    return User.objects.filter(allowed | owner).exclude(email="")


def _report_people(notification: Notification) -> QuerySet[User]:
    """The users whom an admin chose, while the report is open."""
    if not Notification.objects.filter(pk=notification.pk, ended_at=None).exists():
        return User.objects.none()
    return people_with(SEES_REPORT).filter(pk__in=report_settings().recipients).exclude(email="")


def _nothing() -> Iterable[Notification]:
    """Nothing to find: the expiry of a request writes the notification in its own transaction."""
    return ()


KINDS = {
    NotificationKind.OPENED: Kind(
        conditions.opened,
        _deciders,
        DECIDE,
        _("you may decide this request"),
        _("A request opens for approval, and you may decide it."),
        for_deputy=True,
    ),
    NotificationKind.ENDING: Kind(
        conditions.ending,
        _deciders,
        DECIDE,
        _("you may decide this request"),
        _("One working day is left, and nobody has decided."),
        for_deputy=True,
    ),
    NotificationKind.EXPIRED: Kind(
        _nothing,
        _deciders_and_requester,
        DECIDE,
        _("you could decide this request, or have made it"),
        _("Nobody decided in time. Nobody loses a seat by that."),
    ),
    NotificationKind.UNDECIDABLE: Kind(
        conditions.undecidable,
        _accounts,
        ACCOUNTS,
        _("you manage the accounts"),
        _("A request waits, and no account is left that may decide it."),
    ),
    NotificationKind.CONNECTION: Kind(
        conditions.connections,
        _while_open(REPAIR),
        REPAIR,
        _("you may repair it"),
        _("The vendor refuses the credentials, so nothing is downloaded or sent."),
    ),
    NotificationKind.DOWNLOAD: Kind(
        conditions.downloads,
        _while_open(OPERATE),
        OPERATE,
        _("you run the downloads"),
        _("A download is quarantined, or there was no complete one since it was due."),
    ),
    NotificationKind.TAMPERED: Kind(
        conditions.tampered,
        _while_open(STOP),
        STOP,
        _("you may release sending"),
        _("A row in the database differs from what LicenseHub wrote, so nothing is sent for this profile."),
    ),
    NotificationKind.ATTENTION: Kind(
        conditions.attention,
        _while_open(REQUEST),
        REQUEST,
        _("you manage the candidates"),
        _("The vendor refused, an answer was lost, or a person could not be reached."),
        default=Delivery.DIGEST,
    ),
    NotificationKind.PROTECTION: Kind(
        conditions.protections,
        _while_open(PROTECT),
        PROTECT,
        _("you may end protections"),
        _("A download found nobody whom a protection covered before, e.g. after a change of the company's domain."),
    ),
    NotificationKind.CONTRACT: Kind(
        conditions.contracts,
        _contract_people,
        CONTRACT,
        _("you may change the contract, or own it"),
        _("120, 90, 60 and 30 days before the last day of notice."),
    ),
    NotificationKind.FLOOR: Kind(
        conditions.floors,
        _contract_people,
        CONTRACT,
        _("you may change the contract, or own it"),
        _("Fewer licenses are free than the seat floor on the page of the contract."),
    ),
    NotificationKind.REPORT: Kind(
        conditions.reports,
        _report_people,
        SEES_REPORT,
        _("an admin chose you for it"),
        _("Seats, candidates, reclaims, restores and money of the last month, if an admin chose you for it."),
    ),
    NotificationKind.STOPPED: Kind(
        conditions.stopped,
        _while_open(STOP),
        STOP,
        _("you may allow it again"),
        _("All sending has been stopped for two days, and again every week."),
    ),
    NotificationKind.OPERATION: Kind(
        conditions.installation,
        _while_open(STOP),
        STOP,
        _("you may stop and release all sending"),
        _("The clock of a host is wrong, or somebody else writes to the broker."),
    ),
    NotificationKind.WEBHOOK: Kind(
        reclaim_conditions.webhooks,
        _while_open(WEBHOOKS),
        WEBHOOKS,
        _("you may change webhooks"),
        _("The host of a webhook has taken nothing for three days, so LicenseHub switched it off."),
    ),
    NotificationKind.DOUBT: Kind(
        reclaim_conditions.doubts,
        _while_open(REQUEST),
        REQUEST,
        _("you manage the candidates"),
        _("The vendor's answer to a reclaim was lost. LicenseHub reads back what is true."),
        default=Delivery.OFF,
    ),
    NotificationKind.CAP: Kind(
        reclaim_conditions.caps,
        _while_open(REQUEST),
        REQUEST,
        _("you manage the candidates"),
        _("Approved reclaims wait, since enough people lost their seat in the last 24 hours."),
        default=Delivery.OFF,
    ),
    NotificationKind.HELD: Kind(
        reclaim_conditions.held,
        _while_open(OPERATE),
        OPERATE,
        _("you run the profile"),
        _("Approved reclaims have waited for a quarter of an hour, since the vendor gives no clear answers."),
    ),
}


def audience_of(notification: Notification) -> QuerySet[User]:
    """The users who should know it now. Their roles hold for its profile, or for all if it concerns the company."""
    of_request = notification.request.profile_id if notification.request else None
    people = KINDS[NotificationKind(notification.kind)].audience(notification)
    return covering(people, notification.profile_id or of_request)
