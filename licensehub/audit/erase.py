"""Erase the text of events, e.g. of those that name a person who has left. The chain stays unbroken.

The digest of the text stays, and the salt is gone: nobody can find the text again by guessing.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator

from django.db.models import Model

from licensehub.audit.actions import Action
from licensehub.audit.log import Actor, record
from licensehub.audit.models import AuditEvent, ChainHead

BATCH = 500  # events in one statement


class NotErasable(ValueError):
    """These events keep their text. The sentence is for the person who asked."""


def erase_texts(
    sequences: Collection[int],
    *,
    actor: Actor,
    why: str,
    target: Model | None = None,
    correlation: uuid.UUID | None = None,
) -> int:
    """Erase the label and the data of these events, in the caller's transaction. Return how many had a text.

    One more event lists their sequences, and `why`: a text without the name of a person. It is about `target`, or else
    about the chain. Raises NotErasable for an event that lists erased ones itself.
    """
    # Nobody appends or erases meanwhile.
    head = ChainHead.objects.select_for_update().get(pk=1)
    batches = list(_batches(sorted(set(sequences))))
    if any(AuditEvent.objects.filter(action=Action.EVENTS_ERASED, pk__in=batch).exists() for batch in batches):
        raise NotErasable("An event that says which texts were erased keeps its own text.")
    with_text = AuditEvent.objects.exclude(salt="")
    found = [
        pk for batch in batches for pk in with_text.filter(pk__in=batch).order_by("pk").values_list("pk", flat=True)
    ]
    if found:
        data = {"sequences": _spans(found), "events": len(found), "why": why}
        record(Action.EVENTS_ERASED, actor=actor, target=target or head, data=data, correlation=correlation)
    erased = sum(with_text.filter(pk__in=batch).update(target_label="", data={}, salt="") for batch in _batches(found))
    if erased != len(found):
        raise RuntimeError(f"{erased} texts of {len(found)} events were erased")
    return erased


def _batches(numbers: list[int]) -> Iterator[list[int]]:
    return (numbers[start : start + BATCH] for start in range(0, len(numbers), BATCH))


def _spans(numbers: list[int]) -> list[list[int]]:
    """[3, 4, 5, 9] -> [[3, 5], [9, 9]]"""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and spans[-1][1] == number - 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return spans
