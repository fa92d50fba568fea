from __future__ import annotations

from typing import Any

import pytest

from integrations.connectors.contract import BadAnswer
from integrations.connectors.miro.connector import MiroConnector
from integrations.connectors.scim import active_of, error_body, resources
from tests.support.servers.scripted_server import Reply, ScriptedServer


def listing(total: object, *ids: str) -> dict[str, Any]:
    return {"totalResults": total, "Resources": [{"id": external_id, "displayName": "N"} for external_id in ids]}


def items(fetch: Any, **options: int) -> list[Any]:
    return [item for page in resources(fetch, **options) for item in page.items]


def test_the_next_index_depends_on_the_number_received() -> None:
    pages = {1: listing(5, "a", "b"), 3: listing(5, "c", "b"), 5: listing(5, "d")}
    assert [item["id"] for item in items(lambda start: pages[start])] == ["a", "b", "c", "d"]
    assert [page.following for page in resources(lambda start: pages[start])] == [3, 5, 0]
    assert [item["id"] for item in items(lambda start: pages[start], start=3)] == ["c", "b", "d"]


def test_without_a_total_an_empty_page_is_the_end() -> None:
    pages = {1: listing(None, "a"), 2: listing(None)}
    assert len(items(lambda start: pages[start])) == 1


def test_nobody_at_all_needs_no_resources() -> None:
    assert items(lambda start: {"totalResults": 0}) == []


def test_a_page_that_comes_again_is_an_error() -> None:
    with pytest.raises(BadAnswer, match="repeats"):
        list(items(lambda start: listing(9, "a", "b")))


def test_an_early_end_is_an_error() -> None:
    pages = {1: listing(5, "a"), 2: listing(5)}
    with pytest.raises(BadAnswer, match="before everybody"):
        list(items(lambda start: pages[start]))


def test_pages_without_an_end_are_an_error() -> None:
    with pytest.raises(BadAnswer, match="after 4 pages"):
        list(items(lambda start: listing(None, str(start)), max_pages=4))
    # The same if each part of a run starts again.
    with pytest.raises(BadAnswer, match="after 4 pages"):
        items(lambda start: listing(None, str(start)), start=8, max_pages=4, page_size=2)


@pytest.mark.parametrize("data", [None, [], "text", {"Resources": {}}, {"status": "ok"}, {}])
def test_an_answer_that_is_no_list(data: object) -> None:
    with pytest.raises(BadAnswer, match="not a list"):
        list(items(lambda start: data))


def test_invalid_items_do_not_stop_the_others() -> None:
    data = {"totalResults": 3, "Resources": [None, {"displayName": "no id"}, {"id": "a"}]}
    assert [item.get("id") for item in items(lambda start: data)][-1] == "a"


@pytest.mark.parametrize(
    ("value", "expected"), [(True, True), ("false", False), ("TRUE", True), (0, None), (None, None), ("x", None)]
)
def test_active_as_a_text_or_a_boolean(value: object, expected: bool | None) -> None:
    assert active_of({"active": value}) is expected


@pytest.mark.parametrize("data", [None, [], {"detail": 7}])
def test_an_invalid_error_body(data: object) -> None:
    assert error_body(data).detail == ""


def test_people_with_their_names(server: ScriptedServer, miro: MiroConnector) -> None:
    server.replies = [Reply(data=listing(1, "7"))]
    assert [(person.external_id, person.name) for page in miro.directory() for person in page.people] == [("7", "N")]
    assert server.seen[0].path == "/scim/Users?startIndex=1&count=1000"
