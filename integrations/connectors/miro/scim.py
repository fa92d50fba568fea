"""Miro's SCIM API: read one user, deactivate and activate them, and read the directory.

https://developers.miro.com/reference/scim-introduction. Nothing here deletes.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from integrations.connectors.contract import (
    BadAnswer,
    DirectoryPage,
    Memory,
    OutcomeUnknown,
    PermanentError,
    Receipt,
    english,
)
from integrations.connectors.http import ApiSession, Rate
from integrations.connectors.miro import parse
from integrations.connectors.miro.errors import SCIM
from integrations.connectors.parsing import clean, mapping, safe_id
from integrations.connectors.response import Answer
from integrations.connectors.scim import (
    ACTIVE_FORMS,
    DEFAULT_FORM,
    MAX_PAGES,
    PAGE_SIZE,
    UNREADABLE,
    active_of,
    resources,
)

logger = logging.getLogger(__name__)

WINDOW = 30.0
READS = 200
WRITES = 100
ACTIVE_FORM = "active_form"


class MiroScim:
    """All methods raise as `ApiSession.get` or `ApiSession.patch`."""

    def __init__(
        self, session: ApiSession, *, account: str, max_pages: int = MAX_PAGES, memory: Memory | None = None
    ) -> None:
        self._session = session
        self._memory = memory
        self._max_pages = max_pages
        # Requests per 30 seconds: https://developers.miro.com/reference/rate-limits
        self._reads = Rate(bucket=f"miro:scim:{account}:get", cost=1, limit=READS, window=WINDOW)
        self._writes = Rate(bucket=f"miro:scim:{account}:patch", cost=1, limit=WRITES, window=WINDOW)

    def is_active(self, external_id: str) -> bool:
        """Raises PermanentError when Miro does not know the person, BadAnswer when the answer is about another one."""
        data = self._session.get(_user_path(external_id), rate=self._reads).data
        active = active_of(data)
        if mapping(data).get("id") != external_id or active is None:
            raise BadAnswer(
                english(
                    "Miro's answer about the person {external_id} is not about them, or does not say whether they "
                    "are active."
                ).format(external_id=external_id),
                code="other_member",
            )
        return active

    def knows(self, external_id: str) -> bool:
        """Whether the SCIM token's organization has this person."""
        try:
            self.is_active(external_id)
        except PermanentError as error:
            if error.status == 404:
                return False
            raise
        return True

    def await_turn(self) -> None:
        """Reserve one `set_active` and one read of its result. Raises TransientError."""
        self._session.reserve(self._reads)
        self._session.reserve(self._writes)

    def set_active(self, external_id: str, *, active: bool) -> Receipt:
        """https://developers.miro.com/reference/patchuser. Raises OutcomeUnknown when the answer is about another."""
        known = self.active_form()
        answer, form = self._patch_active(_user_path(external_id), active, known=known)
        if answer.data is not None and mapping(answer.data).get("id") != external_id:
            raise OutcomeUnknown(
                english("Miro's answer to the change of {external_id} is about somebody else.").format(
                    external_id=external_id
                ),
                status=answer.status,
                code="other_member",
            )
        if self._memory and form != (known or DEFAULT_FORM):
            self._memory.keep(SCIM, ACTIVE_FORM, form)
        request_id = clean(answer.headers.get("X-Request-Id"), max_length=100)
        return Receipt(status=answer.status, active=active_of(answer.data), request_id=request_id)

    def _patch_active(self, path: str, active: bool, *, known: str) -> tuple[Answer, str]:
        """The answer, and the form of `active` that was sent last; the one that is `known` to be accepted comes first.

        RFC 7643 asks for a boolean, and Miro's own scripts send one, although its documentation says text.

        If Miro answers that it cannot read the value, nothing was changed, and the next form is sent. After any other
        answer no form is sent, so that at most one of the writes can take effect.
        """
        *forms, last = sorted(ACTIVE_FORMS, key=lambda form: form != known)  # stable: only the known form moves
        for form in forms:
            try:
                return self._session.patch(path, ACTIVE_FORMS[form](active), rate=self._writes), form
            except PermanentError as error:
                if error.status != 400 or error.code not in UNREADABLE:
                    raise
                logger.info("Miro cannot read `active` as %s (%s). The next form is sent.", form, error.code)
        return self._session.patch(path, ACTIVE_FORMS[last](active), rate=self._writes), last

    def active_form(self) -> str:
        """The form of `active` that Miro accepted, as a key of ACTIVE_FORMS; "" when another one was never needed."""
        found = self._memory.recall(SCIM, ACTIVE_FORM) if self._memory else ""
        return found if found in ACTIVE_FORMS else ""

    def directory(self, cursor: str = "") -> Iterator[DirectoryPage]:
        """All people that SCIM knows, 1,000 per page: https://developers.miro.com/reference/listusers.

        The cursor is the index of the next one.
        """
        start = int(cursor) if cursor else 1
        for page in resources(self._users, start=start, max_pages=self._max_pages):
            people = [person for item in page.items if (person := parse.person(item)) is not None]
            yield DirectoryPage(people, str(page.following or ""))

    def probe(self) -> None:
        """A call that needs a valid token. Miro may show its configuration without one, but not its users.

        Raises BadAnswer for an answer that is no list of users.
        """
        next(resources(lambda start: self._page(start, count=1)))

    def can_patch(self) -> bool:
        """Whether single attributes can be changed (RFC 7643, section 5). Raises BadAnswer when that is not said."""
        data: Any = self._session.get("/ServiceProviderConfig", rate=self._reads).data
        supported = mapping(mapping(data).get("patch")).get("supported")
        if not isinstance(supported, bool):
            raise BadAnswer(english("Miro's answer does not say what its SCIM can do."), code="no_configuration")
        return supported

    def _users(self, start: int) -> object:
        return self._page(start, count=PAGE_SIZE)

    def _page(self, start: int, *, count: int) -> object:
        query: dict[str, str | int] = {"startIndex": start, "count": count}
        return self._session.get("/Users", rate=self._reads, query=query).data


def _user_path(external_id: str) -> str:
    return f"/Users/{safe_id(external_id, where='A stored person')}"
