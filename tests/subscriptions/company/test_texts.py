"""The texts of the notices: placeholders, refused texts, and values that must not change a text."""

from __future__ import annotations

import pytest
from django.utils.translation import override

from subscriptions.company.texts import DEFAULTS, PLACEHOLDERS, check_text, fill, keys, one_line, wording
from subscriptions.errors import Refused
from subscriptions.models import NoticeKind

VALUES = {name: name.upper() for name in PLACEHOLDERS}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("Hello {nmae}", "{nmae} is no placeholder. These exist: {name}, {license}, "),
        ("Hello {name.__class__}", "{name.__class__} is no placeholder."),
        ("Hello {}", "{} is no placeholder."),
        ("Hello {name", "A “{” has no matching brace. Write a placeholder as {name}"),
        ("Hello name}", "A “}” has no matching brace."),
        ("Hello {{name}}", "A “{” has no matching brace."),
    ],
)
def test_a_text_that_cannot_be_filled_in_is_refused_with_a_sentence(text, sentence):
    with pytest.raises(Refused) as refused:
        check_text(text)
    assert sentence in str(refused.value)


def test_every_default_is_accepted_and_every_placeholder_is_filled_in():
    for text in DEFAULTS.values():
        check_text(str(text))
    text = " ".join(f"{{{name}}}" for name in PLACEHOLDERS)
    check_text(text)
    assert fill(text, VALUES) == " ".join(name.upper() for name in PLACEHOLDERS)


def test_values_stay_what_they_are():
    values = {**VALUES, "name": "{company}\r\nBcc: all@x.example\u202e", "activity": "A.\n\nB."}
    assert fill("Hello {name}, {contact}", {**values, "name": ""}) == "Hello, CONTACT"
    found = wording(NoticeKind.ASK, values, {"ask_en_subject": "For {name}", "ask_en_text": "{activity}\n{name}"})
    assert found.subject == "For {company} Bcc: all@x.example" == one_line(found.subject)
    assert found.paragraphs == ("A. B.\n{company} Bcc: all@x.example",)


def test_each_language_has_its_own_text_and_the_reminder_keeps_the_question_as_its_heading():
    own = {"ask_de_subject": "Noch gebraucht?", "reminder_en_subject": "Last call"}
    with override("de-at"):
        assert wording(NoticeKind.REMINDER, VALUES, own).heading == "Noch gebraucht?"
    with override("en-us"):
        found = wording(NoticeKind.REMINDER, VALUES, own)
    assert (found.subject, found.heading) == ("Last call", "Do you still need your LICENSE?")
    assert len(keys()) == 8 == len(set(keys()))
