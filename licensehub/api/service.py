"""The REST API: its operations, its OpenAPI document, and how it answers errors."""

from __future__ import annotations

from typing import Any, Final

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import HttpError, ValidationError

from licensehub.api.access.caller import TokenAuth
from licensehub.api.acts import accounts as granting
from licensehub.api.acts import connections as testing
from licensehub.api.acts import decisions as deciding
from licensehub.api.acts import profiles, protection_files
from licensehub.api.document import completed
from licensehub.api.problems import Problem, of_refusal
from licensehub.api.reading import accounts, connections, decisions, me, money, people, records, rules, webhooks
from licensehub.api.router import router
from subscriptions.errors import NotActionable, Refused

DESCRIPTION: Final = """Reads what the screens of LicenseHub show, and does what they do, with the rights of a token.

Errors are problems of RFC 9457 with a stable `code`. Lists are read with `cursor` and `limit`."""

# Each puts its operations on the router.
MODULES: Final = (
    *(me, people, decisions, records, connections, rules, accounts, money, webhooks),
    *(deciding, profiles, protection_files, testing, granting),
)


class Api(NinjaAPI):
    _document: Any = None

    def get_openapi_operation_id(self, operation: Any) -> str:
        """The name of the function, by which a client calls it."""
        return str(operation.view_func.__name__)

    def get_openapi_schema(self, **options: Any) -> Any:
        """Made once in each process: anybody may ask for it, and it takes long to make."""
        if self._document is None:
            self._document = completed(super().get_openapi_schema(**options))
        return self._document


api = Api(
    title="LicenseHub",
    version="1",
    description=DESCRIPTION,
    urls_namespace="api",
    auth=TokenAuth(),
    docs_url=None,
    openapi_url="/openapi.json",
)


@api.exception_handler(Problem)
def on_problem(request: HttpRequest, error: Problem) -> HttpResponse:
    return error.response()


@api.exception_handler(Http404)
def on_missing(request: HttpRequest, error: Http404) -> HttpResponse:
    return Problem(404).response()


@api.exception_handler(PermissionDenied)
def on_denied(request: HttpRequest, error: PermissionDenied) -> HttpResponse:
    return Problem(403).response()


@api.exception_handler(HttpError)
def on_http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
    return Problem(error.status_code).response()


@api.exception_handler(ValidationError)
def on_invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    """The place of each wrong value, e.g. `query.limit`, without the value itself."""
    errors = [{"place": ".".join(map(str, one["loc"])), "detail": str(one["msg"])} for one in error.errors]
    return Problem(422, errors=errors).response()


@api.exception_handler(Refused)
@api.exception_handler(NotActionable)
def on_refusal(request: HttpRequest, error: Exception) -> HttpResponse:
    return of_refusal(error).response()


api.add_router("", router)
