"""Changes by hand: an admin activates a share of the people again that SCIM deactivates, a moment later."""

from __future__ import annotations

import random
import threading
import time
from queue import SimpleQueue
from typing import Any

from integrations.connectors.miro.sandbox.messages import Json, SandboxError
from integrations.connectors.miro.sandbox.state.world import World


class ManualChanges:
    """At most one change per person. The choice depends on the seed and the person's id, not on the order."""

    def __init__(self, world: World, stopping: threading.Event) -> None:
        self._world = world
        self._stopping = stopping
        self._share, self._after, self._seed = 0.0, 0.0, 0
        self._chosen: set[str] = set()
        self._done = 0
        self._due: SimpleQueue[tuple[float, str] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        world.on_transition = self._on_transition

    def change(self, *, share: Any, after: Any = 0.6, seed: Any = 1) -> Json:
        """Applies to people who are deactivated from now on. A share of 0 ends it."""
        if not isinstance(share, int | float) or not 0 <= share <= 1:
            raise SandboxError(f"The share is from 0 to 1, not {share!r}.")
        if not isinstance(after, int | float) or after < 0 or type(seed) is not int:
            raise SandboxError("`after` is in seconds, and the seed is a whole number.")
        with self._world.lock:
            self._share, self._after, self._seed = share, after, seed
            if share and self._thread is None:
                self._thread = threading.Thread(target=self._run, name="miro-manual-changes", daemon=True)
                self._thread.start()
            return self.as_json()

    def as_json(self) -> Json:
        """`chosen`: people who will be, or were, activated by hand; `done`: how many of them were."""
        now = {"share": self._share, "after": self._after, "seed": self._seed}
        return {**now, "chosen": len(self._chosen), "done": self._done}

    def stop(self) -> None:
        """End the thread. Call it after `stopping` is set."""
        if self._thread is not None:
            self._due.put(None)
            self._thread.join()

    def _on_transition(self, transition: Json) -> None:
        """The world calls this for each transition, under its lock."""
        member = transition["id"]
        if transition["by"] != "scim" or transition["to"] or member in self._chosen:
            return
        if random.Random(f"{self._seed}:{member}").random() < self._share:  # noqa: S311 - no secret
            self._chosen.add(member)
            self._due.put((time.monotonic() + self._after, member))

    def _run(self) -> None:
        """Activate people in the order of their deactivation: the order of the due times while `after` is the same."""
        while (due := self._due.get()) is not None:
            at, member = due
            if self._stopping.wait(max(0.0, at - time.monotonic())):
                return
            self._activate(member)

    def _activate(self, member: str) -> None:
        with self._world.lock:
            found = self._world.members.get(member)
            if found is not None and not found.active:
                self._world.change_by_hand(member, {"active": True})
                self._done += 1
