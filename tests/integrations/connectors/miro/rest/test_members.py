"""Reading all members page by page, and looking some of them up."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest

from integrations.connectors.contract import BadAnswer, ConfigError, PermanentError
from integrations.connectors.miro.connector import MiroConnector
from integrations.connectors.miro.rest.client import MiroRest
from integrations.connectors.rate_limit import LocalRateBudget
from tests.support.servers.scripted_server import Reply, ScriptedServer, Seen
from tests.support.vendor.connector_sessions import ORGANIZATION, new_miro, new_session
from tests.support.vendor.miro_members import MISSING, by_cursor, page, query_of, raw


@pytest.mark.parametrize("end", ["", None, MISSING])
def test_all_pages_up_to_every_form_of_the_end(server: ScriptedServer, miro: MiroConnector, end: object) -> None:
    server.respond = by_cursor(first=page("A", "1", "2"), A=page(end, "3"))
    pages = list(miro.members())
    assert [[member.external_id for member in found.members] for found in pages] == [["1", "2"], ["3"]]
    assert [found.cursor for found in pages] == ["A", ""]
    assert [query_of(seen) for seen in server.seen] == [{"limit": ["100"]}, {"limit": ["100"], "cursor": ["A"]}]
    assert urlsplit(server.seen[0].path).path == f"/v2/orgs/{ORGANIZATION}/members"


def test_an_empty_page_with_a_cursor_is_not_the_end(server: ScriptedServer, miro: MiroConnector) -> None:
    server.respond = by_cursor(first=page("A", "1"), A=page("B"), B=page("", "2"))
    assert sum(len(found.members) for found in miro.members()) == 2


def test_it_continues_from_a_cursor(server: ScriptedServer, miro: MiroConnector) -> None:
    server.respond = by_cursor(A=page("", "3"))
    assert [found.cursor for found in miro.members("A")] == [""]


@pytest.mark.parametrize(
    "pages",
    [
        {"first": page("A", "1"), "A": page("A", "2")},
        {"first": page("A", "1"), "A": page("B", "2"), "B": page("A", "3")},
        {"first": page("A", "1"), "A": page("B"), "B": page("C"), "C": page("D"), "D": page("A")},
    ],
    ids=["A-A", "A-B-A", "A-B-C-D-A"],
)
def test_a_loop_is_an_error_and_never_the_end(
    server: ScriptedServer, miro: MiroConnector, pages: dict[str, Reply]
) -> None:
    server.respond = by_cursor(**pages)
    with pytest.raises(BadAnswer, match="repeat in a loop"):
        list(miro.members())
    assert len(server.seen) <= len(pages) + 1  # one page may be prefetched


def test_a_loop_is_found_after_a_restart_too(server: ScriptedServer, miro: MiroConnector) -> None:
    server.respond = by_cursor(A=page("B"), B=page("A"))
    with pytest.raises(BadAnswer, match="repeat in a loop"):
        list(miro.members("A"))


def test_pages_that_never_end_are_an_error(server: ScriptedServer, budget: LocalRateBudget) -> None:
    server.respond = lambda seen: page(str(len(server.seen)), str(len(server.seen)))
    rest = MiroRest(new_session(server.url, budget), organization_id=ORGANIZATION, account="f", max_pages=7)
    with pytest.raises(BadAnswer, match="after 7 pages"):
        list(rest.members())


def test_requests_count_the_tries(server: ScriptedServer, miro: MiroConnector) -> None:
    server.replies = [Reply(status=500, data={}), page("", "1")]
    assert len(list(miro.members())) == 1 and miro.usage().requests == 2


@pytest.mark.parametrize("status", [400, 410])
def test_a_cursor_that_miro_forgot(server: ScriptedServer, miro: MiroConnector, status: int) -> None:
    server.replies = [Reply(status=status, data={"code": "invalidParameters"})]
    with pytest.raises(BadAnswer, match="from the beginning") as caught:
        list(miro.members("old"))
    assert caught.value.code == "stale_cursor"
    with pytest.raises(PermanentError):
        list(miro.members())


@pytest.mark.parametrize("data", [[], {}, {"data": None}, {"data": {}}, "text", 7])
def test_an_answer_that_is_no_page(server: ScriptedServer, miro: MiroConnector, data: object) -> None:
    server.replies = [Reply(data=data)]
    with pytest.raises(BadAnswer):
        list(miro.members())


class Members:
    """Answers by e-mail and by id, as Miro does."""

    def __init__(self, *members: dict[str, Any]) -> None:
        self.members = members

    def __call__(self, seen: Seen) -> Reply:
        asked = query_of(seen).get("emails")
        path = urlsplit(seen.path).path
        if asked:
            wanted = [address.lower() for address in asked[0].split(",")]
            return Reply(data=[member for member in self.members if member["email"].lower() in wanted])
        if path.endswith(ORGANIZATION):
            return Reply(data={"id": ORGANIZATION, "name": "N", "plan": "company", "fullLicensesPurchased": 5})
        found = [member for member in self.members if path.endswith(f"/{member['id']}")]
        return Reply(data=found[0]) if found else Reply(status=404, data={"code": "notFound"})


def test_people_are_asked_for_ten_at_a_time_by_address(server: ScriptedServer, miro: MiroConnector) -> None:
    server.respond = Members(*(raw(id=str(n), email=f"p+{n}@Example.com") for n in range(25)))
    found = list(miro.people({str(n): f"P+{n}@example.com" for n in range(25)}))
    assert sorted(int(member.external_id) for member in found) == list(range(25))
    assert len(server.seen) == 3
    assert "emails=P%2B0%40example.com,P%2B1%40example.com," in server.seen[0].path


def test_a_person_with_a_new_address_is_found_by_id(server: ScriptedServer, miro: MiroConnector) -> None:
    server.respond = Members(raw(id="1", email="new@example.com"))
    assert [member.email for member in miro.people({"1": "old@example.com"})] == ["new@example.com"]


def test_an_address_that_belongs_to_somebody_else_now(server: ScriptedServer, miro: MiroConnector) -> None:
    server.respond = Members(raw(id="2", email="ada@example.com"), raw(id="1", email="ada.l@example.com"))
    found = list(miro.people({"1": "ada@example.com"}))
    assert [(member.external_id, member.email) for member in found] == [("1", "ada.l@example.com")]


def test_a_person_who_is_gone_is_left_out_after_the_organization_is_confirmed(
    server: ScriptedServer, miro: MiroConnector
) -> None:
    server.respond = Members()
    assert list(miro.people({"1": "a@example.com", "2": "", "3": "a,b@example.com"})) == []
    paths = [urlsplit(seen.path).path.removeprefix(f"/v2/orgs/{ORGANIZATION}") for seen in server.seen]
    assert paths == ["/members", "/members/1", "", "/members/2", "/members/3"]


def test_an_unknown_organization_does_not_make_everybody_gone(server: ScriptedServer, miro: MiroConnector) -> None:
    server.replies = [Reply(status=404, data={"code": "notFound"})]
    with pytest.raises(ConfigError, match="organization ID"):
        list(miro.people({"1": ""}))


def test_a_404_that_is_not_from_miro_makes_nobody_gone(server: ScriptedServer, miro: MiroConnector) -> None:
    server.replies = [Reply(status=404, raw=b"<html>not here</html>")]
    with pytest.raises(ConfigError, match="address is probably wrong"):
        list(miro.people({"1": ""}))


def test_the_answer_about_another_member_is_refused(server: ScriptedServer, miro: MiroConnector) -> None:
    server.replies = [Reply(data=raw(id="2"))]
    with pytest.raises(BadAnswer, match="another one"):
        list(miro.people({"1": ""}))


def test_people_in_the_shape_of_a_page(server: ScriptedServer, miro: MiroConnector) -> None:
    server.replies = [page("", "1")]
    assert [member.external_id for member in miro.people({"1": "ada@example.com"})] == ["1"]


def test_an_allocation_of_another_organization_is_refused(server: ScriptedServer, miro: MiroConnector) -> None:
    server.replies = [Reply(data={"id": "999", "name": "Other"})]
    with pytest.raises(BadAnswer, match="999"):
        miro.allocation()


@pytest.mark.parametrize("organization", ["", "../../v1"])
def test_an_invalid_organization_id(server: ScriptedServer, budget: LocalRateBudget, organization: str) -> None:
    server.replies = [Reply(data={})]
    with pytest.raises((ConfigError, BadAnswer)):
        new_miro(server.url, server.url, budget, organization=organization).allocation()
    assert server.seen == []
