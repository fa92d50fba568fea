"""Lines on the page of a profile: who gets the mails about its errors, and what a seat costs today."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from integrations.mail_config import mail_problem
from integrations.models import IntegrationProfile
from licensehub.translations.stored import translated
from licensehub.ui.formatting import day, name_of, number
from licensehub.ui.names import joined
from subscriptions.eligibility.terms import terms_of
from subscriptions.models import NotificationKind
from subscriptions.money.currencies import amount_text
from subscriptions.money.prices import PriceList
from subscriptions.notifications.recipients import recipients_of_errors

SHOWN_NAMES = 5
ERRORS_OF_DOWNLOAD = {
    NotificationKind.DOWNLOAD: gettext_lazy("about downloads"),
    NotificationKind.CONNECTION: gettext_lazy("about connections"),
}
ERRORS_OF_RECLAIM = {NotificationKind.ATTENTION: gettext_lazy("about refused reclaims and lost answers")}


@dataclass(frozen=True, slots=True)
class ErrorMails:
    """The names of those who get the mails about some errors; `problem` where they reach nobody."""

    about: str
    names: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class PriceLine:
    """Today's price of a license type. Both texts are empty for the types without one, which share a line."""

    license: str
    price: str
    since: str


def error_mails(profile: IntegrationProfile, kinds: Mapping[NotificationKind, Promise]) -> list[ErrorMails]:
    """One line for all kinds of errors that the same people get; none for an archived profile."""
    if profile.is_archived:
        return []
    found: dict[tuple[str, str], list[str]] = {}
    for kind, about in kinds.items():
        found.setdefault(_error_mails(profile, kind), []).append(str(about))
    return [ErrorMails(joined(about), names, problem) for (names, problem), about in found.items()]


def _error_mails(profile: IntegrationProfile, kind: NotificationKind) -> tuple[str, str]:
    """The names, and the reason why mails reach nobody."""
    people = User.objects.filter(pk__in=recipients_of_errors(kind, profile))
    names = sorted(name_of(user) for user in people)
    if not names:
        step = _(
            "Give somebody with an e-mail address the role Operator, or ask those who have it to choose a mail in"
            " “My notifications”."
        )
        if kind in ERRORS_OF_RECLAIM:
            step = _(
                "Give somebody with an e-mail address the role License manager, or ask those who have it to choose a"
                " mail in “My notifications”."
            )
        return _("Nobody"), step
    more = len(names) - SHOWN_NAMES
    if more > 0:
        names = [*names[:SHOWN_NAMES], ngettext("{} other", "{} others", more).format(number(more))]
    return joined(names), translated(mail_problem())


def price_lines(profile: IntegrationProfile) -> list[PriceLine]:
    """The license types that have a price today, in the order of the vendor, then those of the rule without one."""
    prices, in_rule = PriceList([profile]), terms_of(profile).licenses
    words = [*profile.connector.licenses, *in_rule, *(price.license for price in prices.by_id.values())]
    found, without = [], []
    for word in dict.fromkeys(words):
        if price := prices.now(profile.pk, word):
            text = f"{amount_text(price.amount, price.currency)} {price.get_per_display()}"
            since = _("{currency}, since {day}").format(currency=price.currency, day=day(price.valid_from))
            found.append(PriceLine(profile.license_label(word), text, since))
        elif word in in_rule:
            without.append(profile.license_label(word))
    return [*found, PriceLine(joined(without), "", "")] if without else found
