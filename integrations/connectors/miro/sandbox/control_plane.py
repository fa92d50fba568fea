"""`/_sandbox/`: shows the state of the sandbox and changes it. It has no password, so it serves this machine only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Protocol

from integrations.connectors.miro.sandbox.behavior.fault_storm import FaultStorm
from integrations.connectors.miro.sandbox.behavior.faults import Faults
from integrations.connectors.miro.sandbox.behavior.manual_changes import ManualChanges
from integrations.connectors.miro.sandbox.oauth.endpoints import OAuth
from integrations.connectors.miro.sandbox.state.summary import summary
from integrations.connectors.miro.sandbox.state.world import World

from .messages import CONTROL_ROOT, Answer, Json, Request, SandboxError

LOCAL = ("127.0.0.1", "localhost")


class State(Protocol):
    """The parts of a sandbox that this API shows and changes."""

    world: World
    faults: Faults
    storm: FaultStorm
    manual_changes: ManualChanges


class ControlPlane:
    def __init__(self, state: State, oauth: OAuth) -> None:
        self._world = world = state.world
        self._oauth = oauth
        self._faults = faults = state.faults
        storm, manual_changes = state.storm, state.manual_changes
        self._endpoints: dict[tuple[str, str], Callable[[Request], Any]] = {
            ("GET", "connection"): lambda request: {"organization_id": world.organization_id, **world.secrets},
            ("GET", "truth"): lambda request: world.truth(),
            ("GET", "summary"): lambda request: summary(world),
            ("GET", "requests"): self._requests,
            ("GET", "faults"): lambda request: {"faults": faults.as_json()},
            ("POST", "faults"): self._add_faults,
            ("DELETE", "faults"): self._clear_faults,
            ("GET", "storm"): lambda request: storm.as_json(),
            ("POST", "storm"): lambda request: storm.begin(_object(request)),
            ("DELETE", "storm"): lambda request: storm.end(),
            ("GET", "manual-changes"): lambda request: manual_changes.as_json(),
            ("POST", "manual-changes"): lambda request: manual_changes.change(**_object(request)),
            ("POST", "clock"): lambda request: {"now": world.set_clock(**_object(request)).isoformat()},
            ("GET", "clock"): lambda request: {"now": world.now().isoformat()},
            ("GET", "toggles"): lambda request: world.toggles.as_json(),
            ("POST", "toggles"): lambda request: world.set_toggles(_object(request)),
            ("GET", "oauth"): lambda request: self._app(),
            ("POST", "oauth"): self._app_action,
            ("GET", "members"): lambda request: asdict(world.members[request.member]),
            ("POST", "members"): lambda request: asdict(world.change_by_hand(request.member, _object(request))),
        }

    def answer(self, request: Request) -> Answer:
        try:
            return self._answer(request)
        except (SandboxError, ValueError, TypeError) as error:
            return Answer(400, {"error": str(error)})
        except KeyError as error:
            return Answer(404, {"error": f"There is no member {error}."})

    def _answer(self, request: Request) -> Answer:
        if not _is_local(request):
            return Answer(403, {"error": "Only programs on this machine may use this."})
        name, _, rest = request.path.removeprefix(CONTROL_ROOT).partition("/")
        endpoint = self._endpoints.get((request.method, name))
        if endpoint is None or bool(rest) != (name == "members" or (request.method, name) == ("POST", "oauth")):
            return Answer(404, {"error": f"There is no {request.method} {request.path}."})
        with self._world.lock:
            return Answer(200, endpoint(request))

    def _requests(self, request: Request) -> Json:
        since = int(request.query.get("since", 0))
        return {"requests": [dict(entry) for entry in self._world.requests if entry["n"] > since]}

    def _add_faults(self, request: Request) -> Json:
        docs = request.json()
        docs = docs.get("faults", [docs]) if isinstance(docs, dict) else docs
        for doc in docs:
            self._faults.add(doc)
        return {"faults": self._faults.as_json()}

    def _clear_faults(self, request: Request) -> Json:
        self._faults.clear()
        return {"faults": []}

    def _app(self) -> Json:
        grants = self._world.grants
        return {
            "client_id": self._world.secrets["client_id"],
            "client_secret": self._world.secrets["client_secret"],
            "teams": [
                {"id": key, **{name: team[name] for name in ("name", "kind", "organization")}}
                for key, team in self._world.install_teams().items()
            ],
            "counters": dict(grants.counters),
            "live_access_tokens": grants.live_access_tokens(self._world.now()),
        }

    def _app_action(self, request: Request) -> Json:
        """`install` consents without a browser; `expire` and `revoke` act on all tokens."""
        action, grants = request.path.rpartition("/")[2], self._world.grants
        if action == "install":
            body = _object(request)
            team = body.get("team_id") or next(iter(self._world.install_teams()))
            done: Json = {"code": self._oauth.consent(str(team), str(body.get("redirect_uri") or ""))}
        elif action == "expire":
            done = {"expired": grants.expire_all(self._world.now())}
        elif action == "revoke":
            done = {"revoked": grants.revoke_all()}
        else:
            raise SandboxError(f"There is no {request.path}.")
        self._world.save_grants()
        return done


def _object(request: Request) -> Json:
    body = request.json()
    if not isinstance(body, dict):
        raise SandboxError("The body is a JSON object.")
    return body


def _is_local(request: Request) -> bool:
    """Refuses web pages: a browser sends their Origin, and the host name that they used."""
    host = request.headers.get("host", "").rpartition(":")[0] or request.headers.get("host", "")
    return host in LOCAL and "origin" not in request.headers
