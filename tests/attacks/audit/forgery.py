"""Attacks on the audit by somebody with the database: each changes the rows, and says what must be found."""

from __future__ import annotations

import copy
import hmac
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from licensehub.audit.chain.offline_verifier import EMPTY, Kind, body_digest, canonical, chain_hash, text_digest
from licensehub.audit.models import AuditEvent, ChainHead

Row = dict[str, Any]


@dataclass
class Forged:
    """The rows after an attack, the head, and what must be found: one of the kinds, at one of the positions."""

    rows: list[Row]
    head: tuple[int, str]
    kinds: frozenset[Kind]
    first: int
    last: int
    what: str
    # Only LicenseHub can see it: the extract has no signatures and no head.
    only_inside: bool = False


def read() -> list[Row]:
    return [dict(row) for row in AuditEvent.objects.order_by("sequence").values()]


def write(forged: Forged) -> None:
    """Replace the table. The triggers are off."""
    AuditEvent.objects.all().delete()
    AuditEvent.objects.bulk_create(AuditEvent(**row) for row in forged.rows)
    ChainHead.objects.update(sequence=forged.head[0], hash=forged.head[1])


def regrow(rows: list[Row], place: int, key: str) -> None:
    """Make the numbers, digests, hashes and signatures of the rows from this place anew, with this key."""
    for at in range(place, len(rows)):
        row = rows[at]
        row["sequence"] = at + 1
        row["previous_hash"] = rows[at - 1]["hash"] if at else EMPTY
        row["text_digest"] = text_digest(row["salt"], row["target_label"], canonical(row["data"]))
        row["hash"] = hash_of(row)
        row["hmac"] = hmac.digest(key.encode(), row["hash"].encode(), "sha256").hex()


def hash_of(row: Row) -> str:
    who = (row["action"], row["actor_id"], row["actor_name"], row["target_type"], row["target_id"])
    digest = body_digest(row["sequence"], row["at"].isoformat(), *who, row["text_digest"], str(row["correlation"]))
    return chain_hash(row["previous_hash"], digest)


class Attacker:
    """Draws attacks on the same audit. `anchored` is the last event that an anchor outside knows."""

    def __init__(self, rows: list[Row], anchored: int, key: str, seed: int) -> None:
        self._rows, self._anchored, self._key = rows, anchored, key
        self._random = random.Random(seed)  # noqa: S311 - no secret
        self.attacks: list[Callable[[], Forged]] = [
            *[self.edit] * 4,
            *(self.edit_and_hash, self.delete, self.delete_and_renumber, self.insert, self.repeat, self.swap),
            *(self.cut, self.regrow, self.append, self.wipe, self.erase, self.set_head, self.backdate),
        ]

    def draw(self) -> Forged:
        self.rows = copy.deepcopy(self._rows)
        return self._random.choice(self.attacks)()

    def _forged(
        self,
        kinds: set[Kind],
        first: int,
        what: str,
        last: int | None = None,
        *,
        head: bool = True,
        inside: bool = False,
    ) -> Forged:
        """`head`: the attacker also sets the head to the new end."""
        end = self.rows if head else self._rows
        at = (end[-1]["sequence"], end[-1]["hash"]) if end else (0, EMPTY)
        return Forged(self.rows, at, frozenset(kinds), first, last or first, what, inside)

    def _place(self, end: int | None = None) -> int:
        return self._random.randrange(end or len(self.rows))

    def _other_key(self) -> str:
        return f"a key that somebody guessed {self._random.random()}"

    def edit(self) -> Forged:
        place = self._place()
        row = self.rows[place]
        column = self._random.choice([name for name in row if name != "sequence"])
        row[column] = self._other(row[column])
        kinds = {Kind.EDITED, Kind.RESEALED} if column in ("hmac", "previous_hash", "hash") else {Kind.EDITED}
        return self._forged(kinds, place + 1, f"edit {column}", head=False, inside=column == "hmac")

    def _other(self, value: Any) -> Any:
        if isinstance(value, str):
            others = {"mallory", value[:-1], value[::-1], "f" * len(value)} - {value}
            return self._random.choice(sorted(others))
        if isinstance(value, int) or value is None:
            return (value or 0) + self._random.choice([1, -1, 1000])
        if isinstance(value, uuid.UUID):
            return uuid.UUID(int=self._random.getrandbits(128))
        if isinstance(value, dict):
            return {**value, "outcome": "released"}
        return value + self._random.choice([timedelta(microseconds=1), timedelta(days=-30), timedelta(days=400)])

    def edit_and_hash(self) -> Forged:
        """The digests of the edited row fit again; the next event is linked to the former hash."""
        place = self._place()
        row = self.rows[place]
        row["data"] = {**row["data"], "outcome": "released"}
        before, key = row["hash"], self._other_key()
        regrow(self.rows[: place + 1], place, key)
        assert row["hash"] != before
        kinds = {Kind.RESEALED} if row["salt"] else {Kind.EDITED}
        # Outside, the last event is plausible until the next anchor.
        newest = place + 1 == len(self.rows)
        return self._forged(kinds, place + 1, f"edit and hash again, newest: {newest}", inside=newest)

    def delete(self) -> Forged:
        place = self._place(len(self.rows) - 3)
        count = self._random.choice([1, 1, 2, 3])
        del self.rows[place : place + count]
        return self._forged({Kind.DELETED}, place + 1, "delete", place + count)

    def delete_and_renumber(self) -> Forged:
        place = self._place(len(self.rows) - 3)
        del self.rows[place]
        for row in self.rows[place:]:
            row["sequence"] -= 1
        return self._forged({Kind.DELETED}, place + 1, "delete and renumber")

    def insert(self) -> Forged:
        """A forged event stands between two others, and all later ones have the next number."""
        place = 1 + self._place(len(self.rows) - 2)
        for row in self.rows[place:]:
            row["sequence"] += 1
        self.rows.insert(place, self._forged_row(place + 1))
        if self._random.random() < 0.5:
            regrow(self.rows[: place + 1], place, self._other_key())
        return self._forged({Kind.INSERTED}, place + 1, "insert")

    def _forged_row(self, sequence: int) -> Row:
        return {**copy.deepcopy(self.rows[-2]), "sequence": sequence, "action": "sending.released", "actor_name": "bob"}

    def repeat(self) -> Forged:
        """An event of before is written once more, at the end."""
        row = copy.deepcopy(self.rows[self._place(len(self.rows) - 1)])
        row["sequence"] = len(self.rows) + 1
        self.rows.append(row)
        return self._forged({Kind.EDITED, Kind.INSERTED, Kind.REORDERED, Kind.DELETED}, 1, "repeat", row["sequence"])

    def swap(self) -> Forged:
        one, other = sorted(self._random.sample(range(len(self.rows)), 2))
        first, second = self.rows[one], self.rows[other]
        first["sequence"], second["sequence"] = second["sequence"], first["sequence"]
        self.rows[one], self.rows[other] = second, first
        return self._forged({Kind.REORDERED}, one + 1, "swap", one + 1, head=False)

    def cut(self) -> Forged:
        place = self._place(self._anchored)
        del self.rows[place:]
        return self._forged({Kind.CUT}, place + 1, "cut the tail", head=self._random.random() < 0.8)

    def regrow(self) -> Forged:
        """Edit, and make everything from there anew: with the right key, or without it."""
        place, right = self._place(self._anchored), self._random.random() < 0.5
        self.rows[place]["actor_name"] = "bob"
        self.rows[place]["data"] = {"comment": "Approved."}
        self.rows[place]["salt"] = "0" * 32
        regrow(self.rows, place, self._key if right else self._other_key())
        # The anchors prove that it is one of the events since the anchor before.
        return self._forged({Kind.RESEALED, Kind.ERASED}, 1, f"regrow, right key: {right}", len(self.rows))

    def append(self) -> Forged:
        """One forged event with a later date, without the key, or with it."""
        right = self._random.random() < 0.5
        self.rows.append(self._forged_row(len(self.rows) + 1))
        self.rows[-1]["at"] += timedelta(days=1)
        regrow(self.rows, len(self.rows) - 1, self._key if right else self._other_key())
        kinds = {Kind.TIME} if right else {Kind.RESEALED}
        return self._forged(kinds, len(self.rows), f"append, right key: {right}", inside=not right)

    def wipe(self) -> Forged:
        self.rows.clear()
        return self._forged({Kind.CUT}, 1, "wipe", self._anchored)

    def erase(self) -> Forged:
        with_text = [row for row in self.rows if row["salt"] and row["action"] != "audit.events_erased"]
        row = self._random.choice(with_text)
        row |= {"salt": "", "target_label": "", "data": {}}
        return self._forged({Kind.ERASED}, row["sequence"], "erase", head=False)

    def set_head(self) -> Forged:
        place = self._place(len(self.rows) - 1)
        found = self._forged({Kind.HEAD}, place, "set the head", len(self.rows), inside=True)
        found.head = (place, self.rows[place - 1]["hash"] if place else EMPTY)
        return found

    def backdate(self) -> Forged:
        """An event after the last anchor is dated back, and made anew with the right key."""
        self.rows[-1]["at"] -= timedelta(days=3)
        regrow(self.rows, len(self.rows) - 1, self._key)
        return self._forged({Kind.TIME}, len(self.rows), "date back")
