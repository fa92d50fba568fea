"""A whole download that is not plausible: nobody is marked as gone by it, and no fact of it is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from integrations.connectors.contract import Member, Page
from integrations.connectors.miro.connector import MiroConnector
from subscriptions.downloads.run import download_subscriptions
from subscriptions.models import DownloadedMember, DownloadRun, Subscription
from subscriptions.models.download import StartedBy
from subscriptions.models.subscription import FACTS
from tests.support.fixtures import MEMBERS, World

# The members of each page, in their order.
Pages = list[list[Member]]


def facts() -> list[tuple[object, ...]]:
    return list(Subscription.objects.order_by("external_id").values_list("external_id", *FACTS, "gone_at"))


@pytest.fixture
def download(world: World, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Pages], None]], DownloadRun]:
    """Downloads, where somebody has changed the pages before they arrive."""
    members = MiroConnector.members

    def run(change: Callable[[Pages], None]) -> DownloadRun:
        def changed(self: MiroConnector, cursor: str = "") -> Iterator[Page]:
            pages = list(members(self, cursor))
            people = [list(page.members) for page in pages]
            change(people)
            yield from (Page(found, page.cursor) for found, page in zip(people, pages, strict=True))

        with monkeypatch.context() as patched:
            patched.setattr(MiroConnector, "members", changed)
            return download_subscriptions(world.profile, actor=None, started_by=StartedBy.COMMAND)

    return run


def skip_one(pages: Pages) -> None:
    """The pages moved: the last of the first page comes again on the second, and another one never comes."""
    pages[1][0] = pages[0][-1]


def repeat_one(pages: Pages) -> None:
    pages[1].append(pages[0][-1])


def contradict(pages: Pages) -> None:
    former = pages[0][-1]
    pages[1].append(former._replace(active=not former.active))


def clear(pages: Pages) -> None:
    for page in pages:
        page.clear()


def test_members_that_come_again_while_others_are_missing_quarantine_the_run(world, download):
    world.first_download()
    before = facts()

    found = download(skip_one)

    assert (found.state, found.acceptable) == ("quarantined", True)
    assert found.problem.startswith("1 members came twice, and 1 known ones not at all")
    assert facts() == before


def test_members_that_come_again_while_nobody_is_missing_are_counted_once(world, download):
    world.first_download()

    found = download(repeat_one)

    assert (found.state, found.read, found.unchanged, found.gone) == ("complete", MEMBERS, MEMBERS, 0)


def test_pages_that_contradict_each_other_quarantine_the_run(world, download):
    world.first_download()
    before = facts()

    found = download(contradict)

    assert (found.state, found.acceptable) == ("quarantined", False)
    assert "contradict each other about the member" in found.problem
    assert facts() == before
    assert not DownloadedMember.objects.exists()


def test_a_first_download_without_members_is_not_believed(world, download):
    """No known member is missing in it, so only the number of members shows that it is wrong."""
    found = download(clear)

    assert (found.state, found.acceptable) == ("quarantined", False)
    assert "no members at all" in found.problem
