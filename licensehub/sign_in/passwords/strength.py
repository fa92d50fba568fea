"""Passwords that are guessed first are refused: common ones, and those made of the person's or the company's names."""

from __future__ import annotations

import re
import threading
from typing import Any, Final

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _
from zxcvbn import zxcvbn

# zxcvbn: 3 means safely unguessable, which is 10^8 to 10^10 tries. https://github.com/dropbox/zxcvbn
MIN_SCORE: Final = 3
# Letters and digits that are left without the names of the person and of the company.
MIN_OF_ITS_OWN: Final = 8
# Its time grows with the length; a longer password is judged by its beginning.
MAX_LENGTH: Final = 72
# It keeps the words of the person in a table of the module.
_one_at_a_time = threading.Lock()


class StrengthValidator:
    """`words` names a function without arguments that returns more words, e.g. the name of the company."""

    def __init__(self, words: str = "") -> None:
        self.words = words

    def validate(self, password: str, user: Any = None) -> None:
        known = [*_words_of(user), *(import_string(self.words)() if self.words else ())]
        with _one_at_a_time:
            score = zxcvbn(password[:MAX_LENGTH], user_inputs=known)["score"]
        if score < MIN_SCORE or len(_without(password, known)) < MIN_OF_ITS_OWN:
            raise ValidationError(_("This password is guessed too easily. {advice}").format(advice=_advice()))

    def get_help_text(self) -> str:
        return _advice()


def _advice() -> str:
    return _(
        "Four or more words that do not belong together are a good password. Names, dates and patterns of the "
        "keyboard, also with numbers for letters, are not."
    )


def _without(password: str, words: list[str]) -> str:
    """The letters and digits of a password that belong to none of these words."""
    rest = password.casefold()
    for word in sorted(words, key=len, reverse=True):
        rest = rest.replace(word.casefold(), " ") if len(word) > 3 else rest
    return re.sub(r"[\W_]", "", rest)


def _words_of(user: Any) -> list[str]:
    if not isinstance(user, User):
        return ["LicenseHub"]
    parts = (user.username, user.first_name, user.last_name, user.email)
    words = [word for part in parts for word in re.split(r"\W+", part) if len(word) > 2]
    return ["LicenseHub", *(part for part in parts if part), *words]
