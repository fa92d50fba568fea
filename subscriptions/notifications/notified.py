"""The people who were notified about a request, and how: for the request's page and for the overview."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from licensehub.translations.stored import translated
from licensehub.ui.formatting import day_and_time, inside, name_of
from subscriptions.models import NoticeState, NotificationKind, NotificationMail, NotificationRecipient, ReclaimRequest

SHORT = {
    NotificationKind.OPENED: gettext_lazy("request waits"),
    NotificationKind.ENDING: gettext_lazy("request ends soon"),
    NotificationKind.EXPIRED: gettext_lazy("request expired"),
    NotificationKind.UNDECIDABLE: gettext_lazy("nobody may decide the request"),
}


@dataclass(slots=True)
class Notified:
    """One person, and a line for each notification that the person got."""

    name: str
    lines: list[str] = field(default_factory=list)


def notified_about(request: ReclaimRequest) -> list[Notified]:
    """Everybody who gets a mail about this request, in the order of their first notification."""
    rows = NotificationRecipient.objects.filter(notification__request=request).order_by("pk")
    found: dict[int, Notified] = {}
    for row in rows.select_related("user", "instead_of", "notification", "mail"):
        person = found.setdefault(row.user_id, Notified(name_of(row.user)))
        what = SHORT[NotificationKind(row.notification.kind)]
        said = _("{what}, as the deputy of {name}: {state}") if row.instead_of else _("{what}: {state}")
        person.lines.append(said.format(what=what, name=name_of(row.instead_of), state=_state(row.mail)))
    return list(found.values())


def _state(mail: NotificationMail | None) -> str:
    if mail is None:
        return _("in the next daily mail")
    if mail.state == NoticeState.SENT:
        return _("mailed {time}").format(time=day_and_time(mail.sent_at))
    label = inside(mail.get_state_display())
    return f"{label}. {translated(mail.problem)}" if mail.problem else label


def notified_names(requests: Iterable[ReclaimRequest]) -> list[str]:
    """The people to whom at least one mail about these requests was handed over."""
    rows = NotificationRecipient.objects.filter(notification__request__in=list(requests), mail__state=NoticeState.SENT)
    return sorted({name_of(row.user) for row in rows.select_related("user")})
