"""Each answer fits the OpenAPI file that Miro publishes (github.com/miroapp/api-clients)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests

from integrations.connectors.miro.sandbox.server import start
from tests.support.vendor.sandbox_client import Client

SPEC = Path(__file__).resolve().parents[6] / "shared" / "data" / "miro-openapi.json"
pytestmark = pytest.mark.skipif(not SPEC.exists(), reason=f"NOT CHECKED against Miro's OpenAPI: {SPEC} is absent")
SCIM_ERROR = {
    "type": "object",
    "required": ["schemas", "status", "detail"],
    "properties": {
        "schemas": {"const": ["urn:ietf:params:scim:api:messages:2.0:Error"]},
        "status": {"type": "string"},
        "scimType": {"type": "string"},
        "detail": {"type": "string"},
    },
    "additionalProperties": False,
}


def _is_date_time(value: object) -> bool:
    """A check of our own, since jsonschema checks this format only with a further library."""
    from datetime import datetime

    if isinstance(value, str):
        return "T" in value and datetime.fromisoformat(value).tzinfo is not None
    return True


def nullable(schema: Any) -> Any:
    """Turn `nullable` of OpenAPI 3.0 into a second type, which JSON Schema knows."""
    if isinstance(schema, list):
        return [nullable(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    done = {key: nullable(value) for key, value in schema.items()}
    if done.pop("nullable", False) is True and isinstance(done.get("type"), str):
        done["type"] = [done["type"], "null"]
    return done


class Contract:
    def __init__(self) -> None:
        # Here, since its import takes seconds: each process of a run imports all tests, and few run these.
        from jsonschema import Draft202012Validator, FormatChecker
        from referencing import Registry, Resource
        from referencing.jsonschema import DRAFT202012

        self.spec = nullable(json.loads(SPEC.read_text()))
        known = Resource.from_contents(self.spec, default_specification=DRAFT202012)
        formats = FormatChecker(formats=())
        formats.checks("date-time", raises=ValueError)(_is_date_time)
        self.validator = partial(
            Draft202012Validator, registry=Registry().with_resource("urn:miro", known), format_checker=formats
        )

    def check(self, path: str, body: Any, *, status: int = 200, method: str = "get") -> None:
        responses = self.spec["paths"][path][method]["responses"]
        content = responses[str(status)]["content"]
        kind = "application/scim+json" if "application/scim+json" in content else "application/json"
        pointer = f"/paths/{_escape(path)}/{method}/responses/{status}/content/{_escape(kind)}/schema"
        self.validate({"$ref": f"urn:miro#{pointer}"}, body)

    def component(self, name: str, body: Any) -> None:
        self.validate({"$ref": f"urn:miro#/components/schemas/{name}"}, body)

    def validate(self, schema: Any, body: Any) -> None:
        self.validator(schema).validate(body)


def _escape(text: str) -> str:
    return text.replace("~", "~0").replace("/", "~1").replace("{", "%7B").replace("}", "%7D")


@pytest.fixture(scope="module")
def contract() -> Contract:
    return Contract()


@pytest.fixture(scope="module")
def miro() -> Iterator[Client]:
    sandbox = start(members=201)
    yield Client(sandbox)
    sandbox.stop()


ORG = "/v2/orgs/{org_id}"
READ: dict[str, Callable[[Client], Any]] = {
    ORG: lambda miro: miro.rest(f"/v2/orgs/{miro.urls['organization_id']}"),
    f"{ORG}/members": lambda miro: miro.rest(miro.members_path),
    f"{ORG}/members/{{member_id}}": lambda miro: miro.rest(f"{miro.members_path}/{miro.ordinary().id}"),
    f"{ORG}/teams": lambda miro: miro.rest(miro.teams_path),
    f"{ORG}/teams/{{team_id}}/members": lambda miro: miro.rest(
        f"{miro.teams_path}/{next(iter(miro.sandbox.world.teams))}/members"
    ),
    "/v2/audit/logs": lambda miro: miro.rest(
        "/v2/audit/logs", createdAfter="2020-01-01T00:00:00.000Z", createdBefore="2099-01-01T00:00:00.000Z"
    ),
    "/v1/oauth-token": lambda miro: miro.rest("/v1/oauth-token"),
    "/Users": lambda miro: miro.scim("/Users", params={"count": 1000}),
    "/Users/{id}": lambda miro: miro.scim(f"/Users/{miro.ordinary().id}"),
    "/ServiceProviderConfig": lambda miro: miro.scim("/ServiceProviderConfig"),
    "/ResourceTypes": lambda miro: miro.scim("/ResourceTypes"),
    "/ResourceTypes/{resource}": lambda miro: miro.scim("/ResourceTypes/User"),
    "/Schemas": lambda miro: miro.scim("/Schemas"),
    "/Schemas/{uri}": lambda miro: miro.scim("/Schemas/urn:ietf:params:scim:schemas:core:2.0:User"),
}


@pytest.mark.parametrize("path", READ)
def test_answers(contract: Contract, miro: Client, path: str) -> None:
    response = READ[path](miro)
    assert response.status_code == 200
    contract.check(path, response.json())


def test_members_page_by_page_and_by_emails(contract: Contract, miro: Client) -> None:
    for page in miro.pages():
        contract.component("OrganizationMembersSearchResponse", page)
    emails = ",".join(member.email for member in miro.people()[:10])
    body = miro.rest(miro.members_path, emails=emails).json()
    assert len(body) == 10
    contract.component("OrganizationMembersSearchByEmailsResponse", body)
    contract.check(f"{ORG}/members", body)


def test_patch(contract: Contract, miro: Client) -> None:
    member = miro.ordinary().id
    for value in (False, True):
        contract.check("/Users/{id}", miro.patch(member, value).json(), method="patch")


def test_every_event_of_the_audit_log(contract: Contract, miro: Client) -> None:
    member = miro.ordinary().id
    miro.patch(member)
    miro.control.change(member, active=True, license="free")
    events = miro.events()
    assert {event["createdBy"]["type"] for event in events} == {"user", "scim_provisioner"}
    for event in events:
        contract.component("AuditEvent", event)
        assert event.keys() == contract.spec["components"]["schemas"]["AuditEvent"]["properties"].keys()


def test_errors(contract: Contract, miro: Client) -> None:
    answers = {
        400: miro.rest(miro.members_path, limit=0),
        401: miro.rest(miro.members_path, token="x"),
        404: miro.rest(f"{miro.members_path}/1"),
    }
    miro.control.fault("rate_limited")
    answers[429] = miro.rest(miro.members_path)
    miro.control.set_toggles(scopes=[])
    answers[403] = miro.rest(miro.members_path)
    for status, response in answers.items():
        assert response.status_code == response.json()["status"] == status
        contract.component(f"Error{status}", response.json())
        contract.component("ErrorResponse", response.json())


def test_scim_errors(contract: Contract, miro: Client) -> None:
    admin = next(member for member in miro.people() if member.role == "organization_internal_admin")
    answers = [
        miro.scim("/Users", params={"filter": "x"}), miro.scim("/Users", token="x"), miro.scim("/Users/1"),
        miro.patch(admin.id), miro.scim(f"/Users/{admin.id}", method="DELETE"),
    ]  # fmt: skip
    assert [response.status_code for response in answers] == [400, 401, 404, 409, 405]
    for response in answers:
        contract.validate(SCIM_ERROR, response.json())
        assert response.headers["Content-Type"] == "application/scim+json"


@pytest.mark.parametrize(
    "change", [{"license": "platinum"}, {"id": 7}, {"active": "true"}, {"lastActivityAt": "yesterday"},
               {"lastActivityAt": None}, {"role": "boss"}],
)  # fmt: skip
def test_a_broken_body_would_be_found(contract: Contract, miro: Client, change: dict[str, Any]) -> None:
    from jsonschema import ValidationError

    miro.control.set_toggles(scopes=["organizations:read"])
    page = miro.rest(miro.members_path).json()
    page["data"][3].update(change)
    with pytest.raises(ValidationError):
        contract.component("OrganizationMembersSearchResponse", page)
    with pytest.raises(ValidationError):
        contract.check(f"{ORG}/members", page)


def test_refused_revocations(contract: Contract, miro: Client) -> None:
    app = {"clientId": miro.urls["client_id"], "clientSecret": miro.urls["client_secret"]}
    address = miro.urls["api_url"]
    unknown = requests.post(f"{address}/v2/oauth/revoke", json={**app, "accessToken": "x"}, timeout=30)
    old = requests.post(f"{address}/v1/oauth/revoke", params={"access_token": "x"}, timeout=30)
    for status, response in ((404, unknown), (400, old)):
        assert response.status_code == response.json()["status"] == status
        contract.component(f"Error{status}", response.json())
