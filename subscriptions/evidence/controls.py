"""The controls, and the files of a pack that support them.

A pack supports a judgment; it fulfills no control by itself.
"""

from __future__ import annotations

from typing import NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _


class Control(NamedTuple):
    """`files` are names of files of the pack."""

    name: str
    topic: str | Promise
    says: str | Promise
    files: tuple[str, ...]


CONTROLS = (
    Control(
        "ISO/IEC 27001:2022, A.5.18",
        _("Access rights: review, change and removal"),
        _(
            "Supports showing that unused rights are found by a rule, that a second person decides, and that the "
            "removal is carried out and checked."
        ),
        ("people.csv", "requests.jsonl", "calls.csv", "read_back.csv"),
    ),
    Control(
        "SOC 2, CC6.2",
        _("Access is removed when it is no longer authorized"),
        _(
            "Supports showing when each seat was removed, on whose approval, and that the vendor no longer shows it as "
            "active."
        ),
        ("requests.jsonl", "calls.csv", "read_back.csv"),
    ),
    Control(
        "SOC 2, CC6.3",
        _("Access is changed by role, with least privilege and separation of duties"),
        _(
            "Supports showing that nobody approved their own request, and that people were asked and could keep the "
            "seat."
        ),
        ("requests.jsonl", "questions.csv", "answers.csv", "restores.csv"),
    ),
    Control(
        "DORA, Regulation (EU) 2022/2554, Art. 9(4)(c)",
        _("Policies that limit logical access to what is needed"),
        _("Supports showing that access to an ICT third-party service is reviewed and limited to people who use it."),
        ("people.csv", "requests.jsonl", "calls.csv"),
    ),
    Control(
        "DORA, Delegated Regulation (EU) 2024/1774, Art. 12",
        _("Logs that are protected against tampering"),
        _(
            "Supports showing that the records up to the last anchor were not altered. Later records are only "
            "plausible."
        ),
        ("events.jsonl", "anchors.jsonl", "verify.py"),
    ),
)
LIMITS = _(
    "This pack supports the controls below with records. The auditor judges whether a control is designed well and "
    "operates effectively. The pack says nothing about accounts at other services, or about access to LicenseHub "
    "itself."
)
