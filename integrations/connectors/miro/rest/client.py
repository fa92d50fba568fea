"""Miro's REST API: the organization, its members, and what the token may do.

https://developers.miro.com/reference/api-reference. All calls only read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from integrations.connectors.contract import Allocation, BadAnswer, Member, Page, PermanentError, english, normalized
from integrations.connectors.http import ApiSession, Rate
from integrations.connectors.miro import parse
from integrations.connectors.miro.context import TokenContext
from integrations.connectors.miro.errors import dead_token, wrong_organization
from integrations.connectors.miro.rest.pages import MAX_PAGES, walk
from integrations.connectors.parsing import clean, mapping, safe_id
from integrations.connectors.prefetch import Prefetch

CREDITS_PER_MINUTE = 100_000
LEVEL_1 = 50
LEVEL_2 = 100
LEVEL_3 = 500
PAGE_SIZE = 100
EMAILS_PER_CALL = 10
# The statuses that mean a dead token in `token_context`.
DEAD = frozenset({400, 401})


def rate(account: str, *, cost: int = LEVEL_3) -> Rate:
    """Credits per user and app: https://developers.miro.com/reference/rate-limiting."""
    return Rate(bucket=f"miro:rest:{account}", cost=cost, limit=CREDITS_PER_MINUTE, window=60.0)


class MiroRest:
    """Reads one organization. All methods raise as `ApiSession.get`, and ConfigError for a wrong organization."""

    def __init__(self, session: ApiSession, *, organization_id: str, account: str, max_pages: int = MAX_PAGES) -> None:
        self._session = session
        self.organization_id = organization_id
        self.max_pages = max_pages
        self._account = account

    @property
    def credits(self) -> int:
        """The credits taken from Miro's budget so far."""
        return self._session.credits

    def token_context(self) -> TokenContext:
        """https://developers.miro.com/reference/get-access-token-information. A dead token gets 400 there, or 401.

        Raises BadAnswer for an answer without a list of scopes: it does not describe a token.
        """
        try:
            answer = self._session.get("/v1/oauth-token", rate=rate(self._account, cost=LEVEL_1), rejections=DEAD)
        except PermanentError as error:
            if error.status == 400:
                raise dead_token(400) from error
            raise
        data = mapping(answer.data)
        organization, user = mapping(data.get("organization")), mapping(data.get("user"))
        scopes = data.get("scopes")
        if not isinstance(scopes, list):
            raise BadAnswer(english("Miro's answer does not describe the access token."), code="no_token_context")
        return TokenContext(
            organization_id=clean(organization.get("id")),
            organization_name=clean(organization.get("name")),
            team=clean(mapping(data.get("team")).get("name")),
            user=clean(user.get("name")),
            user_id=clean(user.get("id")),
            scopes=frozenset(clean(scope) for scope in scopes),
            skew=_skew(answer.headers.get("Date", "")),
            credits_left=_whole(answer.headers.get("X-RateLimit-Remaining", "")),
            credits=_whole(answer.headers.get("X-RateLimit-Limit", "")),
        )

    def allocation(self) -> Allocation:
        """Raises ConfigError for an unknown organization, BadAnswer when the answer is about another one."""
        found = parse.allocation(self.get(""))
        if found.organization_id != self.organization_id:
            raise BadAnswer(
                english(
                    "Miro answered for the organization {found}, but {asked} was asked for. Nothing of it is used."
                ).format(found=found.organization_id, asked=self.organization_id),
                code="wrong_organization",
            )
        return found

    def members(self, cursor: str = "") -> Iterator[Page]:
        """All members page by page. While the caller works on a page, a thread reads the next one.

        https://developers.miro.com/reference/enterprise-get-organization-members. Raises BadAnswer when a cursor is
        repeated or the pages do not end.
        """
        with Prefetch(self._fetch, token=self._session.current_token) as prefetch:
            yield from walk(prefetch.page, cursor=cursor, max_pages=self.max_pages, what="members")

    def sample(self, *, limit: int, role: str = "") -> list[Member]:
        """A few members, e.g. to check whether members can be read at all."""
        query: dict[str, str | int] = {"limit": limit}
        if role:
            query["role"] = role
        return parse.members(mapping(self.get("/members", query)).get("data"), now=_now())

    def role_of(self, external_id: str) -> str:
        """Miro's word for the role of one member; "" if there is no such member."""
        found = self._member(external_id)
        return found.role if found else ""

    def people(self, members: Mapping[str, str]) -> Iterator[Member]:
        """The current state of these people (id -> e-mail): ten per call by e-mail, the rest one by one.

        Matched by id only: an address may have changed, or may belong to another person now.
        """
        missing = dict(members)
        # Commas separate the addresses of a call: a person without an address, or with a comma in it, is read by id.
        asked = [address for address in members.values() if "@" in address and "," not in address]
        # If two spellings are one address, Miro is asked once.
        known = {normalized(address): address for address in asked}
        addresses = list(known.values())
        for start in range(0, len(addresses), EMAILS_PER_CALL):
            for found in self._by_emails(addresses[start : start + EMAILS_PER_CALL]):
                if missing.pop(found.external_id, None) is not None:
                    yield found
        yield from self._one_by_one(list(missing))

    def _one_by_one(self, external_ids: list[str]) -> Iterator[Member]:
        confirmed = False
        for external_id in external_ids:
            found = self._member(external_id)
            if found is not None:
                yield found
            elif not confirmed:
                # In a wrong organization nobody is found either. So check it once before an absence counts.
                self.allocation()
                confirmed = True

    def _member(self, external_id: str) -> Member | None:
        """https://developers.miro.com/reference/enterprise-get-organization-member; None for 404."""
        where = english("Member {id}").format(id=safe_id(external_id, where="A stored member"))
        try:
            found = parse.member(self.get(f"/members/{external_id}", unknown_is_wrong=False), where=where, now=_now())
        except PermanentError as error:
            if error.status == 404:
                return None
            raise
        if found.external_id != external_id:
            raise BadAnswer(
                english("{where} was asked for, but Miro answered for another one.").format(where=where),
                code="other_member",
            )
        return found

    def _by_emails(self, addresses: list[str]) -> list[Member]:
        """The members with these addresses. Miro answers a bare list here; a page is accepted as well."""
        data = self.get("/members", {"emails": ",".join(addresses)})
        return parse.members(data.get("data") if isinstance(data, dict) else data, now=_now())

    def _fetch(self, cursor: str, token: str | None = None, **filters: str) -> Page:
        """One page of members. With `token`, that one is used and never renewed."""
        query: dict[str, str | int] = {"limit": PAGE_SIZE, **filters, **({"cursor": cursor} if cursor else {})}
        try:
            data = mapping(self.get("/members", query, token=token))
        except PermanentError as error:
            if cursor and error.status in (400, 410):
                raise _stale_cursor(error) from error
            raise
        return Page(members=parse.members(data.get("data"), now=_now()), cursor=parse.next_cursor(data))

    def get(
        self,
        tail: str,
        query: Mapping[str, str | int] | None = None,
        *,
        cost: int = LEVEL_3,
        unknown_is_wrong: bool = True,
        token: str | None = None,
    ) -> Any:
        """The JSON of a call below the organization. With `unknown_is_wrong`, a 404 means a wrong organization."""
        if not self.organization_id:
            raise wrong_organization("")
        path = f"/v2/orgs/{safe_id(self.organization_id, where='The integration profile')}{tail}"
        try:
            return self.get_own(path, query, cost=cost, token=token)
        except PermanentError as error:
            if unknown_is_wrong and error.status == 404:
                raise wrong_organization(self.organization_id, status=404) from error
            raise

    def get_own(
        self, path: str, query: Mapping[str, str | int] | None = None, *, cost: int, token: str | None = None
    ) -> Any:
        """The JSON of a call without an organization in its path: it is about the token's own organization."""
        return self._session.get(path, rate=rate(self._account, cost=cost), query=query, token=token).data


def _now() -> datetime:
    return datetime.now(UTC)


def _skew(date: str) -> float | None:
    """Seconds that the vendor's clock is ahead (RFC 9110, section 6.6.1)."""
    try:
        theirs = parsedate_to_datetime(date)
    except ValueError:
        return None
    return (theirs.replace(tzinfo=theirs.tzinfo or UTC) - datetime.now(UTC)).total_seconds()


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None


def _stale_cursor(error: PermanentError) -> BadAnswer:
    return BadAnswer(
        english(
            "Miro no longer accepts the cursor at which the download stopped. Start the download again from the "
            "beginning."
        ),
        status=error.status,
        code="stale_cursor",
    )
