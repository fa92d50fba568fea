"""An event in words: a title and a few lines, for messages and tickets, in the language of the webhook."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from django.conf import settings
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from integrations.models import WebhookDelivery
from licensehub.translations.stored import translated
from licensehub.ui.formatting import day_and_time, number
from licensehub.ui.names import joined
from subscriptions.money.currencies import amount_text
from subscriptions.webhooks.events import Event

Data = Mapping[str, Any]
MAX_NAMED: Final = 10


@dataclass(frozen=True, slots=True)
class Message:
    """`profile` is the name of the organization, "" for a test. `lines` are sentences. `link` leads to the page."""

    title: str
    lines: list[str]
    profile: str
    link: str

    @property
    def subject(self) -> str:
        return f"{self.profile}: {self.title}" if self.profile else self.title


def message_of(row: WebhookDelivery) -> Message:
    """The words of this event. Call it under `translation.override` with the language of the reader."""
    data, details = row.content["data"], row.content.get("details", {})
    title, lines = WORDS[Event(row.event)](data)
    profile = row.profile.organization_label if row.profile else ""
    return Message(title, [*lines, *_said(details)], profile, link_of(row))


def link_of(row: WebhookDelivery) -> str:
    return f"{settings.PUBLIC_URL}{row.content['path']}"


def _waits(data: Data) -> tuple[str, list[str]]:
    count = data["people"]
    title = ngettext("{count} seat waits for a decision", "{count} seats wait for a decision", count)
    return title.format(count=number(count)), [_request(data), _until(data)]


def _ends_soon(data: Data) -> tuple[str, list[str]]:
    count = data["people"]
    title = ngettext(
        "A request for {count} seat ends soon, and nobody has decided",
        "A request for {count} seats ends soon, and nobody has decided",
        count,
    )
    return title.format(count=number(count)), [_request(data), _until(data)]


def _decided(data: Data) -> tuple[str, list[str]]:
    count = data["people"]
    approved = data["decision"] == "approved"
    title = (
        ngettext("A request for {count} seat was approved", "A request for {count} seats was approved", count)
        if approved
        else ngettext("A request for {count} seat was rejected", "A request for {count} seats was rejected", count)
    )
    return title.format(count=number(count)), [_request(data)]


def _expired(data: Data) -> tuple[str, list[str]]:
    count = data["people"]
    title = ngettext(
        "A request for {count} seat expired, nobody decided",
        "A request for {count} seats expired, nobody decided",
        count,
    )
    return title.format(count=number(count)), [_request(data)]


def _quarantined(data: Data) -> tuple[str, list[str]]:
    text = _("The download of {time} cannot be true, so it changed nothing.")
    return _("A download is quarantined"), [text.format(time=_moment(data["started_at"]))]


def _missing(data: Data) -> tuple[str, list[str]]:
    return _("There is no complete download, although one was due"), [_("Meanwhile nobody becomes a candidate.")]


def _failed(data: Data) -> tuple[str, list[str]]:
    text = _("Until it works again, nothing is sent to the vendor. Approved reclaims wait and are not lost.")
    return _("A connection does not work. Somebody must reconnect it"), [text]


def _in_doubt(data: Data) -> tuple[str, list[str]]:
    count = data["items"]
    title = ngettext("The answer to {count} reclaim was lost", "The answers to {count} reclaims were lost", count)
    return title.format(count=number(count)), [_("LicenseHub reads them back, and never sends blindly again.")]


def _cap(data: Data) -> tuple[str, list[str]]:
    count = data["waiting"]
    text = ngettext("{count} approved reclaim waits.", "{count} approved reclaims wait.", count)
    return _("The cap for 24 hours is reached"), [text.format(count=number(count))]


def _savings(data: Data) -> tuple[str, list[str]]:
    month = date_format(date.fromisoformat(f"{data['month']}-01"), "F Y")
    saved = joined([amount_text(Decimal(one), code) for code, one in sorted(data["saved_per_year"].items())])
    count = data["reclaimed"]
    text = ngettext("{count} seat was reclaimed in the month.", "{count} seats were reclaimed in the month.", count)
    lines = [text.format(count=number(count))]
    if saved:
        lines.append(_("Saved: {amount} per year.").format(amount=saved))
    return _("Savings of {month}").format(month=month), lines


def _test(data: Data) -> tuple[str, list[str]]:
    return _("A test of LicenseHub"), [_("There is nothing to do. Somebody has pressed “Send a test”.")]


WORDS: Final[Mapping[Event, Callable[[Data], tuple[str, list[str]]]]] = {
    Event.REQUEST_WAITS: _waits,
    Event.REQUEST_ENDS_SOON: _ends_soon,
    Event.REQUEST_DECIDED: _decided,
    Event.REQUEST_EXPIRED: _expired,
    Event.DOWNLOAD_QUARANTINED: _quarantined,
    Event.DOWNLOAD_MISSING: _missing,
    Event.CONNECTION_FAILED: _failed,
    Event.RECLAIM_IN_DOUBT: _in_doubt,
    Event.CAP_REACHED: _cap,
    Event.SAVINGS_MONTHLY: _savings,
    Event.TEST: _test,
}


def _request(data: Data) -> str:
    if data["direction"] == "deactivate":
        return _("{request}: take back seats.").format(request=data["number"])
    return _("{request}: give back seats.").format(request=data["number"])


def _until(data: Data) -> str:
    return _("Please decide by {time}.").format(time=_moment(data["expires_at"]))


def _moment(text: str) -> str:
    return day_and_time(datetime.fromisoformat(text))


def _said(details: Data) -> list[str]:
    """The names and texts, for a webhook that has them."""
    lines = []
    if name := details.get("requested_by"):
        lines.append(_("Requested by {name}.").format(name=name))
    if name := details.get("decided_by"):
        lines.append(_("Decided by {name}.").format(name=name))
    if comment := details.get("comment"):
        lines.append(_("Comment: “{comment}”").format(comment=comment))
    if people := details.get("people"):
        named = joined([one["name"] or one["email"] for one in people[:MAX_NAMED]])
        lines.append(_("People: {people}").format(people=named))
    if problem := details.get("problem"):
        lines.append(translated(problem))
    return lines
