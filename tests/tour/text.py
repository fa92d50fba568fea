"""The text of docs/tour.md: the stops in the order of the work, each with its picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "docs" / "tour.md"
PICTURES: Final = ROOT / "docs" / "images" / "tour"
HEAD: Final = """# A tour

One job from the first sign-in to the proof, with the people of the demo: `make demo` starts it on your machine. `make
tour` takes these pictures from it again.
"""


@dataclass(frozen=True, slots=True)
class Stop:
    """One stop. `picture` is the name of a file in docs/images/tour, `shows` its text for people who do not see it."""

    picture: str
    title: str
    text: str
    shows: str

    @property
    def path(self) -> Path:
        return PICTURES / f"{self.picture}.png"


STOPS: Final = (
    Stop(
        "set-up",
        "Set up",
        "Five steps lead to the first reclaim. Each step reads its state from the data, so it shows "
        "when it breaks again. Until the last one, LicenseHub only reads.",
        "Four steps are done; the fifth says what to do next",
    ),
    Stop(
        "rule",
        "Decide who is inactive",
        "The rule says after how many days without activity a seat may be taken back, and for whom. "
        "Its effect stands beside it before anything is saved.",
        "The form of the rule, and beside it how many people it would find",
    ),
    Stop(
        "candidates",
        "Look at the candidates",
        "Each row says why the person is there. Nobody loses a seat by being in this list: a request "
        "and the approval of another person come first.",
        "A list of people with their license, last activity and the reason",
    ),
    Stop(
        "person",
        "Ask why",
        "The page of a person has every clause of the verdict with the fact behind it, and what happened before.",
        "One person with the clauses that decide, and the facts",
    ),
    Stop(
        "approval",
        "Approve, as another person",
        "The approver sees what was known when it was requested, what changed since, the limits, and "
        "what will happen. Nobody approves their own request.",
        "A request with its people, limits and consequences, and the decision below",
    ),
    Stop(
        "reject",
        "Or reject",
        "A rejection says before the click what follows: ready again at once, paused until a day, or protected.",
        "Three choices, each with its consequence",
    ),
    Stop(
        "decided",
        "Watch it happen",
        "Seconds before each deactivation LicenseHub reads the person again, and after it whether it "
        "worked. The page updates itself, failures first.",
        "An approved request with the number of verified seats",
    ),
    Stop(
        "history",
        "Keep the proof",
        "History has every reclaim with its two people, its evidence and its read-back. A restore gives the seat back.",
        "The list of reclaims, each verified",
    ),
    Stop(
        "overview",
        "See what it is worth",
        "The overview shows seats, money and what waits for you. Every number opens the rows behind it.",
        "Purchased, assigned and unused seats, the last activity of everybody who holds one, and the savings",
    ),
    Stop(
        "savings",
        "Count the savings",
        "Potential, approved, verified, bought again: each number is the sum of its rows. What was "
        "bought again is subtracted.",
        "The ledger of savings, and the rows behind one number",
    ),
    Stop(
        "my-license",
        "Ask people first",
        "If the rule says so, people are asked by mail before anybody decides. The link opens this "
        "page without signing in and without a script.",
        "The question to one person, with the buttons Keep and Release",
    ),
    Stop(
        "company",
        "In your company's words",
        "A company admin sets the name, logo and contact, and the text of each mail, and sees beside "
        "it what a person will read.",
        "The texts of the mails, and the preview beside them",
    ),
)


def tour() -> str:
    """The whole page."""
    stops = (f"\n## {stop.title}\n\n{stop.text}\n\n![{stop.shows}](images/tour/{stop.path.name})\n" for stop in STOPS)
    return HEAD + "".join(stops)
