"""Each operation in every way that its document allows, and in many that it does not, by tokens of several roles.

The answers are those that the document names. Nothing is an error 500, and a GET writes nothing.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
import schemathesis
from django.db import transaction
from django.http import HttpResponse
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.transport import Response
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from licensehub.api.document import as_text
from licensehub.api.service import api
from subscriptions.approvals import decide
from tests.attacks.test_requests import noting_writes
from tests.support.fixtures import person
from tests.support.people.api import Program
from tests.support.people.organization import Organization

# It looks at answers only, which are the same on each database.
pytestmark = pytest.mark.markup

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = 5
QUICK = settings(
    max_examples=EXAMPLES,
    phases=[Phase.generate],
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
# Noted once a minute: when the token was used, and that one was refused.
OF_A_CALL = {"sign_in_apitoken", "sign_in_signincount", "audit_auditevent", "audit_chainhead", "audit_storedanchor"}


def operations() -> list[Any]:
    document = schemathesis.openapi.from_dict(json.loads(as_text(api.get_openapi_schema())))
    return [found.ok() for found in document.get_all_operations()]


@pytest.fixture
def programs(organization: Organization, program, alice, bob) -> list[Program]:
    request = organization.ask(alice, count=1)
    decide.approve(request, actor=bob)
    organization.ask(alice, count=1)
    return [program(alice), program(bob), program(person("olga", "Operator"), profiles=[organization.profile.pk])]


def send(sent: Program, case: Any, number: int) -> HttpResponse:
    """With ids that exist as often as with others."""
    path = case.formatted_path
    if number % 2 and "{pk}" in case.operation.path:
        path = case.operation.path.replace("{pk}", str(1 + number % 3))
    query = urlencode([(name, value) for name, value in (case.query or {}).items()], doseq=True, errors="replace")
    headers = {"Authorization": f"Bearer {sent.text}"}
    body: dict[str, Any] = {}
    if isinstance(case.body, dict | list | str | int | float | bool | None):
        body = {"data": requests.models.complexjson.dumps(case.body), "content_type": "application/json"}
    return sent.client.generic(case.method, path, QUERY_STRING=query, headers=headers, **body)


def checkable(response: HttpResponse, case: Any) -> Response:
    asked = requests.Request(case.method, f"http://testserver{case.operation.path}").prepare()
    headers = {name: [value] for name, value in response.items()}
    return Response(response.status_code, headers, response.content, asked, elapsed=0.0, verify=True)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_each_operation_answers_as_its_document_says(programs, mode):
    statuses: dict[int, int] = {}
    for operation in operations():
        if mode == GenerationMode.NEGATIVE and not list(operation.iter_parameters()) and not operation.body:
            continue  # it takes nothing that could be wrong
        cases = operation.as_strategy(generation_mode=mode)

        def check(case: Any, number: int) -> None:
            sent, savepoint = programs[number % len(programs)], transaction.savepoint()
            try:
                with noting_writes() as written:
                    response = send(sent, case, number)
            finally:
                transaction.savepoint_rollback(savepoint)
            assert case.method != "GET" or written <= OF_A_CALL, f"{case} writes {written}"
            case.validate_response(checkable(response, case), checks=CHECKS)
            statuses[response.status_code] = statuses.get(response.status_code, 0) + 1

        seed(19)(QUICK(given(case=cases, number=st.integers(0, 5))(check)))()
    # Not all of them were refused before they were read.
    assert {200, 403} <= set(statuses) and sum(statuses.values()) > 100, statuses
    assert mode == GenerationMode.POSITIVE or statuses[422] > 30, statuses
