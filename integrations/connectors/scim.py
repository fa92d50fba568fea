"""The part of SCIM 2.0 that all vendors share: RFC 7643 (schemas) and RFC 7644 (protocol)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from integrations.connectors.contract import BadAnswer, english
from integrations.connectors.parsing import clean, mapping

MEDIA_TYPE = "application/scim+json"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
ENTERPRISE_USER = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
MAX_PAGES = 2000
PAGE_SIZE = 1000


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """The body of an error (RFC 7644, 3.12)."""

    kind: str = ""
    detail: str = ""


def error_body(data: object) -> ErrorBody:
    """scimType and detail; "" where the body has none."""
    body = mapping(data)
    return ErrorBody(kind=clean(body.get("scimType")), detail=clean(body.get("detail")))


def _replace(operation: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a PATCH that replaces values (RFC 7644, 3.5.2.3)."""
    return {"schemas": [PATCH_OP], "Operations": [{"op": "Replace", **operation}]}


# The bodies that set `active`, by the name of their form. RFC 7643 asks for a boolean; servers differ.
ACTIVE_FORMS: Mapping[str, Callable[[bool], dict[str, Any]]] = {
    "boolean": lambda active: _replace({"path": "active", "value": active}),
    "text": lambda active: _replace({"path": "active", "value": "true" if active else "false"}),
    "object": lambda active: _replace({"value": {"active": active}}),
}
DEFAULT_FORM = "boolean"
# A 400 with one of these says that the server could not read the value, and so changed nothing (RFC 7644, 3.12).
UNREADABLE = frozenset({"invalidValue", "invalidSyntax"})


def enterprise_extension(user: Mapping[str, Any]) -> Mapping[str, Any]:
    """The extension with department, manager and so on (RFC 7643, section 4.3); its name has no case."""
    if ENTERPRISE_USER in user:
        return mapping(user[ENTERPRISE_USER])
    wanted = ENTERPRISE_USER.lower()
    return mapping(next((value for key, value in user.items() if key.lower() == wanted), None))


def active_of(data: object) -> bool | None:
    """The attribute `active`, as a boolean or as text; None for any other value."""
    value = mapping(data).get("active")
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower())
    return value if isinstance(value, bool) else None


@dataclass(frozen=True, slots=True)
class ResourcePage:
    """The resources of one answer, and the startIndex of the next one; 0 at the end."""

    items: list[Mapping[str, Any]]
    following: int


def resources(
    fetch: Callable[[int], object], *, start: int = 1, max_pages: int = MAX_PAGES, page_size: int = PAGE_SIZE
) -> Iterator[ResourcePage]:
    """The pages of a list; `fetch` gets a startIndex, from `start` on, and returns one page's JSON.

    A server may give fewer than requested (RFC 7644, 3.4.2.4), so the next index depends on the number received. Raises
    BadAnswer when a page has nothing new, the pages do not end, or they end before `totalResults`. A resource on two
    neighboring pages is given once. Only a hash of each page is stored: a million ids would take a hundred megabytes.
    """
    seen: set[int] = set()
    before: frozenset[str] = frozenset()
    for _ in range(max_pages):
        items, total = _page(fetch(start))
        if not items and total is not None and start <= total:
            raise BadAnswer(english("The directory ended before everybody was listed."), code="short")
        if not items:
            yield ResourcePage([], 0)
            return
        page = {clean(item.get("id")): item for item in reversed(items)}
        ids = frozenset(page)
        if ids <= before or hash(ids) in seen:
            raise BadAnswer(english("The directory repeats the same page."), code="loop")
        start += len(items)
        last = total is not None and start > total
        new = [item for external_id, item in reversed(page.items()) if external_id not in before]
        yield ResourcePage(new, 0 if last else start)
        seen.add(hash(ids))
        before = ids
        # A call that continues at a saved index has not seen the pages before it. So the index counts, not the pages.
        if last or start > max_pages * page_size:
            break
    if not last:
        raise BadAnswer(
            english("The directory does not end after {max_pages} pages.").format(max_pages=max_pages),
            code="too_many_pages",
        )


def _page(data: object) -> tuple[list[Mapping[str, Any]], int | None]:
    """Resources and totalResults of one ListResponse (RFC 7644, 3.4.2). `Resources` may be missing when there are none.

    An answer with neither is not the end of the list: it is no list.
    """
    body = mapping(data)
    total = body.get("totalResults")
    items = body.get("Resources", None if total is None else [])
    if not isinstance(items, list):
        raise BadAnswer(english("The directory's answer is not a list of people."), code="not_a_list")
    return [mapping(item) for item in items], total if isinstance(total, int) else None
