"""The answers of the people in a request who were asked whether they keep their seat."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.utils.translation import gettext as _

from licensehub.ui.formatting import ago, day
from subscriptions.models import Answer, ReclaimRequest, RequestedRemoval, RequestState


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer of one person, for the table; `tone` as for a badge."""

    text: str
    detail: str
    tone: str
    icon: str


@dataclass(frozen=True, slots=True)
class AnswerCounts:
    """The number of people who were asked, and of those who gave each answer."""

    asked: int
    keep: int
    release: int

    @property
    def answered(self) -> int:
        return self.keep + self.release

    @property
    def silent(self) -> int:
        return self.asked - self.answered

    @property
    def percent(self) -> int:
        return round(100 * self.answered / self.asked) if self.asked else 0


def reply_of(removal: RequestedRemoval, request: ReclaimRequest) -> Reply | None:
    """None when nobody was asked."""
    if request.answers_until is None:
        return None
    when = f"{day(removal.answered_at)} · {ago(removal.answered_at)}" if removal.answered_at else ""
    if removal.answer == Answer.KEEP:
        return Reply(str(Answer.KEEP.label), when, "warning", "front_hand")
    if removal.answer == Answer.RELEASE:
        return Reply(str(Answer.RELEASE.label), when, "ok", "check")
    if request.state == RequestState.COLLECTING:
        return Reply(_("No answer yet"), _("until {day}").format(day=day(request.answers_until)), "neutral", "mail")
    return Reply(_("No answer"), _("asked until {day}").format(day=day(request.answers_until)), "neutral", "mail")


def answer_counts(request: ReclaimRequest, removals: Iterable[RequestedRemoval]) -> AnswerCounts | None:
    """Counts all people who were asked, dropped or not. None when nobody was asked."""
    if request.answers_until is None:
        return None
    answers = [removal.answer for removal in removals]
    return AnswerCounts(len(answers), answers.count(Answer.KEEP), answers.count(Answer.RELEASE))
