"""Each answer that is an error: `application/problem+json` with a stable code and a sentence.

https://www.rfc-editor.org/rfc/rfc9457
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from django.http import JsonResponse

from subscriptions.errors import ChangedOutside, ConcernsYou, NotActionable, OverCap, OwnRequest, Refused

CONTENT_TYPE: Final = "application/problem+json"

# The code and the sentence of a status that something below the API answered with.
OF_STATUS: Final[Mapping[int, tuple[str, str]]] = {
    400: ("unreadable", "This request cannot be read. It has a character or a form that LicenseHub does not take."),
    401: ("no_token", "Send a token in the header: Authorization: Bearer lh_…"),
    403: ("forbidden", "This token may not do this."),
    404: ("not_found", "There is nothing at this address that this token may see."),
    405: ("wrong_method", "This address does not take this method. The OpenAPI document lists what it takes."),
    413: ("too_large", "This request is too large."),
    415: ("wrong_type", "Send the body as application/json."),
    422: ("invalid", "Some values are wrong. `errors` lists each with its place."),
    429: ("too_many", "Too many calls. Wait as long as Retry-After says."),
    500: ("failed", "LicenseHub could not answer; its log has the reason. Repeat an act with its Idempotency-Key."),
    503: ("unavailable", "LicenseHub takes no changes now, so nothing was done. Try again in a few minutes."),
}

# The first that fits: the others are subclasses of Refused.
OF_REFUSAL: Final = (
    (OwnRequest, "own_request"),
    (ConcernsYou, "concerns_you"),
    (ChangedOutside, "changed_outside"),
    (OverCap, "over_cap"),
    (Refused, "refused"),
    (NotActionable, "too_late"),
)
REFUSALS: Final = (Refused, NotActionable)


class Problem(Exception):
    """An error with its answer."""

    def __init__(
        self, status: int, code: str = "", detail: str = "", *, headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        usual = OF_STATUS.get(status, OF_STATUS[500])
        super().__init__(detail or usual[1])
        self.status, self.code, self.detail = status, code or usual[0], detail or usual[1]
        self.headers, self.more = dict(headers or {}), more

    def response(self) -> JsonResponse:
        body = {
            "type": f"urn:licensehub:problem:{self.code}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            **self.more,
        }
        return JsonResponse(body, status=self.status, content_type=CONTENT_TYPE, headers=self.headers)


def of_refusal(error: Exception) -> Problem:
    """The problem of a refusal: the sentence is the one of the screens."""
    code = next(code for kind, code in OF_REFUSAL if isinstance(error, kind))
    return Problem(409, code, str(error))
