"""A small client of a sandbox's control plane, for tests and the demo."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import requests

from .messages import Json


class SandboxControl:
    """`url` is the sandbox's address or its `control_url`."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/").removesuffix("/_sandbox") + "/_sandbox"

    def connection(self) -> Json:
        """The values that LicenseHub needs to connect: the organization's id and the tokens."""
        return self._call("GET", "connection")

    def oauth(self) -> Json:
        """The app, the teams on which it can be installed, and counts of what happened to its tokens."""
        return self._call("GET", "oauth")

    def team(self, kind: str) -> str:
        """The id of a team of this kind: organization, developer or foreign."""
        return next(str(team["id"]) for team in self.oauth()["teams"] if team["kind"] == kind)

    def install(self, redirect_uri: str, *, team_id: str | None = None) -> str:
        """Consent without a browser. Returns the code."""
        body = {"redirect_uri": redirect_uri, "team_id": team_id}
        return str(self._call("POST", "oauth/install", body)["code"])

    def freeze_activity(self, *, days: int) -> None:
        """The activity dates are those of so many days ago; 0 updates them again."""
        self.set_toggles(frozen_feed_days=days)

    def expire_tokens(self) -> int:
        """Expire all access tokens. Returns how many."""
        return int(self._call("POST", "oauth/expire", {})["expired"])

    def revoke_tokens(self) -> int:
        """Revoke all tokens, as if the app was uninstalled. Returns how many."""
        return int(self._call("POST", "oauth/revoke", {})["revoked"])

    def truth(self) -> Json:
        return self._call("GET", "truth")

    def history(self) -> dict[str, list[Json]]:
        """Id -> transitions of this person: `at`, `by` (scim or human), `from` and `to` (active or not)."""
        found: dict[str, list[Json]] = {}
        for transition in self.truth()["transitions"]:
            found.setdefault(transition["id"], []).append(transition)
        return found

    def summary(self) -> Json:
        """A short form of `truth`; see `summary.summary`."""
        return self._call("GET", "summary")

    def requests(self, since: int = 0) -> list[Json]:
        found: list[Json] = self._call("GET", f"requests?since={since}")["requests"]
        return found

    def fault(self, kind: str, **options: Any) -> None:
        """Options: times, match, after_requests, probability, seconds, status, page_status, after, late, loop."""
        self._call("POST", "faults", [{"kind": kind, **options}])

    def faults(self) -> list[Json]:
        found: list[Json] = self._call("GET", "faults")["faults"]
        return found

    def clear_faults(self) -> None:
        self._call("DELETE", "faults")

    def storm(self, *, seed: int, mix: Mapping[str, float], **options: Any) -> Json:
        """Random faults. `mix` is kind -> share of requests. Options: match, hang_seconds, limited_seconds."""
        return self._call("POST", "storm", {"seed": seed, "mix": dict(mix), **options})

    def storm_off(self) -> Json:
        """End the storm. `struck` counts the requests that each kind of fault hit."""
        return self._call("DELETE", "storm")

    def manual_changes(self, *, share: float, after: float = 0.6, seed: int = 1) -> Json:
        """Activate this share of the people that SCIM deactivates from now on, by hand and `after` seconds later."""
        return self._call("POST", "manual-changes", {"share": share, "after": after, "seed": seed})

    def limits(self, *, on: bool) -> None:
        """Switch Miro's rate limits on or off. A storm may still answer 429."""
        self.set_toggles(rate_limits=on)

    def member(self, member_id: str) -> Json:
        return self._call("GET", f"members/{member_id}")

    def change(self, member_id: str, **changes: Any) -> Json:
        return self._call("POST", f"members/{member_id}", changes)

    def rename(self, member_id: str, *, email: str) -> Json:
        """Give this person another address, as after a marriage. Returns the member."""
        return self.change(member_id, email=email)

    def make_again(self, member_id: str) -> Json:
        """Delete this account and make another one for the same person. Returns the new member, with a new id."""
        return self._call("POST", f"members/{member_id}", {"made_again": True})

    def set_toggles(self, **toggles: Any) -> Json:
        return self._call("POST", "toggles", toggles)

    def toggles(self) -> Json:
        return self._call("GET", "toggles")

    def clock(self, *, offset_seconds: float | None = None, now: str | None = None) -> str:
        given = {"offset_seconds": offset_seconds, "now": now}
        moment: str = self._call("POST", "clock", {key: value for key, value in given.items() if value is not None})[
            "now"
        ]
        return moment

    def _call(self, method: str, path: str, body: Any = None) -> Json:
        """Each call has a connection of its own: a sandbox may be restarted between two calls."""
        response = requests.request(method, f"{self._url}/{path}", json=body, timeout=30)
        if not response.ok:
            raise ValueError(response.text)
        found: Json = response.json()
        return found
